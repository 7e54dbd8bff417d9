//! Quantized checkpoints: which tensors belong together, and which weights they represent.
//!
//! The tensors decide whether a weight is quantized, by their names and types. The config only adds
//! details that they leave open, such as the number of bits. A leftover entry in the config of a
//! model that is no longer quantized is therefore harmless, and a quantized weight is never read as
//! a plain one.

mod entry;
mod mxfp4;
mod names;
mod packed;
mod scaled;

use std::collections::HashMap;

use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::StoredTensor;
use crate::{Error, Problem};
pub(super) use entry::Entry;
use names::{SCALES, is_codes, is_small, is_unused, may_be_codes, scales_of, unread_method};
use packed::Packed;

/// An error while joining tensors.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file that holds the quantization entry is at fault.
    Entry(Problem),
    /// A tensor in the file with this index is at fault.
    Tensor(usize, String, Problem),
    /// An error that needs no further context.
    Other(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Supported methods.
const METHODS: &[&str] = &["fp8", "mxfp4", "modelopt", "compressed-tensors", "gptq", "bitnet"];

/// Joins tensors that together form one: numbers and their scales, or codes of blocks and theirs.
/// The tensors keep their order, and each result takes the place of its numbers. As in the
/// reference, tensors with packed codes come last instead. Adds a warning for anything odd.
pub(super) fn join(
    tensors: Vec<StoredTensor>,
    entry: Option<&Entry>,
    files: &[DataFile],
    warnings: &mut Vec<String>,
) -> Result<Vec<StoredTensor>, Fault> {
    if tensors.is_empty() {
        return Ok(tensors);
    }
    let names = tensors.iter().enumerate().map(|(index, tensor)| (tensor.name.clone(), index));
    let names = names.collect();
    let quantized = entry.is_some() || tensors.iter().any(|tensor| is_small(tensor.ty));
    let slots = tensors.into_iter().map(Some).collect();
    let mut joiner =
        Joiner { entry, quantized, names, slots, last: Vec::new(), files, block: None, joined: 0 };
    joiner.block = joiner.find_block()?;
    let before = joiner.slots.len();
    for index in 0..before {
        joiner.visit(index)?;
    }
    joiner.check_rest()?;
    joiner.warn(before, warnings);
    Ok(joiner.slots.into_iter().flatten().chain(joiner.last).collect())
}

struct Joiner<'a> {
    entry: Option<&'a Entry>,
    /// Whether anything shows that the checkpoint is, or was, quantized.
    quantized: bool,
    names: HashMap<String, usize>,
    /// The tensors that are not yet part of another one.
    slots: Vec<Option<StoredTensor>>,
    /// Tensors that follow all others.
    last: Vec<StoredTensor>,
    files: &'a [DataFile],
    /// Numbers that share a scale in the last dimensions, if scales are for neither whole rows nor
    /// whole tensors.
    block: Option<Vec<u64>>,
    /// Number of joined weights.
    joined: usize,
}

impl Joiner<'_> {
    fn method(&self) -> Option<&str> {
        self.entry.and_then(Entry::method)
    }

    fn get(&self, name: &str) -> Option<&StoredTensor> {
        self.slots[*self.names.get(name)?].as_ref()
    }

    /// Removes and returns the tensor with this name, which belongs to `owner`.
    fn partner(&mut self, owner: &StoredTensor, other: String) -> Result<StoredTensor, Fault> {
        self.take(&other).ok_or_else(|| fault(owner, Problem::NoPartner { other }))
    }

    fn take(&mut self, name: &str) -> Option<StoredTensor> {
        self.slots[*self.names.get(name)?].take()
    }

    fn visit(&mut self, index: usize) -> Result<(), Fault> {
        let Some(tensor) = self.slots[index].take() else { return Ok(()) };
        if is_unused(&tensor, self.quantized) {
            return Ok(());
        }
        let name = tensor.name.clone();
        if let Some(base) = name.strip_suffix("_blocks")
            && tensor.ty == DataType::U8
        {
            let scales = self.partner(&tensor, format!("{base}_scales"))?;
            let (file, codes) = (tensor.file, tensor);
            let joined = mxfp4::join(codes, scales);
            self.slots[index] = Some(joined.map_err(|p| Fault::Tensor(file, name, p))?);
            self.joined += 1;
            return Ok(());
        }
        if let Some(numbers) = self.numbers_of(&name) {
            return self.scale(tensor, numbers);
        }
        if let Some(base) = name.strip_suffix(".qweight") {
            return self.gptq(tensor, base);
        }
        if let Some(base) = name.strip_suffix("_packed")
            && self.names.contains_key(&format!("{base}_shape"))
        {
            return self.packed(tensor, base);
        }
        self.slots[index] = Some(tensor);
        Ok(())
    }

    /// Returns the name of the numbers that belong to a scale of this name; `None` if it is not a
    /// scale.
    fn numbers_of(&self, name: &str) -> Option<String> {
        let of = |(end, of): &(&str, &str)| Some(format!("{}{of}", name.strip_suffix(end)?));
        if let Some(numbers) = scales_of(self.method()).iter().find_map(of)
            && !self.names.contains_key(&format!("{numbers}_packed"))
        {
            return Some(numbers);
        }
        let small = |name: &String| self.get(name).is_some_and(|numbers| is_small(numbers.ty));
        SCALES.iter().filter_map(of).find(small)
    }

    /// Joins scales with their numbers.
    fn scale(&mut self, scales: StoredTensor, of: String) -> Result<(), Fault> {
        let Some(numbers) = self.take(&of) else {
            // ModelOpt keeps the scales of tensors that it omits.
            return match self.method() {
                Some("modelopt") => Ok(()),
                _ => Err(fault(&scales, Problem::NoPartner { other: of })),
            };
        };
        // Each byte holds two numbers.
        if numbers.ty == DataType::U8 && scales.ty == DataType::F8E4M3 {
            return Err(self.unread(&numbers, "NVFP4"));
        }
        if in_pairs(&numbers, &scales) {
            let (file, name) = (numbers.file, numbers.name.clone());
            let place = self.names[&of];
            let joined = mxfp4::join_rows(numbers, scales);
            self.slots[place] = Some(joined.map_err(|p| Fault::Tensor(file, name, p))?);
            self.joined += 1;
            return Ok(());
        }
        let zeros = format!("{}_zero_point", of);
        if let Some(zeros) = self.take(&zeros)
            && !scaled::all_zero(&zeros, self.files)?
        {
            return Err(self.unread(&zeros, "a method with zero points"));
        }
        let bitnet = self.method() == Some("bitnet") && !is_float8(numbers.ty);
        if !bitnet && !is_float(scales.ty) {
            return Err(self.unread(&scales, &format!("a method with {} scales", scales.ty.name())));
        }
        scaled::check_scales(&scales, bitnet, self.files).map_err(|error| match error {
            scaled::Bad::Scale(problem) => fault(&scales, problem),
            scaled::Bad::File(error) => Fault::Other(error),
        })?;
        let (file, name) = (scales.file, scales.name.clone());
        let joined = if bitnet {
            Packed::ternary(numbers, scales)
        } else {
            scaled::scale(numbers, scales, self.block.as_deref())
        };
        let place = self.names[&of];
        self.slots[place] = Some(joined.map_err(|problem| Fault::Tensor(file, name, problem))?);
        self.joined += 1;
        Ok(())
    }

    /// Joins the four tensors of a weight that GPTQ has packed.
    fn gptq(&mut self, codes: StoredTensor, base: &str) -> Result<(), Fault> {
        let grouped = self.names.contains_key(&format!("{base}.g_idx"));
        let how = match (self.entry, self.method()) {
            (Some(entry), Some("gptq")) => entry.gptq().map_err(|p| self.of_entry(p, &codes))?,
            (_, Some(_)) => return Err(self.unread(&codes, "gptq or awq")),
            (_, None) if grouped => return Err(fault(&codes, UNSAID_GPTQ)),
            (_, None) => return Err(self.unread(&codes, "awq")),
        };
        let scales = self.partner(&codes, format!("{base}.scales"))?;
        let zeros = self.partner(&codes, format!("{base}.qzeros"))?;
        let groups = self.partner(&codes, format!("{base}.g_idx"))?;
        // The number of words times 32 equals the number of columns times the bits per code.
        let words = codes.shape.first().copied().unwrap_or_default();
        let shown = words.saturating_mul(32).checked_div(groups.values());
        let bits = how.bits.or(shown.and_then(|bits| u32::try_from(bits).ok()));
        let Some(bits @ (2 | 4 | 8)) = bits else {
            return Err(self.unread(&codes, "gptq with a number of bits other than 2, 4 and 8"));
        };
        let of = [codes, scales, zeros, groups];
        let name = format!("{base}.weight");
        self.last.push(Packed::columns(name, bits, how.raise, of, self.files)?);
        self.joined += 1;
        Ok(())
    }

    /// Joins the tensors of a weight that compressed-tensors has packed.
    fn packed(&mut self, codes: StoredTensor, base: &str) -> Result<(), Fault> {
        let (bits, group) = match (self.entry, self.method()) {
            (Some(entry), Some("compressed-tensors")) => {
                entry.packed().map_err(|problem| self.of_entry(problem, &codes))?
            }
            _ => return Err(self.unread(&codes, "compressed-tensors")),
        };
        let scales = self.partner(&codes, format!("{base}_scale"))?;
        let shape = self.partner(&codes, format!("{base}_shape"))?;
        let zeros = self.take(&format!("{base}_zero_point"));
        let of = [codes, scales, shape];
        let name = base.to_owned();
        self.last.push(Packed::groups(name, bits, group, of, zeros, self.files)?);
        self.joined += 1;
        Ok(())
    }

    /// Finds the block that shares a scale where scales are for neither rows nor tensors: the
    /// entry's, or else the only power of two that fits all tensors.
    fn find_block(&self) -> Result<Option<Vec<u64>>, Fault> {
        let pairs = self.slots.iter().flatten().filter_map(|scales| {
            let numbers = self.get(&self.numbers_of(&scales.name)?)?;
            Some((scales, numbers)).filter(|(scales, numbers)| !in_pairs(numbers, scales))
        });
        let pairs: Vec<_> = pairs.collect();
        let Some((scales, _)) = pairs.first() else { return Ok(None) };
        let said = self.entry.map_or(Ok(None), Entry::block);
        if let Some(block) = said.map_err(|problem| self.of_entry(problem, scales))? {
            return Ok(Some(block));
        }
        let mut sizes = scaled::BLOCKS.to_vec();
        for (scales, numbers) in pairs {
            let fits = |block: Option<&[u64]>| scaled::fits(&numbers.shape, &scales.shape, block);
            if !fits(None) {
                sizes.retain(|size| fits(Some(&[*size; 2])));
            }
        }
        Ok(match sizes[..] {
            [size] => Some(vec![size; 2]),
            _ => None,
        })
    }

    /// Checks that no parts of quantized weights are left over.
    fn check_rest(&self) -> Result<(), Fault> {
        for tensor in self.slots.iter().flatten() {
            if let Some(method) = unread_method(tensor) {
                return Err(self.unread(tensor, method));
            }
        }
        let unknown = self.method().is_some_and(|method| !METHODS.contains(&method));
        for tensor in self.slots.iter().flatten() {
            if is_codes(tensor) || unknown && may_be_codes(tensor) {
                let base = tensor.name.strip_suffix("weight");
                let has = |part: &str| {
                    base.is_some_and(|base| self.get(&format!("{base}{part}")).is_some())
                };
                let ty = tensor.ty.name();
                let method = match has("scales") && has("biases") {
                    true => "MLX".to_owned(),
                    false => format!("an unknown method, to {ty}"),
                };
                return Err(self.unread(tensor, &method));
            }
        }
        Ok(())
    }

    /// Adds warnings for anything odd.
    fn warn(&self, before: usize, warnings: &mut Vec<String>) {
        let rest: Vec<_> = self.slots.iter().flatten().collect();
        let plain = |tensor: &&&StoredTensor| is_float8(tensor.ty) && tensor.shape.len() >= 2;
        let unscaled: Vec<_> = rest.iter().filter(plain).collect();
        let dropped = before > rest.len();
        if let Some(entry) = self.entry
            && self.joined == 0
            && !dropped
        {
            let file = entry.path().file_name().unwrap_or_default().to_string_lossy();
            let method = entry.method().unwrap_or("unnamed method");
            warnings.push(format!(
                "{file} says that the model is quantized ({method}), but no tensor is: the entry \
                 is ignored"
            ));
        }
        if let (Some(first), true) = (unscaled.first(), self.joined > 0) {
            let more = match unscaled.len() - 1 {
                0 => String::new(),
                1 => " and another tensor".to_owned(),
                more => format!(" and {more} other tensors"),
            };
            warnings.push(format!(
                "tensor {:?}{more}: the numbers are {} but have no scales, although other tensors \
                 have scales; they are read unscaled",
                first.name,
                first.ty.name()
            ));
        }
    }

    /// Makes the fault of a tensor that shows an unsupported method. Names the entry's method if
    /// that is unsupported too, and otherwise `method`.
    fn unread(&self, tensor: &StoredTensor, method: &str) -> Fault {
        match (self.entry, self.method()) {
            (Some(entry), Some(named)) if named == method => {
                self.of_entry(entry::unread(entry.named()), tensor)
            }
            (_, Some(named)) if !METHODS.contains(&named) => {
                self.of_entry(entry::unread(named.to_owned()), tensor)
            }
            _ => fault(tensor, entry::unread(method.to_owned())),
        }
    }

    /// Makes a fault of the entry that names a tensor as evidence that the entry applies.
    fn of_entry(&self, problem: Problem, tensor: &StoredTensor) -> Fault {
        Fault::Entry(match problem {
            Problem::Quantization { method, .. } => {
                Problem::Quantization { method, tensor: Some(tensor.name.clone()) }
            }
            problem => problem,
        })
    }
}

const UNSAID_GPTQ: Problem = Problem::QuantizationUnsaid {
    method: "gptq",
    lacks: "how to read its zero points: config.json needs a quantization_config with \
            \"quant_method\", \"bits\" and \"checkpoint_format\", or the folder the model's \
            quantize_config.json",
};

/// Returns whether each byte holds two MXFP4 codes, and 32 codes share a scale.
fn in_pairs(numbers: &StoredTensor, scales: &StoredTensor) -> bool {
    matches!(numbers.ty, DataType::I8 | DataType::U8)
        && scales.ty == DataType::F8E8M0
        && numbers.columns().checked_mul(2) == scales.columns().checked_mul(32)
}

const fn is_float8(ty: DataType) -> bool {
    matches!(ty, DataType::F8E4M3 | DataType::F8E5M2)
}

/// Returns whether scales can have this type.
const fn is_float(ty: DataType) -> bool {
    use DataType::{BF16, F8E4M3, F8E5M2, F8E8M0, F16, F32, F64};
    matches!(ty, F64 | F32 | F16 | BF16 | F8E4M3 | F8E5M2 | F8E8M0)
}

fn fault(tensor: &StoredTensor, problem: Problem) -> Fault {
    Fault::Tensor(tensor.file, tensor.name.clone(), problem)
}
