//! Feedback for types with codebooks: the entry nearest to a group of values, from group to group.
//!
//! The reference's search chooses the scales of a super-block, for the values that its columns
//! should have by then. Each group of values then gets the entry and the signs that are nearest to
//! what it should be, given all groups before it.

use std::fmt::Debug;
use std::marker::PhantomData;

use granule_format::block::codebook::{iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs};
use granule_format::block::types;
use granule_format::{Block, BlockType};
use granule_reader::isa::Isa;
use zerocopy::{FromZeros, IntoBytes};

use super::{Factor, Feedback, GROUP, LANES, WithFeedback, add_errors, gather, transpose};
use crate::encoder;
use crate::rows::blocks_for;
use crate::super_block::VALUES;
use crate::super_block::lanes::select;

/// A type whose groups of `N` values are entries of a codebook with signs.
trait Codebook<const N: usize>: Debug + Sync {
    type Block: Block;
    const ENTRIES: &'static [[u8; N]];
    /// Whether an even number of each eight values is negative.
    const EVEN: bool;

    /// Returns the scale of each 16 values.
    fn scales(block: &Self::Block) -> [f32; 16];

    /// Returns the block with other entries and signs. `indices` has one for each group; the rest
    /// is not used.
    fn with(block: &Self::Block, indices: &[u16; 64], signs: [u8; 32]) -> Self::Block;
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
            let mut fixed =
                Fixed { errors: Vec::new(), signs: [[0; L]; 32], entries: [[0; L]; 64] };
            for first in (0..factor.columns()).step_by(VALUES) {
                let place = (start + first) / VALUES;
                let weights: &[f32; VALUES] =
                    feedback.weights[start + first..].first_chunk().expect("a super-block");
                let values = &values[start..];
                let wanted = run(isa, || wanted(values, factor, first, &fixed.errors));
                let mut own = vec![T::Block::new_zeroed(); blocks.len() / in_row];
                scaled::<T, N, L>(isa, &wanted, weights, &mut own);
                let mut scales = [[0.0; L]; 16];
                for (k, block) in own.iter().enumerate() {
                    for (scales, scale) in scales.iter_mut().zip(T::scales(block)) {
                        scales[k] = scale;
                    }
                }
                run(
                    isa,
                    #[inline(always)]
                    || {
                        fixed
                            .fix::<T, N>(&entries, values, &wanted, factor, first, weights, &scales)
                    },
                );
                for (k, block) in own.iter().enumerate() {
                    let indices = std::array::from_fn(|group| fixed.entries[group][k]);
                    let signs = std::array::from_fn(|eight| fixed.signs[eight][k]);
                    blocks[k * in_row + place] = T::with(block, &indices, signs);
                }
            }
            start += factor.columns();
        }
    }
}

#[inline(always)]
fn run<R>(isa: Option<Isa>, work: impl FnOnce() -> R) -> R {
    match isa {
        Some(isa) => isa.run(work),
        None => work(),
    }
}

/// The values that the columns of a super-block should have.
#[inline(always)]
fn wanted<const L: usize>(
    values: &[[f32; L]],
    factor: &Factor,
    first: usize,
    errors: &[[f32; L]],
) -> Box<[[f32; L]; VALUES]> {
    let mut wanted = Box::new([[0.0; L]; VALUES]);
    for (group, wanted) in wanted.chunks_exact_mut(GROUP).enumerate() {
        let place = first + group * GROUP;
        let mut sums = gather(values, &factor.order[place..]);
        add_errors(&mut sums, errors, &factor.upper[place..], factor.columns());
        wanted.copy_from_slice(&sums);
    }
    wanted
}

/// Encodes the super-block of each lane as the reference does.
#[inline(never)]
fn scaled<T: Codebook<N>, const N: usize, const L: usize>(
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

/// What has been fixed.
struct Fixed<const L: usize> {
    errors: Vec<[f32; L]>,
    /// Of the last super-block, for each eight values and each group.
    signs: [[u8; L]; 32],
    entries: [[u16; L]; 64],
}

impl<const L: usize> Fixed<L> {
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "one place calls it")]
    fn fix<T: Codebook<N>, const N: usize>(
        &mut self,
        entries: &[[f32; N]],
        values: &[[f32; L]],
        wanted: &[[f32; L]; VALUES],
        factor: &Factor,
        first: usize,
        weights: &[f32; VALUES],
        scales: &[[f32; L]; 16],
    ) {
        let count = factor.columns();
        for group in 0..VALUES / GROUP {
            let place = first + group * GROUP;
            let mut sums: [[f32; L]; GROUP] = std::array::from_fn(|g| wanted[group * GROUP + g]);
            let upper = &factor.upper[first * count + place..];
            add_errors(&mut sums, &self.errors[first..], upper, count);
            let mut signs = [0_u8; L];
            for part in 0..GROUP / N {
                let offset = part * N;
                let target: [[f32; L]; N] = std::array::from_fn(|i| sums[offset + i]);
                let weights = weights[group * GROUP + offset..].first_chunk().expect("a group");
                let scale = &scales[(group * GROUP + offset) / 16];
                let is_last = offset + N == GROUP;
                let odd = if T::EVEN && is_last {
                    signs.map(|s| s.count_ones() % 2 == 1)
                } else {
                    [false; L]
                };
                let found =
                    nearest::<N, L>(entries, &target, weights, scale, T::EVEN && is_last, &odd);
                self.entries[group * (GROUP / N) + part] = found.entries;
                for i in 0..N {
                    let column = place + offset + i;
                    let mut error = [0.0; L];
                    for k in 0..L {
                        let negative = found.signs[k] >> i & 1 == 1;
                        let level = scale[k] * found.levels[i][k];
                        error[k] = values[column][k] - if negative { -level } else { level };
                    }
                    let upper = &factor.upper[column * count + place..][..GROUP];
                    for h in offset + N..GROUP {
                        for k in 0..L {
                            sums[h][k] += error[k] * upper[h];
                        }
                    }
                    self.errors.push(error);
                }
                for k in 0..L {
                    signs[k] |= found.signs[k] << offset;
                }
            }
            self.signs[group] = signs;
        }
    }
}

/// An entry for each lane.
struct Found<const N: usize, const L: usize> {
    entries: [u16; L],
    /// Bit `i` is set where value `i` is negative.
    signs: [u8; L],
    levels: [[f32; L]; N],
}

/// Finds the entry and the signs with the least weighted error. With `even` the number of negative
/// values must be even, or odd where `odd` says so: the sign that costs least is then wrong.
#[inline(always)]
fn nearest<const N: usize, const L: usize>(
    entries: &[[f32; N]],
    target: &[[f32; L]; N],
    weights: &[f32; N],
    scale: &[f32; L],
    even: bool,
    odd: &[bool; L],
) -> Found<N, L> {
    let mut signs = [0_u8; L];
    // weighted magnitudes in units of the scale
    let mut weighted = [[0.0; L]; N];
    for i in 0..N {
        for k in 0..L {
            let inverse = 1.0 / scale[k];
            let inverse = if scale[k] == 0.0 { 0.0 } else { inverse };
            weighted[i][k] = weights[i] * (target[i][k] * inverse).abs();
            signs[k] |= u8::from(target[i][k] < 0.0) << i;
        }
    }
    let mut wrong = [0.0; L];
    for k in 0..L {
        let is_odd = signs[k].count_ones() % 2 == 1;
        wrong[k] = if even && is_odd != odd[k] { 4.0 } else { 0.0 };
    }
    let (mut best, mut least) = ([0_u32; L], [f32::INFINITY; L]);
    for (number, entry) in entries.iter().enumerate() {
        let mut square = 0.0;
        for i in 0..N {
            square += weights[i] * entry[i] * entry[i];
        }
        let (mut product, mut cheapest) = ([0.0; L], [f32::INFINITY; L]);
        for i in 0..N {
            for k in 0..L {
                let own = weighted[i][k] * entry[i];
                product[k] += own;
                cheapest[k] = select(own < cheapest[k], own, cheapest[k]);
            }
        }
        for k in 0..L {
            let cost = square - 2.0 * product[k] + wrong[k] * cheapest[k];
            let is_less = cost < least[k];
            least[k] = select(is_less, cost, least[k]);
            best[k] = select(is_less, number as u32, best[k]);
        }
    }
    let mut found = Found { entries: best.map(|best| best as u16), signs, levels: [[0.0; L]; N] };
    for k in 0..L {
        let entry = &entries[best[k] as usize];
        let mut cheapest = (0, f32::INFINITY);
        for i in 0..N {
            found.levels[i][k] = entry[i];
            let own = weighted[i][k] * entry[i];
            cheapest = if own < cheapest.1 { (i, own) } else { cheapest };
        }
        if wrong[k] > 0.0 {
            found.signs[k] ^= 1 << cheapest.0;
        }
    }
    found
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

            fn scales(block: &Self) -> [f32; 16] {
                let codes = block.unpack();
                let $scale = codes.scale.to_f32();
                std::array::from_fn(|i| {
                    let $number = f32::from(codes.sub_scales[i * 16 / $sub]);
                    $decoded
                })
            }

            fn with(block: &Self, indices: &[u16; 64], signs: [u8; 32]) -> Self {
                let mut codes = block.unpack();
                for (to, index) in codes.indices.iter_mut().zip(indices) {
                    *to = *index as $index;
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
