//! Integer codes with a scale, and maybe a zero point, for each group of columns.

use std::ops::Range;

use half::f16;

use super::codes::{Codes, part};
use super::rows::Rows;
use crate::Error;
use crate::data_type::{DataType, to_bf16};
use crate::file::DataFile;
use crate::stored::StoredTensor;

/// A matrix of codes and its factors.
#[derive(Clone, Debug, Hash)]
pub(super) struct Grouped {
    pub(super) codes: Codes,
    pub(super) rows: u64,
    pub(super) columns: u64,
    pub(super) groups: Groups,
    pub(super) scales: Factors,
    pub(super) zeros: Zeros,
    /// The type that every operation rounds to; `None` for `f32`.
    pub(super) rounding: Option<DataType>,
}

/// The groups that columns belong to.
#[derive(Clone, Debug, Hash)]
pub(super) enum Groups {
    /// This number of neighbours each.
    Of(u64),
    /// As listed, for each column.
    Listed(Vec<u32>),
}

/// One number for each row and group.
#[derive(Clone, Debug, Hash)]
pub(super) struct Factors {
    pub(super) tensor: StoredTensor,
    /// Whether the first dimension of the tensor counts the groups.
    pub(super) by_group: bool,
    /// Number of groups; the tensor may have more columns.
    pub(super) groups: u64,
}

/// What is subtracted from the codes, or added to the products.
#[derive(Clone, Debug, Hash)]
pub(super) enum Zeros {
    /// One number for all.
    Same(i32),
    /// Codes themselves, with a number to add.
    Codes(Codes, i32),
    /// Numbers to add after the scale has been applied.
    Added(Factors),
}

impl Groups {
    fn of(&self, column: u64) -> usize {
        match self {
            Self::Of(group) => (column / group) as usize,
            Self::Listed(groups) => groups[column as usize] as usize,
        }
    }
}

impl Factors {
    /// Returns whether the tensor has a number for each row and group.
    pub(super) fn fit(&self, rows: u64) -> bool {
        let expected = if self.by_group { [self.groups, rows] } else { [rows, self.groups] };
        self.tensor.shape == expected || self.is_single()
    }

    fn is_single(&self) -> bool {
        self.tensor.values() == 1
    }

    /// Reads the factors of rows, row by row.
    fn read(&self, files: &[DataFile], rows: Range<u64>) -> Result<Vec<f32>, Error> {
        let (count, groups) = ((rows.end - rows.start) as usize, self.groups as usize);
        let widen = |bytes: Vec<u8>| self.tensor.ty.widen(&bytes);
        if self.is_single() {
            let mut bytes = vec![0; self.tensor.ty.bytes() as usize];
            self.tensor.read(files, 0, &mut bytes)?;
            return Ok(vec![widen(bytes)[0]; count * groups]);
        }
        if !self.by_group {
            return part(&self.tensor, files, rows, 0..self.groups).map(widen);
        }
        let across = widen(part(&self.tensor, files, 0..self.groups, rows)?);
        let mut out = vec![0.0; count * groups];
        for (group, values) in across.chunks_exact(count.max(1)).enumerate() {
            for (row, value) in values.iter().enumerate() {
                out[row * groups + group] = *value;
            }
        }
        Ok(out)
    }
}

impl Rows for Grouped {
    fn size(&self) -> [u64; 2] {
        [self.rows, self.columns]
    }

    fn parts(&self) -> Vec<&StoredTensor> {
        let zeros = match &self.zeros {
            Zeros::Same(_) => None,
            Zeros::Codes(codes, _) => Some(&codes.words),
            Zeros::Added(factors) => Some(&factors.tensor),
        };
        zeros.into_iter().chain([&self.scales.tensor, &self.codes.words]).collect()
    }

    fn decode(&self, files: &[DataFile], rows: Range<u64>) -> Result<Vec<f32>, Error> {
        let (width, groups) = (self.columns as usize, self.scales.groups as usize);
        let codes = self.codes.read(files, rows.clone(), self.columns)?;
        let scales = self.scales.read(files, rows.clone())?;
        let numbers = match &self.zeros {
            Zeros::Added(numbers) => numbers.read(files, rows.clone())?,
            _ => Vec::new(),
        };
        let zeros = match &self.zeros {
            Zeros::Codes(zeros, raise) => {
                let mut zeros = zeros.read(files, rows, self.scales.groups)?;
                zeros.iter_mut().for_each(|zero| *zero += raise);
                zeros
            }
            Zeros::Same(zero) => vec![*zero; scales.len()],
            _ => Vec::new(),
        };
        let group_of: Vec<usize> = (0..self.columns).map(|column| self.groups.of(column)).collect();
        let mut out = vec![0.0; codes.len()];
        let lines = out.chunks_exact_mut(width.max(1)).zip(codes.chunks_exact(width.max(1)));
        for (row, (out, codes)) in lines.enumerate() {
            for ((out, code), group) in out.iter_mut().zip(codes).zip(&group_of) {
                let at = row * groups + group;
                let rounded = |value| round(self.rounding, value);
                *out = match &self.zeros {
                    Zeros::Same(_) | Zeros::Codes(..) => {
                        rounded(scales[at] * (code - zeros[at]) as f32)
                    }
                    Zeros::Added(_) => rounded(rounded(*code as f32 * scales[at]) + numbers[at]),
                };
            }
        }
        Ok(out)
    }
}

/// Rounds to a 16-bit type.
pub(super) fn round(ty: Option<DataType>, value: f32) -> f32 {
    match ty {
        Some(DataType::BF16) => f32::from_bits(u32::from(to_bf16(value)) << 16),
        Some(DataType::F16) => f16::from_f32(value).to_f32(),
        _ => value,
    }
}
