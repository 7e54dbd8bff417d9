//! Chooses the type of every tensor, and inverts changed values.

use granule_format::{BlockType, TensorType};
use granule_reader::Model;
use half::{bf16, f16};

use super::invert::Saved;
use crate::Error;
use crate::arch::Change;

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
        let change = same[0].change;
        let stored = |ty| same.iter().flat_map(|s| &s.pieces).all(|p| is(model, p.tensor, ty));
        let lossless = change == Change::Keep && (main == BlockType::F32 || stored(main));
        let quantized = same.iter().flat_map(|s| &s.pieces).any(|p| quantized(model, p.tensor));
        let mut ty = main;
        let exact = |value: &f32| returns(round((*value).into(), main), *value);
        if !same.iter().flat_map(|saved| saved.given.iter().flatten()).all(exact) {
            ty = if wanted == ExportType::Auto { BlockType::F32 } else { main };
        }
        if !lossless && !quantized && (wanted == ExportType::Auto || change != Change::Keep) {
            let lost = lost(model, same, main)?;
            let mut left = lost;
            if lost > 0 && wanted == ExportType::Auto && main != BlockType::F32 {
                ty = BlockType::F32;
                left = if change == Change::Keep { 0 } else { self::lost(model, same, ty)? };
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
    let change = saved[0].change;
    let mut lost = 0;
    let mut values = Vec::new();
    for tensor in tensors {
        let tensor = model.tensor_at(tensor);
        let step = (SCANNED / tensor.row_values().max(1)).max(1);
        let mut row = 0;
        while row < tensor.rows() {
            let end = tensor.rows().min(row + step);
            values.resize((end - row) * tensor.row_values(), 0.0);
            tensor.decode_rows(row..end, &mut values)?;
            let back =
                |value: &&f32| !returns(redo(undo(**value, change, ty), change, ty), **value);
            lost += values.iter().filter(back).count() as u64;
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

/// Applies the change that a conversion makes to a number of a type.
fn redo(value: f32, change: Change, ty: BlockType) -> f32 {
    let changed = change.of(value);
    if ty == BlockType::F16 && change != Change::Keep { round(changed.into(), ty) } else { changed }
}

/// Returns the number of a type that a conversion changes to `value`, or else a close one.
pub(super) fn undo(value: f32, change: Change, ty: BlockType) -> f32 {
    let wide = f64::from(value);
    let near = match change {
        Change::Keep => return round(wide, ty),
        Change::AddOne => wide - 1.0,
        Change::NegativeExponential => (-wide).ln(),
    };
    let first = round(near, ty);
    if returns(redo(first, change, ty), value) {
        return first;
    }
    // A rounded logarithm can be off by more than half a step only in single precision.
    let (mut down, mut up) = (first, first);
    for _ in 0..if ty == BlockType::F32 { NEIGHBOURS } else { 0 } {
        (down, up) = (down.next_down(), up.next_up());
        if let Some(found) =
            [down, up].into_iter().find(|found| returns(redo(*found, change, ty), value))
        {
            return found;
        }
    }
    first
}

/// Numbers to try on each side.
const NEIGHBOURS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_values_come_back() {
        let mut seed = 1_u32;
        for ty in [BlockType::F32, BlockType::F16, BlockType::BF16] {
            for change in [Change::AddOne, Change::NegativeExponential] {
                for _ in 0..20_000 {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let value = (f64::from(seed >> 8) / f64::from(1 << 24) - 0.5) * 7.0;
                    let value = round(value, ty);
                    let there = redo(value, change, ty);
                    let back = undo(there, change, ty);
                    let again = redo(back, change, ty);
                    assert!(returns(again, there), "{ty} {change:?} {value} {back}");
                }
            }
        }
        assert_eq!(undo(1.5, Change::AddOne, BlockType::BF16), 0.5);
        assert_eq!(undo(-1.0, Change::NegativeExponential, BlockType::F32), 0.0);
    }

    #[test]
    fn names_of_types_are_found() {
        assert_eq!(ExportType::from_name("bf16"), Some(ExportType::Type(BlockType::BF16)));
        assert_eq!(ExportType::from_name("AUTO"), Some(ExportType::Auto));
        assert_eq!(ExportType::from_name("Q8_0"), None);
    }
}
