//! Feedback for types with codebooks: the entry nearest to a group of values, from group to group.
//!
//! The reference's search chooses the scales of a super-block, for the values that its columns
//! should have by then. Each group of values then gets the entry and the signs that cost least,
//! given all groups before it. When all are fixed, sweeps change the entry of each group and the
//! scale of each sub-block, given all others; `e H e` never grows by them.

mod nearest;
mod span;

use std::fmt::Debug;
use std::marker::PhantomData;

use granule_format::block::codebook::{iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs};
use granule_format::block::types;
use granule_format::{Block, BlockType};
use granule_reader::isa::Isa;
use zerocopy::{FromZeros, IntoBytes};

use super::{Feedback, LANES, WithFeedback, transpose};
use crate::encoder;
use crate::rows::blocks_for;
use crate::super_block::VALUES;
use span::{Codes, Span};

/// How often all groups are gone through when all are fixed.
const SWEEPS: usize = 2;

/// A type whose groups of `N` values are entries of a codebook with signs.
trait Codebook<const N: usize>: Debug + Sync {
    type Block: Block;
    const ENTRIES: &'static [[u8; N]];
    /// Whether an even number of each eight values is negative.
    const EVEN: bool;
    /// Values of a sub-block.
    const SUB: usize;

    /// Returns the scale of a super-block and the numbers of its sub-blocks.
    fn numbers(block: &Self::Block) -> (f32, [u8; 16]);

    /// Returns the scales of sub-blocks.
    fn decoded<const L: usize>(scale: &[f32; L], numbers: &[u8; L]) -> [f32; L];

    /// Returns the block with other codes. What is beyond those of the type is not used.
    fn with(
        block: &Self::Block,
        numbers: [u8; 16],
        indices: [u16; 64],
        signs: [u8; 32],
    ) -> Self::Block;
}

/// The scales of a super-block of each lane.
struct Numbers<const L: usize> {
    scale: [f32; L],
    numbers: [[u8; L]; 16],
}

/// The encoder of a codebook.
#[derive(Debug)]
struct Nearest<T, const N: usize>(PhantomData<T>);

/// Returns the encoder of a type with a codebook.
pub(super) fn of(ty: BlockType) -> Option<&'static dyn WithFeedback> {
    Some(match ty {
        BlockType::IQ2_XXS => &Nearest::<types::IQ2_XXS, 8>(PhantomData),
        BlockType::IQ2_XS => &Nearest::<types::IQ2_XS, 8>(PhantomData),
        BlockType::IQ2_S => &Nearest::<types::IQ2_S, 8>(PhantomData),
        BlockType::IQ3_XXS => &Nearest::<types::IQ3_XXS, 4>(PhantomData),
        BlockType::IQ3_S => &Nearest::<types::IQ3_S, 4>(PhantomData),
        _ => return None,
    })
}

impl<T: Codebook<N>, const N: usize> WithFeedback for Nearest<T, N> {
    fn encode(
        &self,
        isa: Option<Isa>,
        rows: &[f32],
        columns: usize,
        feedback: &Feedback,
        out: &mut [u8],
    ) {
        let blocks = blocks_for::<T::Block>(rows, columns, None, out);
        let Some(isa) = isa else {
            return in_lanes::<T, N, 1>(None, rows, columns, feedback, blocks);
        };
        in_lanes::<T, N, LANES>(Some(isa), rows, columns, feedback, blocks);
    }
}

fn in_lanes<T: Codebook<N>, const N: usize, const L: usize>(
    isa: Option<Isa>,
    rows: &[f32],
    columns: usize,
    feedback: &Feedback,
    blocks: &mut [T::Block],
) {
    let entries: Vec<[f32; N]> = T::ENTRIES.iter().map(|entry| entry.map(f32::from)).collect();
    let mut values = vec![[0.0; L]; columns];
    let in_row = columns / VALUES;
    for (rows, blocks) in rows.chunks(L * columns).zip(blocks.chunks_mut(L * in_row)) {
        transpose(rows, columns, &mut values);
        let mut start = 0;
        for factor in &feedback.spans {
            let mut span = Span::<T, N, L>::new(&values[start..], factor, &entries);
            let mut own = Vec::new();
            for first in (0..factor.columns()).step_by(VALUES) {
                let weights: &[f32; VALUES] =
                    feedback.weights[start + first..].first_chunk().expect("a super-block");
                let wanted = run(
                    isa,
                    #[inline(always)]
                    || span.wanted(),
                );
                let mut scaled = vec![T::Block::new_zeroed(); blocks.len() / in_row];
                encode::<T, N, L>(isa, &wanted, weights, &mut scaled);
                let mut numbers = Numbers { scale: [0.0; L], numbers: [[0; L]; 16] };
                for (k, block) in scaled.iter().enumerate() {
                    let (scale, of_block) = T::numbers(block);
                    numbers.scale[k] = scale;
                    for (numbers, number) in numbers.numbers.iter_mut().zip(of_block) {
                        numbers[k] = number;
                    }
                }
                run(
                    isa,
                    #[inline(always)]
                    || span.fix(&numbers, &wanted),
                );
                own.push(scaled);
            }
            for _ in 0..SWEEPS {
                run(
                    isa,
                    #[inline(always)]
                    || span.sweep(),
                );
            }
            for (place, (own, codes)) in own.iter().zip(&span.codes).enumerate() {
                for (k, block) in own.iter().enumerate() {
                    blocks[k * in_row + start / VALUES + place] = codes.block::<T, N>(block, k);
                }
            }
            start += factor.columns();
        }
    }
}

impl<const L: usize> Codes<L> {
    /// Returns the block of a lane, with the scale of another.
    fn block<T: Codebook<N>, const N: usize>(&self, block: &T::Block, lane: usize) -> T::Block {
        let numbers = std::array::from_fn(|sub| self.numbers[sub][lane]);
        let indices = std::array::from_fn(|group| self.entries[group][lane]);
        let signs = std::array::from_fn(|eight| self.signs[eight][lane]);
        T::with(block, numbers, indices, signs)
    }
}

/// The work must be `#[inline(always)]`, or it is not compiled for the instruction set.
#[inline(always)]
fn run<R>(isa: Option<Isa>, work: impl FnOnce() -> R) -> R {
    match isa {
        Some(isa) => isa.run(work),
        None => work(),
    }
}

/// Encodes the super-block of each lane as the reference does.
#[inline(never)]
fn encode<T: Codebook<N>, const N: usize, const L: usize>(
    isa: Option<Isa>,
    wanted: &[[f32; L]; VALUES],
    weights: &[f32; VALUES],
    blocks: &mut [T::Block],
) {
    let mut rows = vec![0.0; blocks.len() * VALUES];
    for (k, row) in rows.chunks_exact_mut(VALUES).enumerate() {
        for (value, wanted) in row.iter_mut().zip(wanted) {
            *value = wanted[k];
        }
    }
    let encoder = encoder(T::Block::TYPE).expect("every type has one");
    let out = blocks.as_mut_bytes();
    match isa {
        Some(isa) => encoder.encode(isa, &rows, VALUES, Some(weights), out),
        None => encoder.encode_by_definition(&rows, VALUES, Some(weights), out),
    }
}

/// Implements [`Codebook`]: the entries, whether signs are even, values of a sub-block, and how its
/// scale decodes.
macro_rules! codebook {
    ($ty:ident $n:literal, $grid:path, $even:literal, $sub:literal,
     |$scale:ident, $number:ident| $decoded:expr, $index:ty) => {
        impl Codebook<$n> for types::$ty {
            type Block = Self;
            const ENTRIES: &'static [[u8; $n]] = &$grid;
            const EVEN: bool = $even;
            const SUB: usize = $sub;

            fn numbers(block: &Self) -> (f32, [u8; 16]) {
                let codes = block.unpack();
                let mut numbers = [0; 16];
                numbers[..VALUES / $sub].copy_from_slice(&codes.sub_scales);
                (codes.scale.to_f32(), numbers)
            }

            #[inline(always)]
            fn decoded<const L: usize>(scale: &[f32; L], numbers: &[u8; L]) -> [f32; L] {
                std::array::from_fn(|k| {
                    let ($scale, $number) = (scale[k], f32::from(numbers[k]));
                    $decoded
                })
            }

            fn with(block: &Self, numbers: [u8; 16], indices: [u16; 64], signs: [u8; 32]) -> Self {
                let mut codes = block.unpack();
                codes.sub_scales.copy_from_slice(&numbers[..VALUES / $sub]);
                for (to, index) in codes.indices.iter_mut().zip(indices) {
                    *to = index as $index;
                }
                codes.signs = signs;
                <Self as Block>::pack(&codes)
            }
        }
    };
}

codebook!(IQ2_XXS 8, iq2_xxs::GRID, true, 32, |scale, n| scale * (0.5 + n) * 0.25, u8);
codebook!(IQ2_XS 8, iq2_xs::GRID, true, 16, |scale, n| scale * (0.5 + n) * 0.25, u16);
codebook!(IQ2_S 8, iq2_s::GRID, false, 16, |scale, n| scale * (0.5 + n) * 0.25, u16);
codebook!(IQ3_XXS 4, iq3_xxs::GRID, true, 32, |scale, n| scale * (0.5 + n) * 0.5, u8);
codebook!(IQ3_S 4, iq3_s::GRID, false, 32, |scale, n| scale * (2.0 * n + 1.0), u16);
