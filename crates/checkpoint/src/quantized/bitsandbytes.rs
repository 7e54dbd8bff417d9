//! bitsandbytes: codes of 4 bits in the order of the values, each the number of a level, with a
//! scale for each block of values; or numbers of 8 bits with a scale for each row.
//!
//! The scales of blocks may be quantized themselves: bytes that number levels, with a scale for
//! each block of them and one number to add to all.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Fault, Joiner, fault, scaled, summary};
use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::{Data, Joined, StoredTensor};
use crate::{Error, Problem, QuantizedProblem};

/// Kinds of levels.
const KINDS: [&str; 2] = ["nf4", "fp4"];

/// Most bytes of the description of a weight.
const MOST_STATE: u64 = 1 << 16;

/// A weight of 4 bits. Levels and numbers are kept as bits.
#[derive(Clone, Debug, Hash)]
struct Levels {
    /// Byte `i` holds the codes of values `2 i` (high nibble) and `2 i + 1`.
    codes: StoredTensor,
    /// The value of each code.
    levels: Vec<u32>,
    /// One scale for each block; bytes if there are nested scales.
    scales: StoredTensor,
    /// Values in a block.
    block: u64,
    nested: Option<Nested>,
}

/// How scales are quantized.
#[derive(Clone, Debug, Hash)]
struct Nested {
    levels: Vec<u32>,
    scales: StoredTensor,
    block: u64,
    offset: u32,
}

/// Joins the tensors of a weight of 4 bits. `None` if no tensor describes it.
pub(super) fn four_bits(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    let named = |end: &str| format!("{base}.weight.{end}");
    let state = KINDS
        .iter()
        .find_map(|kind| joiner.take(&named(&format!("quant_state.bitsandbytes__{kind}"))));
    let Some(state) = state else { return Ok(None) };
    let about = describe(joiner, &state)?;
    let wrong =
        || fault(&state, QuantizedProblem::QuantState { state: Value::from(about.clone()) });
    let scales = joiner.partner(codes, named("absmax"))?;
    let map = joiner.partner(codes, named("quant_map"))?;
    let nested = joiner.take(&named("nested_absmax"));
    let nested_map = joiner.take(&named("nested_quant_map"));

    let number = |key: &str| about.get(key).and_then(Value::as_u64).filter(|number| *number > 0);
    let shape = about.get("shape").and_then(Value::as_array).ok_or_else(wrong)?;
    let shape: Vec<u64> =
        shape.iter().map(Value::as_u64).collect::<Option<_>>().ok_or_else(wrong)?;
    let values = shape.iter().try_fold(1_u64, |all, length| all.checked_mul(*length));
    let values = values.filter(|values| values.checked_mul(4).is_some()).ok_or_else(wrong)?;
    let block = number("blocksize").ok_or_else(wrong)?;
    let names = summary(&[codes, &scales, &map]);
    let problem = || fault(codes, Problem::Packed { tensors: names.clone(), bits: 4 });

    let bytes = codes.as_bytes().ok_or_else(problem)?;
    let levels = levels(joiner, &map, 16)?;
    if bytes.values() != values.div_ceil(2) || scales.values() != values.div_ceil(block) {
        return Err(problem());
    }
    let nested = match (nested, nested_map) {
        (Some(tensor), Some(map)) if scales.ty == DataType::U8 => {
            let block = number("nested_blocksize").ok_or_else(wrong)?;
            let offset = about.get("nested_offset").and_then(Value::as_f64).ok_or_else(wrong)?;
            if tensor.values() != scales.values().div_ceil(block) || !super::is_float(tensor.ty) {
                return Err(problem());
            }
            joiner.check_scales(&tensor)?;
            let levels = self::levels(joiner, &map, 256)?;
            Some(Nested { levels, scales: tensor, block, offset: (offset as f32).to_bits() })
        }
        (None, None) if super::is_float(scales.ty) => {
            joiner.check_scales(&scales)?;
            None
        }
        _ => return Err(problem()),
    };
    Ok(Some(StoredTensor {
        name: named("").trim_end_matches('.').to_owned(),
        ty: DataType::F32,
        shape,
        file: codes.file,
        data: Data::Joined(Arc::new(Levels { codes: bytes, levels, scales, block, nested })),
    }))
}

/// Joins the numbers of 8 bits and the scales of their rows. `None` if there are no such scales.
pub(super) fn eight_bits(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    /// The rounded reciprocal of 127.
    const PER_STEP: f32 = 7.874_016e-3;
    if codes.ty != DataType::I8 {
        return Ok(None);
    }
    let Some(scales) = joiner.take(&format!("{base}.SCB")) else { return Ok(None) };
    if let Some(format) = joiner.take(&format!("{base}.weight_format"))
        && scaled::any(&format, joiner.files, |number| number != 0.0)?
    {
        return Err(fault(&format, QuantizedProblem::TileOrder));
    }
    joiner.check_scales(&scales)?;
    let of = scales.clone();
    let joined = scaled::scale(codes.clone(), scales, None, None, Some(PER_STEP));
    joined.map(Some).map_err(|problem| fault(&of, problem))
}

/// Reads the description of a weight, which is JSON.
fn describe(joiner: &Joiner<'_>, state: &StoredTensor) -> Result<Map<String, Value>, Fault> {
    let wrong = || fault(state, QuantizedProblem::QuantState { state: Value::Null });
    if state.ty != DataType::U8 || state.values() > MOST_STATE {
        return Err(wrong());
    }
    let mut bytes = vec![0; state.values() as usize];
    state.read(joiner.files, 0, &mut bytes)?;
    serde_json::from_slice(&bytes).map_err(|_| wrong())
}

/// Reads levels, which must be finite.
fn levels(joiner: &Joiner<'_>, map: &StoredTensor, count: u64) -> Result<Vec<u32>, Fault> {
    if map.values() != count || !super::is_float(map.ty) {
        return Err(fault(map, QuantizedProblem::Levels { tensors: summary(&[map]), count }));
    }
    joiner.check_scales(map)?;
    let mut bytes = vec![0; map.bytes() as usize];
    map.read(joiner.files, 0, &mut bytes)?;
    Ok(map.ty.widen(&bytes).into_iter().map(f32::to_bits).collect())
}

impl Levels {
    /// Reads the scales of blocks `first` to `first + count`.
    fn scales(&self, files: &[DataFile], first: u64, count: u64) -> Result<Vec<f32>, Error> {
        let read = |tensor: &StoredTensor, first: u64, count: u64| {
            let size = tensor.ty.bytes();
            let mut bytes = vec![0; (count * size) as usize];
            tensor.read(files, first * size, &mut bytes).map(|()| bytes)
        };
        let bytes = read(&self.scales, first, count)?;
        let Some(nested) = &self.nested else { return Ok(self.scales.ty.widen(&bytes)) };
        let outer = first / nested.block;
        let blocks = (first + count).div_ceil(nested.block) - outer;
        let scales = nested.scales.ty.widen(&read(&nested.scales, outer, blocks)?);
        let scale = |(index, code): (u64, u8)| {
            let level = f32::from_bits(nested.levels[usize::from(code)]);
            let scale = scales[(index / nested.block - outer) as usize];
            level * scale + f32::from_bits(nested.offset)
        };
        Ok((first..).zip(bytes).map(scale).collect())
    }
}

impl Joined for Levels {
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let first = start / DataType::F32.bytes();
        let count = out.len() as u64 / DataType::F32.bytes();
        if count == 0 {
            return Ok(());
        }
        let end = first + count;
        let mut codes = vec![0; (end.div_ceil(2) - first / 2) as usize];
        self.codes.read(files, first / 2, &mut codes)?;
        let outer = first / self.block;
        let scales = self.scales(files, outer, end.div_ceil(self.block) - outer)?;
        for (index, out) in (first..).zip(out.as_chunks_mut::<4>().0) {
            let byte = codes[(index / 2 - first / 2) as usize];
            let code = if index % 2 == 0 { byte >> 4 } else { byte & 15 };
            let level = f32::from_bits(self.levels[usize::from(code)]);
            *out = (level * scales[(index / self.block - outer) as usize]).to_le_bytes();
        }
        Ok(())
    }

    fn parts(&self) -> Vec<&StoredTensor> {
        let nested = self.nested.iter().map(|nested| &nested.scales);
        nested.chain([&self.scales, &self.codes]).collect()
    }

    fn fingerprint(&self, mut into: &mut dyn Hasher) {
        ("bitsandbytes", self).hash(&mut into);
    }
}
