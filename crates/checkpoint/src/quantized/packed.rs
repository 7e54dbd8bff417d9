//! Tensors of integers of a few bits, several to a word. They are read as `f32`.

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::{Data, Joined, StoredTensor};
use crate::{Error, Problem};

/// Rows to decode together if their codes run across words. Bounds the memory use.
const BATCH: u64 = 64;

/// Codes and their companion tensors, by layout.
#[derive(Clone, Debug, Hash)]
pub(super) struct Packed {
    layout: Layout,
    /// Bits per code.
    bits: u32,
    rows: u64,
    columns: u64,
}

#[derive(Clone, Debug, Hash)]
enum Layout {
    /// compressed-tensors: words run along the rows, and each `group` of columns has a scale.
    Groups { codes: StoredTensor, scales: StoredTensor, zeros: Option<StoredTensor>, group: u64 },
    /// GPTQ: words run across the rows, so the codes are transposed, and each column has a group
    /// number.
    Columns {
        codes: StoredTensor,
        scales: StoredTensor,
        zeros: StoredTensor,
        groups: Vec<u32>,
        /// The number added to each zero point.
        raise: i32,
    },
    /// BitNet: bits `2 i` and `2 i + 1` of all bytes form quarter `i` of the rows. One inverse
    /// scale.
    Ternary { codes: StoredTensor, scale: StoredTensor },
}

impl Joined for Packed {
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let mut at = start / 4;
        let mut rest = out;
        while !rest.is_empty() {
            let (row, skip) = (at / self.columns, at % self.columns);
            let wanted = rest.len() as u64 / 4;
            let rows = (skip + wanted).div_ceil(self.columns).min(BATCH);
            let values = self.decode(files, row..row + rows)?;
            let count = wanted.min(rows * self.columns - skip);
            let (here, after) = rest.split_at_mut((count * 4) as usize);
            let values = &values[skip as usize..][..count as usize];
            for (to, value) in here.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                *to = value.to_le_bytes();
            }
            rest = after;
            at += count;
        }
        Ok(())
    }

    fn fingerprint(&self, mut into: &mut dyn Hasher) {
        ("packed", self).hash(&mut into);
    }
}

impl Packed {
    /// Makes the tensor `name` of a compressed-tensors checkpoint. `shape` holds the numbers of
    /// rows and columns.
    pub(super) fn groups(
        name: String,
        bits: u32,
        group: u64,
        [codes, scales, shape]: [StoredTensor; 3],
        zeros: Option<StoredTensor>,
        files: &[DataFile],
    ) -> Result<StoredTensor, Error> {
        let mut dimensions = [0; 2];
        if matches!(shape.ty, DataType::I32 | DataType::I64) && shape.shape == [2] {
            let mut bytes = vec![0; shape.bytes() as usize];
            shape.read(files, 0, &mut bytes)?;
            let size = shape.ty.bytes() as usize;
            for (to, from) in dimensions.iter_mut().zip(bytes.chunks_exact(size)) {
                let mut word = [if from[size - 1] & 0x80 != 0 { 0xff } else { 0 }; 8];
                word[..size].copy_from_slice(from);
                *to = u64::try_from(i64::from_le_bytes(word)).unwrap_or_default();
            }
        }
        let [rows, columns] = dimensions;
        let per_word = u64::from(32 / bits);
        let groups = columns / group;
        let fits = columns.is_multiple_of(group)
            && codes.ty == DataType::I32
            && codes.shape == [rows, columns.div_ceil(per_word)]
            && scales.shape == [rows, groups]
            && zeros.as_ref().is_none_or(|zeros| {
                zeros.ty == DataType::I32 && zeros.shape == [rows.div_ceil(per_word), groups]
            });
        let (file, of) = (codes.file, [&codes, &scales, &shape].map(summary));
        let layout = Layout::Groups { codes, scales, zeros, group };
        let packed = Self { layout, bits, rows, columns };
        packed
            .into_tensor(name.clone(), file, fits, &of)
            .map_err(|problem| Error::of_tensor(files[file].path(), &name, problem))
    }

    /// Makes the tensor `name` of a GPTQ checkpoint.
    pub(super) fn columns(
        name: String,
        bits: u32,
        raise: i32,
        [codes, scales, zeros, index]: [StoredTensor; 4],
        files: &[DataFile],
    ) -> Result<StoredTensor, Error> {
        let per_word = u64::from(32 / bits);
        let (groups, rows) = match scales.shape[..] {
            [groups, rows] => (groups, rows),
            _ => (0, 0),
        };
        let columns = index.values();
        let mut fits = codes.ty == DataType::I32
            && zeros.ty == DataType::I32
            && index.ty == DataType::I32
            && rows.is_multiple_of(per_word)
            && columns.is_multiple_of(per_word)
            && index.shape.len() == 1
            && codes.shape == [columns / per_word, rows]
            && zeros.shape == [groups, rows / per_word];
        let mut numbers = Vec::new();
        if fits {
            let mut bytes = vec![0; index.bytes() as usize];
            index.read(files, 0, &mut bytes)?;
            numbers.extend(bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)));
            fits = numbers.iter().all(|number| u64::from(*number) < groups);
        }
        let (file, of) = (codes.file, [&codes, &scales, &zeros, &index].map(summary));
        let layout = Layout::Columns { codes, scales, zeros, groups: numbers, raise };
        let packed = Self { layout, bits, rows, columns };
        packed
            .into_tensor(name.clone(), file, fits, &of)
            .map_err(|problem| Error::of_tensor(files[file].path(), &name, problem))
    }

    /// Makes the tensor of a BitNet checkpoint with these codes.
    pub(super) fn ternary(
        codes: StoredTensor,
        scale: StoredTensor,
    ) -> Result<StoredTensor, Problem> {
        let (rows, columns) = match codes.shape[..] {
            [rows, columns] => (rows.saturating_mul(4), columns),
            _ => (0, 0),
        };
        let fits = codes.shape.len() == 2 && codes.ty == DataType::U8 && scale.values() == 1;
        let (name, file, of) = (codes.name.clone(), codes.file, [&codes, &scale].map(summary));
        let packed = Self { layout: Layout::Ternary { codes, scale }, bits: 2, rows, columns };
        packed.into_tensor(name, file, fits, &of)
    }

    fn into_tensor(
        self,
        name: String,
        file: usize,
        fits: bool,
        of: &[String],
    ) -> Result<StoredTensor, Problem> {
        let shape = vec![self.rows, self.columns];
        let values = self.rows.checked_mul(self.columns);
        if !fits || values.is_none_or(|values| values.checked_mul(4).is_none()) {
            return Err(Problem::Packed { tensors: of.join(", "), bits: self.bits });
        }
        Ok(StoredTensor {
            name,
            ty: DataType::F32,
            shape,
            file,
            data: Data::Joined(Arc::new(self)),
        })
    }

    /// Decodes the values of whole rows.
    fn decode(&self, files: &[DataFile], rows: Range<u64>) -> Result<Vec<f32>, Error> {
        let width = self.columns as usize;
        let mut out = vec![0.0; (rows.end - rows.start) as usize * width];
        let per_word = u64::from(32 / self.bits);
        let code = |words: &[u32], index: u64| {
            let (word, place) = (index / per_word, (index % per_word) as u32);
            (words[word as usize] >> (place * self.bits) & ((1 << self.bits) - 1)) as i32
        };
        match &self.layout {
            Layout::Groups { codes, scales, zeros, group } => {
                for (row, out) in rows.zip(out.chunks_exact_mut(width.max(1))) {
                    let codes = words(codes, files, row)?;
                    let scales = numbers(scales, files, row)?;
                    let zeros = match zeros {
                        Some(zeros) => Some(words(zeros, files, row / per_word)?),
                        None => None,
                    };
                    for (column, out) in (0..).zip(out) {
                        let in_group = (column / group) as usize;
                        let zero = match &zeros {
                            Some(zeros) => code(&zeros[in_group..], row % per_word),
                            None => 1 << (self.bits - 1),
                        };
                        *out = (code(&codes, column) - zero) as f32 * scales[in_group];
                    }
                }
            }
            Layout::Columns { codes, scales, zeros, groups, raise } => {
                let piece = |tensor: &StoredTensor, row: u64, part: Range<u64>| {
                    let size = tensor.ty.bytes();
                    let mut bytes = vec![0; ((part.end - part.start) * size) as usize];
                    let start = row * tensor.columns() + part.start;
                    tensor.read(files, start * size, &mut bytes).map(|()| bytes)
                };
                let across = rows.start / per_word..rows.end.div_ceil(per_word);
                let (mut all_scales, mut all_zeros) = (Vec::new(), Vec::new());
                for group in 0..scales.shape[0] {
                    all_scales.push(scales.ty.widen(&piece(scales, group, rows.clone())?));
                    all_zeros.push(as_words(&piece(zeros, group, across.clone())?));
                }
                for word in 0..codes.shape[0] {
                    let words = as_words(&piece(codes, word, rows.clone())?);
                    for (place, column) in
                        (0..per_word).map(|p| (p, (word * per_word + p) as usize))
                    {
                        let group = groups[column] as usize;
                        let (scales, zeros) = (&all_scales[group], &all_zeros[group]);
                        for (i, row) in rows.clone().enumerate() {
                            let zero = code(zeros, row - across.start * per_word) + raise;
                            let value = code(&words[i..], place) - zero;
                            out[i * width + column] = scales[i] * value as f32;
                        }
                    }
                }
            }
            Layout::Ternary { codes, scale } => {
                let scale = numbers(scale, files, 0)?;
                let quarter = codes.shape[0];
                for (row, out) in rows.zip(out.chunks_exact_mut(width.max(1))) {
                    let mut bytes = vec![0; width];
                    codes.read(files, row % quarter * self.columns, &mut bytes)?;
                    for (out, byte) in out.iter_mut().zip(bytes) {
                        let code = byte >> (row / quarter * 2) & 3;
                        *out = (f32::from(code) - 1.0) / scale[0];
                    }
                }
            }
        }
        Ok(out)
    }
}

/// Reads a row of words.
fn words(tensor: &StoredTensor, files: &[DataFile], row: u64) -> Result<Vec<u32>, Error> {
    row_bytes(tensor, files, row).map(|bytes| as_words(&bytes))
}

fn as_words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

/// Reads a row of numbers.
fn numbers(tensor: &StoredTensor, files: &[DataFile], row: u64) -> Result<Vec<f32>, Error> {
    row_bytes(tensor, files, row).map(|bytes| tensor.ty.widen(&bytes))
}

fn row_bytes(tensor: &StoredTensor, files: &[DataFile], row: u64) -> Result<Vec<u8>, Error> {
    let length = tensor.columns() * tensor.ty.bytes();
    let mut bytes = vec![0; length as usize];
    tensor.read(files, row * length, &mut bytes)?;
    Ok(bytes)
}

/// Describes a tensor in messages.
fn summary(tensor: &StoredTensor) -> String {
    format!("{:?} {} {:?}", tensor.name, tensor.ty.name(), tensor.shape)
}
