//! Codes with feedback: what is fixed later makes up for the errors of what is fixed.
//!
//! Columns are fixed one after the other ([`factor`](super::factor)). When the turn of a block
//! comes, its scales are chosen by the searches of `--effort 1` for the values that its columns
//! should have by then, with the weights `D`; then each column gets the level nearest to what it
//! should be, given all before it. When all are fixed, each may still change, given all others
//! ([`sweep`]). Rows are independent: they are the lanes.

#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

mod codebooks;
mod sweep;

use std::fmt::Debug;

use granule_format::{Block, BlockType, with_block};
use granule_reader::isa::Isa;

use super::blocks::{Search, Searched};
use super::factor::Factor;
pub use super::factor::First;
use super::levels::Levels;
use super::row;
use super::tile::{Tile, weights_of};
use crate::rows::blocks_for;
use crate::{Effort, EncodeError, EncodeOptions, encode_rows, first_not_finite};

/// Columns that are fixed together before others take their errors into account.
const GROUP: usize = 8;

/// Rows that are encoded side by side.
const LANES: usize = 16;

/// Spans are whole super-blocks.
const SPAN_STEP: usize = 256;

/// The second moments of the inputs of a matrix, prepared for
/// [`encode_with_feedback`].
#[derive(Clone, Debug)]
pub struct Feedback {
    spans: Vec<Factor>,
    /// For [`Tile`]s: what the error of a column costs when later ones make up for it.
    weights: Vec<f32>,
}

impl Feedback {
    /// Returns what is fixed first in a type. What is prepared for one type serves all of the same
    /// order.
    pub fn order(ty: BlockType) -> First {
        match ty {
            _ if codebooks::of(ty).is_some() => First::Eights,
            // scales of blocks are chosen one after the other
            _ if ty.block_values() < SPAN_STEP => First::Left,
            _ => First::Columns,
        }
    }

    /// Prepares second moments: `moments` has a square matrix for each span of `width` columns, row
    /// by row, one after another. The last span may be shorter. A number is the mean, over inputs,
    /// of the product of two columns. To each number of a matrix's diagonal, `damping` times itself
    /// and a tenth of their mean is added; 0.1 is usual. Products of columns of different
    /// super-blocks count half.
    ///
    /// # Panics
    /// If `width` is no multiple of 256, or `moments` has another length.
    pub fn new(columns: usize, width: usize, moments: &[f32], damping: f64, ty: BlockType) -> Self {
        assert!(width > 0 && width.is_multiple_of(SPAN_STEP), "spans of whole super-blocks");
        let first = Self::order(ty);
        let (mut spans, mut weights) = (Vec::new(), Vec::new());
        let mut rest = moments;
        for start in (0..columns).step_by(width) {
            let columns = width.min(columns - start);
            let (own, others) = rest.split_at(columns * columns);
            rest = others;
            let factor = Factor::new(own, columns, damping, first);
            weights.extend(factor.weights.iter().map(|weight| *weight as f32));
            spans.push(factor);
        }
        assert!(rest.is_empty(), "a matrix for each span");
        Self { spans, weights: weights_of(&weights) }
    }
}

/// Encoders that choose codes with feedback.
pub(super) trait WithFeedback: Debug + Sync {
    fn encode(
        &self,
        isa: Option<Isa>,
        rows: &[f32],
        columns: usize,
        feedback: &Feedback,
        out: &mut [u8],
    );
}

/// Returns whether [`encode_with_feedback`] encodes a type.
pub fn takes_feedback(ty: BlockType) -> bool {
    with_feedback(ty).is_some()
}

fn with_feedback(ty: BlockType) -> Option<&'static dyn WithFeedback> {
    row(ty).map(|row| row.feedback).or_else(|| codebooks::of(ty))
}

/// Encodes whole rows of `columns` values each to blocks of type `ty`, such that the products with
/// inputs of the given moments change little. The bytes depend on no other rows, nor on the
/// instruction set.
///
/// # Errors
/// If the type takes no feedback, rows are not whole blocks, or a value is not finite or beyond the
/// range of the type. The content of `out` is then unspecified.
///
/// # Panics
/// If `rows` is not whole rows, `feedback` is for another number of columns, or `out` does not have
/// exactly the bytes of the blocks.
pub fn encode_with_feedback(
    options: impl Into<EncodeOptions>,
    ty: BlockType,
    rows: &[f32],
    columns: usize,
    feedback: &Feedback,
    out: &mut [u8],
) -> Result<(), EncodeError> {
    let isa = options.into().isa.unwrap_or_else(Isa::detect);
    let encoder = with_feedback(ty).ok_or(EncodeError::NoEncoder(ty))?;
    if columns == 0 || !columns.is_multiple_of(ty.block_values()) {
        return Err(EncodeError::RowLength { ty, columns });
    }
    assert_eq!(feedback.weights.len(), columns, "moments of all columns");
    if let Some(index) = first_not_finite(isa, rows) {
        return Err(EncodeError::NotFinite { index, value: rows[index] });
    }
    encoder.encode(Some(isa), rows, columns, feedback, out);
    if with_block!(ty, B => has_defect::<B>(out)) {
        // values at the end of the range: there each block is alone
        let options = EncodeOptions::from(isa).with_effort(Effort::Search);
        return encode_rows(options, ty, rows, columns, Some(&feedback.weights), out);
    }
    Ok(())
}

fn has_defect<B: Block>(blocks: &[u8]) -> bool {
    granule_format::block::blocks_of::<B>(blocks).iter().any(|block| block.defect().is_some())
}

impl<S: Search<V>, const V: usize> WithFeedback for Searched<S, V> {
    fn encode(
        &self,
        isa: Option<Isa>,
        rows: &[f32],
        columns: usize,
        feedback: &Feedback,
        out: &mut [u8],
    ) {
        let blocks = blocks_for::<S::Block>(rows, columns, None, out);
        let Some(isa) = isa else {
            return in_lanes::<S, V, 1>(rows, columns, feedback, blocks);
        };
        // for one number of lanes: the searches are much to compile
        isa.run(
            #[inline(always)]
            || in_lanes::<S, V, LANES>(rows, columns, feedback, blocks),
        );
    }
}

#[inline(always)]
fn in_lanes<S: Search<V>, const V: usize, const L: usize>(
    rows: &[f32],
    columns: usize,
    feedback: &Feedback,
    blocks: &mut [S::Block],
) {
    let mut values = vec![[0.0; L]; columns];
    let mut state = State::<S, V, L>::new();
    let in_row = columns / V;
    for (rows, blocks) in rows.chunks(L * columns).zip(blocks.chunks_mut(L * in_row)) {
        transpose(rows, columns, &mut values);
        let mut start = 0;
        for factor in &feedback.spans {
            state.clear();
            let values = &values[start..][..factor.columns()];
            for first in (0..factor.columns()).step_by(V) {
                let weights = &feedback.weights[start + first..][..V];
                state.fix(values, factor, first, weights);
            }
            state.sweep(values, factor);
            for (block, (chosen, levels)) in state.blocks().enumerate() {
                for (k, row) in blocks.chunks_mut(in_row).enumerate() {
                    let codes = codes::<S, V, L>(levels, k);
                    row[start / V + block] = S::block(chosen, k, codes);
                }
            }
            start += factor.columns();
        }
    }
}

/// Not compiled for the instruction set of the lanes: it would become scatters.
#[inline(never)]
fn transpose<const L: usize>(rows: &[f32], columns: usize, to: &mut [[f32; L]]) {
    to.fill([0.0; L]);
    for (k, row) in rows.chunks_exact(columns).enumerate() {
        for (to, value) in to.iter_mut().zip(row) {
            to[k] = *value;
        }
    }
}

#[inline(never)]
fn codes<S: Search<V>, const V: usize, const L: usize>(
    levels: &[[f32; L]; V],
    lane: usize,
) -> [i8; V] {
    std::array::from_fn(|i| S::Levels::code(levels[i][lane]))
}

/// What has been fixed of a span of columns.
struct State<S: Search<V>, const V: usize, const L: usize> {
    /// The scales of blocks.
    chosen: Vec<S::Chosen<L>>,
    /// Levels by column.
    levels: Vec<[[f32; L]; V]>,
    /// The errors of fixed columns, in the order in which they were fixed.
    errors: Vec<[f32; L]>,
    /// The values that the columns of the block should have, in the same order.
    wanted: Box<[[f32; L]; V]>,
    tile: Tile<V, L>,
}

impl<S: Search<V>, const V: usize, const L: usize> State<S, V, L> {
    fn new() -> Self {
        let (wanted, tile) = (Box::new([[0.0; L]; V]), Tile::new());
        Self { chosen: Vec::new(), levels: Vec::new(), errors: Vec::new(), wanted, tile }
    }

    fn clear(&mut self) {
        self.chosen.clear();
        self.levels.clear();
        self.errors.clear();
    }

    fn blocks(&self) -> impl Iterator<Item = (&S::Chosen<L>, &[[f32; L]; V])> {
        self.chosen.iter().zip(&self.levels)
    }

    /// Fixes the block whose columns begin at `first` of the span.
    #[inline(always)]
    fn fix(&mut self, values: &[[f32; L]], factor: &Factor, first: usize, weights: &[f32]) {
        let (count, order) = (factor.columns(), &factor.order[first..][..V]);
        for (group, wanted) in self.wanted.chunks_exact_mut(GROUP).enumerate() {
            let place = first + group * GROUP;
            let mut sums = gather(values, &factor.order[place..]);
            add_errors(&mut sums, &self.errors, &factor.upper[place..], count);
            wanted.copy_from_slice(&sums);
        }
        let mut by_column = Box::new([[0.0; L]; V]);
        for (wanted, column) in self.wanted.iter().zip(order) {
            by_column[column - first] = *wanted;
        }
        self.tile.load_lanes(&by_column, weights);
        let chosen = S::choose::<L>(&self.tile);
        let mut levels = [[0.0; L]; V];

        for group in 0..V / GROUP {
            let place = first + group * GROUP;
            let mut sums: [[f32; L]; GROUP] =
                std::array::from_fn(|g| self.wanted[group * GROUP + g]);
            let upper = &factor.upper[first * count + place..];
            add_errors(&mut sums, &self.errors[first..], upper, count);
            for g in 0..GROUP {
                let column = order[group * GROUP + g];
                let decoded = S::decoded(&chosen, (column - first) / S::SUB);
                let (level, error) = nearest::<S::Levels, L>(&sums[g], &decoded, &values[column]);
                levels[column - first] = level;
                let upper = &factor.upper[(place + g) * count + place..][..GROUP];
                for h in g + 1..GROUP {
                    for k in 0..L {
                        sums[h][k] += error[k] * upper[h];
                    }
                }
                self.errors.push(error);
            }
        }
        self.chosen.push(chosen);
        self.levels.push(levels);
    }
}

/// The inverse of a scale, zero for zero: without a branch.
#[inline(always)]
fn inverse(scale: f32) -> f32 {
    let inverse = 1.0 / scale;
    if scale == 0.0 { 0.0 } else { inverse }
}

/// Returns the levels nearest to what a column should be, and the errors that they leave.
#[inline(always)]
fn nearest<V: Levels, const L: usize>(
    wanted: &[f32; L],
    (scale, min): &([f32; L], [f32; L]),
    values: &[f32; L],
) -> ([f32; L], [f32; L]) {
    let (mut levels, mut errors) = ([0.0; L], [0.0; L]);
    for k in 0..L {
        levels[k] = V::nearest::<L>((wanted[k] + min[k]) * inverse(scale[k]));
        errors[k] = values[k] - (scale[k] * levels[k] - min[k]);
    }
    (levels, errors)
}

#[inline(always)]
fn gather<const L: usize>(values: &[[f32; L]], order: &[usize]) -> [[f32; L]; GROUP] {
    std::array::from_fn(|g| values[order[g]])
}

/// Adds what the errors of fixed columns ask of a group: row `j` of `upper` has the factors of
/// error `j`.
#[inline(always)]
fn add_errors<const L: usize>(
    sums: &mut [[f32; L]; GROUP],
    errors: &[[f32; L]],
    upper: &[f32],
    count: usize,
) {
    let mut local = *sums;
    for (error, upper) in errors.iter().zip(upper.chunks(count)) {
        let error = *error; // sums may be where compilers cannot tell them from errors
        for g in 0..GROUP {
            // of a slice: with an array, compilers make vectors across columns, and scatter
            let factor = upper[g];
            for k in 0..L {
                local[g][k] += error[k] * factor;
            }
        }
    }
    *sums = local;
}

#[cfg(test)]
mod tests;
