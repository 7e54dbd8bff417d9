//! Quantized checkpoints: which tensors belong together, and which weights they represent.
//!
//! The tensors decide whether a weight is quantized, by their names and types. The config only adds
//! details that they leave open, such as the number of bits. A leftover entry in the config of a
//! model that is no longer quantized is therefore harmless, and a quantized weight is never read as
//! a plain one.

mod awq;
mod bitnet;
mod bitsandbytes;
mod codes;
mod compressed;
mod entry;
mod float4;
mod gptq;
mod grouped;
mod hqq;
mod mlx;
mod mxfp4;
mod names;
mod nvfp4;
mod problem;
pub(crate) mod rows;
mod scaled;
mod shards;

use std::collections::HashMap;

use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::StoredTensor;
use crate::{Error, Problem};
pub(super) use entry::Entry;
use names::{SCALES, is_codes, is_small, is_unused, may_be_codes, scales_of, unread_method};
pub use problem::QuantizedProblem;
pub(crate) use scaled::first;

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
const METHODS: &[&str] = &[
    "awq",
    "bitnet",
    "bitsandbytes",
    "compressed-tensors",
    "fp8",
    "gptq",
    "hqq",
    "modelopt",
    "mxfp4",
    "mxfp8",
];

/// A format of weights, recognised by a tensor of codes.
struct Format {
    /// The end of the name of the codes.
    end: &'static str,
    /// Joins the tensors of a weight, given the codes and their name without the end. `None` if
    /// they have another format.
    join: Join,
    /// Whether the weights follow all other tensors, as in the reference.
    last: bool,
    /// Whether the types of the tensors say enough, even if the config names an unknown method.
    any_method: bool,
}

type Join = fn(&mut Joiner<'_>, &StoredTensor, &str) -> Result<Option<StoredTensor>, Fault>;

const fn format(end: &'static str, join: Join) -> Format {
    Format { end, join, last: false, any_method: false }
}

/// The formats, in the order in which they are tried. What is left then may be numbers with scales.
const FORMATS: &[Format] = &[
    Format { any_method: true, ..format("_blocks", float4::blocks) },
    format(".weight", bitsandbytes::four_bits),
    format(".weight", bitsandbytes::eight_bits),
    format(".weight", mlx::join),
    Format { any_method: true, ..format(".weight", float4::weight) },
    Format { any_method: true, ..format("_packed", float4::packed) },
    Format { last: true, ..format("_packed", compressed::join) },
    Format { last: true, ..format(".qweight", gptq::join) },
    format(".qweight", awq::join),
    format(".W_q", hqq::join),
];

/// How tensors are joined.
pub(super) struct How<'a> {
    /// What the checkpoint says about it.
    pub(super) entry: Option<&'a Entry>,
    /// Whether roundings to 16 bits on the way are omitted.
    pub(super) exact: bool,
    /// Whether the rows of a tensor of this name may be those of several processors, each with
    /// scales of its own.
    pub(super) sharded: &'a dyn Fn(&str) -> bool,
}

/// Joins tensors that together form one: numbers and their scales, or codes of blocks and theirs.
/// The tensors keep their order, and each result takes the place of its numbers. As in the
/// reference, some with packed codes come last instead. Returns the number of processors too, if
/// tensors have rows of several. Adds a warning for anything odd.
pub(super) fn join(
    tensors: Vec<StoredTensor>,
    How { entry, exact, sharded }: How<'_>,
    files: &[DataFile],
    warnings: &mut Vec<String>,
) -> Result<(Vec<StoredTensor>, Option<u64>), Fault> {
    if tensors.is_empty() {
        return Ok((tensors, None));
    }
    let names = tensors.iter().enumerate().map(|(index, tensor)| (tensor.name.clone(), index));
    let names = names.collect();
    let quantized = entry.is_some() || tensors.iter().any(|tensor| is_small(tensor.ty));
    let slots = tensors.into_iter().map(Some).collect();
    let last = Vec::new();
    let mut joiner = Joiner {
        entry,
        exact,
        sharded,
        quantized,
        names,
        slots,
        last,
        files,
        block: None,
        shards: None,
        joined: 0,
    };
    let before = joiner.slots.len();
    let unknown = joiner.method().is_some_and(|method| !METHODS.contains(&method));
    for format in FORMATS.iter().filter(|format| format.any_method || !unknown) {
        for index in 0..before {
            joiner.try_format(format, index)?;
        }
    }
    joiner.block = joiner.find_block()?;
    joiner.shards = joiner.find_shards()?;
    for index in 0..before {
        joiner.visit(index)?;
    }
    joiner.check_rest()?;
    joiner.warn(before, warnings);
    Ok((joiner.slots.into_iter().flatten().chain(joiner.last).collect(), joiner.shards))
}

struct Joiner<'a> {
    entry: Option<&'a Entry>,
    exact: bool,
    sharded: &'a dyn Fn(&str) -> bool,
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
    /// The number of processors whose rows are in sharded tensors, if there are any.
    shards: Option<u64>,
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
        match self.numbers_of(&tensor.name) {
            Some(numbers) => self.scale(tensor, numbers),
            None => {
                self.slots[index] = Some(tensor);
                Ok(())
            }
        }
    }

    /// Joins a weight of this format if its codes are the tensor with this index.
    fn try_format(&mut self, format: &Format, index: usize) -> Result<(), Fault> {
        let codes = self.slots[index].as_ref();
        let Some(codes) = codes.filter(|codes| codes.name.ends_with(format.end)).cloned() else {
            return Ok(());
        };
        let base = codes.name.strip_suffix(format.end).unwrap_or_default();
        if let Some(joined) = (format.join)(self, &codes, base)? {
            self.joined += 1;
            self.slots[index] = None;
            match format.last {
                true => self.last.push(joined),
                false => self.slots[index] = Some(joined),
            }
        }
        Ok(())
    }

    /// Checks that the values of a tensor are finite.
    fn check_scales(&self, scales: &StoredTensor) -> Result<(), Fault> {
        scaled::check_scales(scales, false, self.files).map_err(|error| bad(scales, error))
    }

    /// Returns the type that operations on scales of this type round to.
    fn rounding(&self, ty: DataType) -> Option<DataType> {
        Some(ty).filter(|ty| !self.exact && matches!(ty, DataType::F16 | DataType::BF16))
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
        let zeros = match self.take(&format!("{of}_zero_point")) {
            Some(zeros) if scaled::any(&zeros, self.files, |zero| zero != 0.0)? => Some(zeros),
            _ => None,
        };
        let mut scales = scales;
        if scales.ty == DataType::U8 && is_float8(numbers.ty) {
            // Bytes as scales are exponents.
            scales.ty = DataType::F8E8M0;
        }
        let bitnet = self.method() == Some("bitnet") && !is_float8(numbers.ty);
        if !bitnet && !is_float(scales.ty) {
            return Err(self.unread(&scales, &format!("a method with {} scales", scales.ty.name())));
        }
        scaled::check_scales(&scales, bitnet, self.files).map_err(|error| bad(&scales, error))?;
        let (file, name) = (scales.file, scales.name.clone());
        let joined = if bitnet {
            bitnet::join(numbers, scales)
        } else if let Some(shards) = self.shards_of(&numbers) {
            shards::scale(numbers, scales, shards, self.shard_block())
        } else {
            scaled::scale(numbers, scales, zeros, self.block.as_deref(), None)
        };
        let place = self.names[&of];
        self.slots[place] = Some(joined.map_err(|problem| Fault::Tensor(file, name, problem))?);
        self.joined += 1;
        Ok(())
    }

    /// Finds the block that shares a scale where scales are for neither rows nor tensors: the
    /// entry's, or else the only power of two that fits all tensors.
    fn find_block(&self) -> Result<Option<Vec<u64>>, Fault> {
        let pairs = self.slots.iter().flatten().filter_map(|scales| {
            let numbers = self.get(&self.numbers_of(&scales.name)?)?;
            Some((scales, numbers))
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
                let method = format!("an unknown method, to {}", tensor.ty.name());
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

const fn is_float8(ty: DataType) -> bool {
    matches!(ty, DataType::F8E4M3 | DataType::F8E5M2)
}

/// Returns whether scales can have this type.
const fn is_float(ty: DataType) -> bool {
    use DataType::{BF16, F8E4M3, F8E5M2, F8E8M0, F16, F32, F64};
    matches!(ty, F64 | F32 | F16 | BF16 | F8E4M3 | F8E5M2 | F8E8M0)
}

fn fault(tensor: &StoredTensor, problem: impl Into<Problem>) -> Fault {
    Fault::Tensor(tensor.file, tensor.name.clone(), problem.into())
}

/// Makes the fault of scales that are not usable.
fn bad(scales: &StoredTensor, error: scaled::Bad) -> Fault {
    match error {
        scaled::Bad::Scale(problem) => fault(scales, problem),
        scaled::Bad::File(error) => Fault::Other(error),
    }
}

/// Describes tensors in messages.
fn summary(tensors: &[&StoredTensor]) -> String {
    let one = |tensor: &&StoredTensor| {
        format!("{:?} {} {:?}", tensor.name, tensor.ty.name(), tensor.shape)
    };
    tensors.iter().map(one).collect::<Vec<_>>().join(", ")
}
