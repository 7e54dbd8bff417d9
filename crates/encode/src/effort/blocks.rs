//! The encoders: a matrix in tiles, a tile in lanes, a block from its numbers.

use std::fmt::Debug;
use std::marker::PhantomData;

use granule_format::num::F16;
use granule_format::{Block, BlockType};
use granule_reader::isa::Isa;

use super::feedback::WithFeedback;
use super::levels::{Levels, Whole};
use super::tile::{Plain, Tile, weights_of};
use super::{scale, scale_and_min};
use crate::rows::blocks_for;
use crate::super_block::lanes::lane;
use crate::{Encoder, Weighting, encoder};

/// Makes blocks of `V` values from tiles of them. Values are about `scale * level - min`.
///
/// Functions on lanes must be `#[inline(always)]`.
pub(super) trait Search<const V: usize>: Debug + Sync {
    type Block: Block;
    /// The levels that codes stand for.
    type Levels: Levels;
    /// The scales and minimums of the blocks in the lanes.
    type Chosen<const L: usize>;
    /// Values of a sub-block.
    const SUB: usize;
    /// What counts where there is no importance matrix; `None` if no choice was better than the
    /// reference's search.
    const PLAIN: Option<Plain>;

    /// Chooses the scales and minimums of a tile.
    fn choose<const L: usize>(tile: &Tile<V, L>) -> Self::Chosen<L>;

    /// Returns the scale and the minimum of a sub-block as they decode, in each lane.
    fn decoded<const L: usize>(chosen: &Self::Chosen<L>, sub: usize) -> ([f32; L], [f32; L]);

    /// Makes the block of a lane from the codes of its values.
    fn block<const L: usize>(chosen: &Self::Chosen<L>, lane: usize, codes: [i8; V]) -> Self::Block;
}

/// The encoder of a search.
#[derive(Debug)]
pub(super) struct Searched<S, const V: usize>(PhantomData<S>);

impl<S, const V: usize> Searched<S, V> {
    const ENCODER: Self = Self(PhantomData);
}

/// A row of the table of searches.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) encoder: &'static dyn Encoder,
    pub(super) feedback: &'static dyn WithFeedback,
    /// Whether it gives other blocks than the reference without an importance matrix too.
    pub(super) is_plain: bool,
}

impl<S: Search<V> + 'static, const V: usize> Searched<S, V> {
    pub(super) const fn row() -> Row {
        let is_plain = S::PLAIN.is_some();
        Row { encoder: &Self::ENCODER, feedback: &Self::ENCODER, is_plain }
    }
}

impl<S: Search<V>, const V: usize> Encoder for Searched<S, V> {
    fn block_type(&self) -> BlockType {
        S::Block::TYPE
    }

    fn weighting(&self) -> Weighting {
        Weighting::Optional
    }

    fn encode(
        &self,
        isa: Isa,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        if let Some(reference) = reference::<S, V>(weights) {
            return reference.encode(isa, rows, columns, None, out);
        }
        let blocks = blocks_for::<S::Block>(rows, columns, weights, out);
        let weights = weights.map(weights_of);
        isa.run_for_registers(
            blocks,
            #[inline(always)]
            |blocks| in_lanes::<S, V, 32>(rows, columns, weights.as_deref(), blocks),
            #[inline(always)]
            |blocks| in_lanes::<S, V, 16>(rows, columns, weights.as_deref(), blocks),
            #[inline(always)]
            |blocks| in_lanes::<S, V, 8>(rows, columns, weights.as_deref(), blocks),
        )
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        if let Some(reference) = reference::<S, V>(weights) {
            return reference.encode_by_definition(rows, columns, None, out);
        }
        let blocks = blocks_for::<S::Block>(rows, columns, weights, out);
        in_lanes::<S, V, 1>(rows, columns, weights.map(weights_of).as_deref(), blocks);
    }
}

/// Returns the encoder of the reference if there is nothing better without weights.
fn reference<S: Search<V>, const V: usize>(
    weights: Option<&[f32]>,
) -> Option<&'static dyn Encoder> {
    let is_worse = weights.is_none() && S::PLAIN.is_none();
    is_worse.then(|| encoder(S::Block::TYPE)).flatten()
}

#[inline(always)]
fn in_lanes<S: Search<V>, const V: usize, const L: usize>(
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    blocks: &mut [S::Block],
) {
    let values: &[[f32; V]] = rows.as_chunks().0;
    let weights: Option<&[[f32; V]]> = weights.map(|weights| weights.as_chunks().0);
    let a_row = columns / V;
    let mut tile = Tile::<V, L>::new();
    for (t, (values, blocks)) in values.chunks(L).zip(blocks.chunks_mut(L)).enumerate() {
        let weights = |k: usize| weights.map(|weights| &weights[(t * L + k) % a_row]);
        tile.load(values, weights, S::PLAIN.unwrap_or(Plain::Square));
        let chosen = S::choose::<L>(&tile);
        for (k, (block, values)) in blocks.iter_mut().zip(values).enumerate() {
            *block = S::block(&chosen, k, nearest::<S, V, L>(&chosen, k, values));
        }
    }
}

/// Returns the codes nearest to the values of a block.
#[inline(always)]
fn nearest<S: Search<V>, const V: usize, const L: usize>(
    chosen: &S::Chosen<L>,
    lane: usize,
    values: &[f32; V],
) -> [i8; V] {
    let mut codes = [0; V];
    for (sub, (codes, values)) in
        codes.chunks_exact_mut(S::SUB).zip(values.chunks_exact(S::SUB)).enumerate()
    {
        let (scale, min) = S::decoded(chosen, sub);
        let (scale, min) = (scale[lane], min[lane]);
        for (code, value) in codes.iter_mut().zip(values) {
            let place = if scale == 0.0 { 0.0 } else { (value + min) / scale };
            *code = S::Levels::code(S::Levels::nearest::<L>(place));
        }
    }
    codes
}

/// A type whose sub-blocks have a scale alone.
pub(super) trait ScaleOnly<const SUBS: usize, const V: usize>: Debug + Sync {
    type Block: Block;
    type Levels: Levels;
    const PLAIN: Option<Plain>;

    fn make(scale: F16, numbers: [i8; SUBS], codes: [i8; V]) -> Self::Block;
}

/// The search for a type whose sub-blocks of `N` values have a scale alone, a whole number from
/// `LOW` to `HIGH` times that of the block.
#[derive(Debug)]
pub(super) struct Scales<T, const N: usize, const SUBS: usize, const LOW: i32, const HIGH: i32>(
    PhantomData<T>,
);

impl<
    T: ScaleOnly<SUBS, V>,
    const N: usize,
    const SUBS: usize,
    const LOW: i32,
    const HIGH: i32,
    const V: usize,
> Search<V> for Scales<T, N, SUBS, LOW, HIGH>
{
    type Block = T::Block;
    type Levels = T::Levels;
    type Chosen<const L: usize> = scale::Scales<SUBS, L>;
    const SUB: usize = N;
    const PLAIN: Option<Plain> = T::PLAIN;

    #[inline(always)]
    fn choose<const L: usize>(tile: &Tile<V, L>) -> Self::Chosen<L> {
        scale::choose::<T::Levels, N, SUBS, V, LOW, HIGH, L>(tile)
    }

    #[inline(always)]
    fn decoded<const L: usize>(chosen: &Self::Chosen<L>, sub: usize) -> ([f32; L], [f32; L]) {
        let mut scale = [0.0; L];
        for k in 0..L {
            scale[k] = chosen.scale[k].to_f32() * chosen.numbers[sub][k];
        }
        (scale, [0.0; L])
    }

    #[inline(always)]
    fn block<const L: usize>(chosen: &Self::Chosen<L>, k: usize, codes: [i8; V]) -> T::Block {
        T::make(chosen.scale[k], lane(&chosen.numbers, k).map(|number| number as i8), codes)
    }
}

/// A type whose sub-blocks have a scale and a minimum.
pub(super) trait ScaleAndMin<const SUBS: usize, const V: usize>: Debug + Sync {
    type Block: Block;
    const PLAIN: Option<Plain>;

    fn make(
        scale: F16,
        min: F16,
        scales: [u8; SUBS],
        mins: [u8; SUBS],
        codes: [u8; V],
    ) -> Self::Block;
}

/// The search for a type whose sub-blocks of `N` values have a scale and a minimum, whole numbers
/// up to `HIGH` times those of the block, and codes up to `TOP`.
#[derive(Debug)]
pub(super) struct ScalesAndMins<
    T,
    const TOP: i32,
    const N: usize,
    const SUBS: usize,
    const HIGH: i32,
>(PhantomData<T>);

impl<
    T: ScaleAndMin<SUBS, V>,
    const TOP: i32,
    const N: usize,
    const SUBS: usize,
    const HIGH: i32,
    const V: usize,
> Search<V> for ScalesAndMins<T, TOP, N, SUBS, HIGH>
{
    type Block = T::Block;
    type Levels = Whole<0, TOP, 0>;
    type Chosen<const L: usize> = scale_and_min::Scales<SUBS, L>;
    const SUB: usize = N;
    const PLAIN: Option<Plain> = T::PLAIN;

    #[inline(always)]
    fn choose<const L: usize>(tile: &Tile<V, L>) -> Self::Chosen<L> {
        scale_and_min::choose::<TOP, N, SUBS, V, HIGH, L>(tile)
    }

    #[inline(always)]
    fn decoded<const L: usize>(chosen: &Self::Chosen<L>, sub: usize) -> ([f32; L], [f32; L]) {
        let (mut scale, mut min) = ([0.0; L], [0.0; L]);
        for k in 0..L {
            scale[k] = chosen.scale[k].to_f32() * chosen.scales[sub][k];
            min[k] = chosen.min[k].to_f32() * chosen.mins[sub][k];
        }
        (scale, min)
    }

    #[inline(always)]
    fn block<const L: usize>(chosen: &Self::Chosen<L>, k: usize, codes: [i8; V]) -> T::Block {
        let scales = lane(&chosen.scales, k).map(|scale| scale as u8);
        let mins = lane(&chosen.mins, k).map(|min| min as u8);
        let codes = codes.map(i8::cast_unsigned);
        T::make(chosen.scale[k], chosen.min[k], scales, mins, codes)
    }
}
