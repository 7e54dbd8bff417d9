//! HQQ: the values of a matrix, in groups of equal size, form a second matrix with a row or a
//! column for each group. Its rows are divided into as many parts as a word holds codes; a row of
//! words holds one row of each part, the first part in the highest bits. Zero points are not
//! integers.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::grouped::round;
use super::{Fault, Joiner, fault, is_float, summary};
use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::{Data, Joined, StoredTensor};
use crate::{Error, Problem};

/// The tensors that describe a weight, besides its codes, scales and zero points. Some are for
/// programs that quantize again.
const ABOUT: &[&str] = &[
    "axis",
    "channel_wise",
    "compute_dtype",
    "encoded_state_dict",
    "group_size",
    "nbits",
    "offload_meta",
    "optimize",
    "packing",
    "quant_scale",
    "quant_zero",
    "round_zero",
    "shape",
    "stores_quant_config",
    "unpack_view_dtype",
    "view_as_float",
];

/// Ways of packing: the name, bits of a code, codes in a word, and the type of words.
const PACKINGS: &[(&str, u32, u64, DataType)] = &[
    ("8bit_u8", 8, 1, DataType::U8),
    ("4bit_u8", 4, 2, DataType::U8),
    ("2bit_u8", 2, 4, DataType::U8),
    ("1bit_u8", 1, 8, DataType::U8),
    ("3bit_32", 3, 10, DataType::I32),
];

#[derive(Clone, Debug, Hash)]
struct Packed {
    words: StoredTensor,
    scales: StoredTensor,
    zeros: StoredTensor,
    bits: u32,
    /// Whether groups are columns of the second matrix.
    by_column: bool,
    /// Columns of the second matrix.
    width: u64,
    /// Rows of words.
    step: u64,
    /// Codes in a word.
    parts: u64,
    /// The type that each operation rounds to.
    rounding: Option<DataType>,
}

/// Joins the tensors of a weight.
pub(super) fn join(
    joiner: &mut Joiner<'_>,
    words: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    let named = |end: &str| format!("{base}.{end}");
    let scales = joiner.partner(words, named("scale"))?;
    let zeros = joiner.partner(words, named("zero"))?;
    let mut about = Vec::new();
    for end in ABOUT {
        if let Some(tensor) = joiner.take(&named(end)) {
            let size = tensor.values().saturating_mul(tensor.ty.bytes());
            let mut bytes = vec![0; size.min(1 << 10) as usize];
            if size == bytes.len() as u64 {
                tensor.read(joiner.files, 0, &mut bytes)?;
            }
            about.push((*end, tensor.ty.widen(&bytes)));
        }
    }
    let find = |end: &str| about.iter().find(|(name, _)| *name == end).map(|(_, of)| &of[..]);
    let number = |end: &str| find(end).and_then(|of| of.first().copied());
    let text = |end: &str| {
        let letters = find(end)?.iter().map(|letter| char::from(*letter as u8));
        Some(letters.collect::<String>())
    };
    let problem =
        || fault(words, Problem::Packed { tensors: summary(&[words, &scales, &zeros]), bits: 0 });
    let lacks = |what| fault(words, Problem::NoPartner { other: format!("{base}.{what}") });

    if [number("quant_scale"), number("quant_zero")].contains(&Some(1.0)) {
        return Err(joiner.unread(words, "hqq with quantized scales"));
    }
    let packing = text("packing").ok_or_else(|| lacks("packing"))?;
    let Some((_, bits, parts, ty)) = PACKINGS.iter().find(|(name, ..)| *name == packing) else {
        return Err(joiner.unread(words, &format!("hqq, packing {packing:?}")));
    };
    let Some(&[rows, columns]) = find("shape") else { return Err(lacks("shape")) };
    let [rows, columns] = [rows as u64, columns as u64];
    let axis = number("axis").ok_or_else(|| lacks("axis"))?;
    let values = rows.checked_mul(columns).filter(|values| values.checked_mul(4).is_some());
    let values = values.ok_or_else(problem)?;
    let groups = scales.values();
    if groups == 0 || !values.is_multiple_of(groups) || ![0.0, 1.0].contains(&axis) {
        return Err(problem());
    }
    let by_column = axis == 0.0;
    let size = values / groups;
    let (height, width) = if by_column { (size, groups) } else { (groups, size) };
    let step = height.div_ceil(*parts);
    let fits = words.shape == [step, width]
        && words.ty == *ty
        && zeros.shape == scales.shape
        && is_float(scales.ty)
        && is_float(zeros.ty)
        && step > 0;
    if !fits {
        return Err(problem());
    }
    joiner.check_scales(&scales)?;
    joiner.check_scales(&zeros)?;
    let same = zeros.ty == scales.ty;
    let packed = Packed {
        words: words.clone(),
        rounding: same.then(|| joiner.rounding(scales.ty)).flatten(),
        scales,
        zeros,
        bits: *bits,
        by_column,
        width,
        step,
        parts: *parts,
    };
    Ok(Some(StoredTensor {
        name: named("weight"),
        ty: DataType::F32,
        shape: vec![rows, columns],
        file: words.file,
        data: Data::Joined(Arc::new(packed)),
    }))
}

impl Joined for Packed {
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let mut at = start / DataType::F32.bytes();
        let mut out = out.as_chunks_mut::<4>().0;
        // Row by row of the second matrix.
        while !out.is_empty() {
            let (row, column) = (at / self.width, at % self.width);
            let count = (self.width - column).min(out.len() as u64);
            let (here, after) = out.split_at_mut(count as usize);
            let read = |tensor: &StoredTensor, first: u64, count: u64| {
                let size = tensor.ty.bytes();
                let mut bytes = vec![0; (count * size) as usize];
                tensor.read(files, first * size, &mut bytes).map(|()| bytes)
            };
            let words = read(&self.words, row % self.step * self.width + column, count)?;
            let groups = if self.by_column { (column, count) } else { (row, 1) };
            let factors =
                |of: &StoredTensor| read(of, groups.0, groups.1).map(|bytes| of.ty.widen(&bytes));
            let (scales, zeros) = (factors(&self.scales)?, factors(&self.zeros)?);
            let part = self.parts - 1 - row / self.step;
            let size = self.words.ty.bytes() as usize;
            for (index, (out, word)) in here.iter_mut().zip(words.chunks_exact(size)).enumerate() {
                let mut wide = [0; 4];
                wide[..size].copy_from_slice(word);
                let mask = (1_u32 << self.bits) - 1;
                let code = u32::from_le_bytes(wide) >> (part as u32 * self.bits) & mask;
                let group = if self.by_column { index } else { 0 };
                let rounded = |value| round(self.rounding, value);
                let value = rounded(rounded(code as f32 - zeros[group]) * scales[group]);
                *out = value.to_le_bytes();
            }
            out = after;
            at += count;
        }
        Ok(())
    }

    fn parts(&self) -> Vec<&StoredTensor> {
        vec![&self.scales, &self.zeros, &self.words]
    }

    fn fingerprint(&self, mut into: &mut dyn Hasher) {
        ("hqq", self).hash(&mut into);
    }
}
