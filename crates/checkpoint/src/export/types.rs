//! Chooses the type of every tensor, and inverts changed values.

use granule_format::{BlockType, TensorType};
use granule_reader::{Model, Tensor};
use half::{bf16, f16};

use super::invert::Saved;
use crate::Error;
use crate::changes::Changes;

/// The type of the exported tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportType {
    /// The file's 16-bit type; F32 if the file has only F32, and F16 if it is quantized. Tensors
    /// that 16 bits cannot restore exactly stay F32.
    #[default]
    Auto,
    /// One type for all tensors: F32, F16 or BF16.
    Type(BlockType),
}

impl ExportType {
    /// Returns the type with this name, ignoring case.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("auto") {
            return Some(Self::Auto);
        }
        let types = [BlockType::F32, BlockType::F16, BlockType::BF16];
        types.into_iter().find(|ty| ty.name().eq_ignore_ascii_case(name)).map(Self::Type)
    }
}

/// The types of the tensors, and how many of their values a conversion would not restore.
pub(super) struct Types {
    pub(super) types: Vec<BlockType>,
    /// Changed tensors that are inexact: the name and the number of values that differ.
    pub(super) inexact: Vec<(String, u64)>,
    /// The type of most tensors.
    pub(super) main: BlockType,
}

/// Chooses the types. Reads the tensors whose values decide.
pub(super) fn choose(model: &Model, saved: &[Saved], wanted: ExportType) -> Result<Types, Error> {
    let main = main(model, wanted);
    let mut types = vec![main; saved.len()];
    let mut inexact = Vec::new();
    let mut start = 0;
    while start < saved.len() {
        let rule = saved[start].rule;
        let count = saved[start..].iter().take_while(|saved| saved.rule == rule).count();
        let same = &saved[start..start + count];
        let changes = !same[0].changes.is_none();
        let stored = |ty| same.iter().flat_map(|s| &s.pieces).all(|p| is(model, p.tensor, ty));
        let lossless = !changes && (main == BlockType::F32 || stored(main));
        let quantized = same.iter().flat_map(|s| &s.pieces).any(|p| quantized(model, p.tensor));
        let mut ty = main;
        let exact = |value: &f32| returns(round((*value).into(), main), *value);
        if !same.iter().flat_map(|saved| saved.given.iter().flatten()).all(exact) {
            ty = if wanted == ExportType::Auto { BlockType::F32 } else { main };
        }
        if same[0].ids {
            ty = BlockType::I64; // ids, and their differences from positions
        } else if !lossless && !quantized && (wanted == ExportType::Auto || changes) {
            let lost = lost(model, same, main)?;
            let mut left = lost;
            if lost > 0 && wanted == ExportType::Auto && main != BlockType::F32 {
                ty = BlockType::F32;
                left = if changes { self::lost(model, same, ty)? } else { 0 };
            }
            if left > 0 {
                inexact.push((same[0].name.clone(), left));
            }
        }
        types[start..start + count].fill(ty);
        start += count;
    }
    Ok(Types { types, inexact, main })
}

/// Returns the type of most tensors.
pub(super) fn main(model: &Model, wanted: ExportType) -> BlockType {
    if let ExportType::Type(ty) = wanted {
        return ty;
    }
    let known = model.tensors().filter(|tensor| tensor.shape().dimensions().len() > 1);
    let known: Vec<_> = known.filter_map(|tensor| tensor.ty().known()).collect();
    let half = known.iter().find(|ty| matches!(**ty, BlockType::F16 | BlockType::BF16));
    match half {
        _ if known.iter().any(|ty| ty.is_quantized()) => BlockType::F16,
        Some(half) => *half,
        None => BlockType::F32,
    }
}

fn is(model: &Model, tensor: usize, ty: BlockType) -> bool {
    model.tensor_at(tensor).ty() == TensorType::Known(ty)
}

fn quantized(model: &Model, tensor: usize) -> bool {
    model.tensor_at(tensor).ty().known().is_some_and(BlockType::is_quantized)
}

/// Counts the values of tensors that a conversion would not restore if they were saved in this
/// type.
fn lost(model: &Model, saved: &[Saved], ty: BlockType) -> Result<u64, Error> {
    let mut tensors: Vec<usize> =
        saved.iter().flat_map(|s| s.pieces.iter().map(|piece| piece.tensor)).collect();
    tensors.sort_unstable();
    tensors.dedup();
    let mut lost = 0;
    let mut values = Vec::new();
    for tensor in tensors {
        let tensor = model.tensor_at(tensor);
        let undo = Undo::new(&saved[0].changes, ty, tensor);
        let step = (SCANNED / tensor.row_values().max(1)).max(1);
        let mut row = 0;
        while row < tensor.rows() {
            let end = tensor.rows().min(row + step);
            values.resize((end - row) * tensor.row_values(), 0.0);
            tensor.decode_rows(row..end, &mut values)?;
            let first = (row * tensor.row_values()) as u64;
            let values = values.iter().enumerate();
            let gone =
                values.filter(|(index, value)| !undo.is_exact(**value, first + *index as u64));
            lost += gone.count() as u64;
            row = end;
        }
    }
    Ok(lost)
}

/// Values to scan at a time.
const SCANNED: usize = 1 << 18;

fn returns(found: f32, wanted: f32) -> bool {
    found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan()
}

/// Rounds to the nearest number of a type.
fn round(value: f64, ty: BlockType) -> f32 {
    match ty {
        BlockType::F16 => f16::from_f64(value).to_f32(),
        BlockType::BF16 => bf16::from_f64(value).to_f32(),
        _ => value as f32,
    }
}

/// The way back from the changed values of a tensor of the file.
pub(super) struct Undo<'a> {
    changes: &'a Changes,
    /// The type in the checkpoint, and that in the file.
    types: (BlockType, BlockType),
    /// Number of values for each index of the outermost dimension.
    row: u64,
}

impl<'a> Undo<'a> {
    /// Returns the way from a tensor of the file to a tensor of this type.
    pub(super) fn new(changes: &'a Changes, ty: BlockType, tensor: Tensor<'_>) -> Self {
        let shape = tensor.shape();
        let outermost = shape.dimensions().last().copied().unwrap_or(1).max(1);
        let row = (shape.values().unwrap_or_default() / outermost).max(1);
        Self { changes, types: (ty, tensor.ty().known().unwrap_or(BlockType::F32)), row }
    }

    /// Replaces consecutive values. The first has index `first` in the file.
    pub(super) fn all<'v>(&self, first: u64, values: impl Iterator<Item = &'v mut f32>) {
        if !self.changes.is_none() {
            values.zip(first..).for_each(|(value, index)| *value = self.of(*value, index));
        }
    }

    /// Returns whether a conversion restores the value at an index of the file.
    fn is_exact(&self, value: f32, index: u64) -> bool {
        let back = if self.changes.is_none() {
            round(f64::from(value), self.types.0)
        } else {
            self.of(value, index)
        };
        returns(self.redo(back, index), value)
    }

    /// Applies the changes that a conversion makes to a number of the checkpoint.
    fn redo(&self, value: f32, index: u64) -> f32 {
        let half = self.types.0 == BlockType::F16;
        let changed = self.changes.of(value, index / self.row, half);
        if self.changes.is_none() { changed } else { round(changed.into(), self.types.1) }
    }

    /// Returns the number of the checkpoint's type that a conversion changes to `value`, or else a
    /// close one.
    fn of(&self, value: f32, index: u64) -> f32 {
        let ty = self.types.0;
        let first = round(self.changes.undo(value, index / self.row, ty == BlockType::F16), ty);
        if returns(self.redo(first, index), value) {
            return first;
        }
        // Every step rounds, and a rounded result can have several origins.
        let (mut down, mut up) = (first, first);
        for _ in 0..NEIGHBOURS {
            (down, up) = (next(down, ty, f32::next_down), next(up, ty, f32::next_up));
            let near = [down, up].into_iter().find(|near| returns(self.redo(*near, index), value));
            if let Some(found) = near {
                return found;
            }
        }
        first
    }
}

/// Returns the neighbour of a number in a type.
fn next(value: f32, ty: BlockType, step: fn(f32) -> f32) -> f32 {
    let up = step(0.0) > 0.0;
    let toward = |bits: u16| {
        let grows = up == (bits >> 15 == 0);
        if grows { bits.saturating_add(1) } else { bits.saturating_sub(1) }
    };
    match ty {
        BlockType::F16 => f16::from_bits(toward(f16::from_f32(value).to_bits())).to_f32(),
        BlockType::BF16 => bf16::from_bits(toward(bf16::from_f32(value).to_bits())).to_f32(),
        _ => step(value),
    }
}

/// Numbers to try on each side.
const NEIGHBOURS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::{Step, What};

    #[test]
    fn changed_values_come_back() {
        let step = |what| Step { what, rows: None };
        let changes = [
            vec![step(What::Add(1.0))],
            vec![step(What::Add(0.2))],
            vec![step(What::NegativeExponential)],
            vec![step(What::Exponential)],
            vec![step(What::Multiply(0.3)), step(What::Multiply(1.7))],
        ];
        let changes = changes.map(Changes::new);
        let mut seed = 1_u32;
        for ty in [BlockType::F32, BlockType::F16, BlockType::BF16] {
            for (changes, stored) in changes.iter().flat_map(|c| [(c, BlockType::F32), (c, ty)]) {
                let undo = Undo { changes, types: (ty, stored), row: 1 };
                for index in 0..20_000 {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let value = (f64::from(seed >> 8) / f64::from(1 << 24) - 0.5) * 7.0;
                    let value = round(value, ty);
                    let there = undo.redo(value, index);
                    let back = undo.of(there, index);
                    assert!(returns(undo.redo(back, index), there), "{ty} {changes:?} {value}");
                    assert!(undo.is_exact(there, index));
                }
            }
        }
    }

    #[test]
    fn names_of_types_are_found() {
        assert_eq!(ExportType::from_name("bf16"), Some(ExportType::Type(BlockType::BF16)));
        assert_eq!(ExportType::from_name("AUTO"), Some(ExportType::Auto));
        assert_eq!(ExportType::from_name("Q8_0"), None);
    }
}
