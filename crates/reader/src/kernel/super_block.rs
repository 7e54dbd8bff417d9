//! The family of types of 256 values with integer sub-scales.
//!
//! A value is `scale * sub_scale * code - min * sub_min`. The products `scale * sub_scale` and
//! `min * sub_min` are exact in single precision, so decoding may form them first in any way. Dot
//! products stay integers within a group: codes times activations, times sub-scales.

use std::hint::black_box;
use std::slice::ChunksExact;

use super::codes::{CodeRange, eight, eight_of};
use super::packed::{Packed, PackedPanel, Prepared};
use super::packing::Packing;
use super::panel::{Minimums, Panel, Sums, multiply};
use super::{Family, Kernel, by_tiles, row_by_row, super_packed, super_panel};
use crate::activations::{Activations, Form};
use crate::isa::{Lanes, Simd};
use crate::strip::Strip;
use crate::tile::{ActivationTile, TILE};
use crate::vector::{Codes, Vector};

/// The scales of a super-block. Sub-scales are signed bytes of the two numbers, the lowest first:
/// 16, or 8 in the first number if sub-blocks have 32 values.
#[derive(Clone, Copy)]
pub(crate) struct Scales {
    pub(crate) scale: f32,
    pub(crate) sub_scales: [u64; 2],
    /// Ignored unless [`SuperBlock::MINIMUMS`].
    pub(crate) min: f32,
    /// As the sub-scales, below 128.
    pub(crate) sub_mins: [u64; 2],
}

/// What distinguishes the types of super-blocks.
pub(crate) trait SuperBlock: Kernel<Family = SuperBlocks> {
    /// Whether sub-blocks have 16 values rather than 32.
    const FINE: bool;
    /// Whether there are minimums.
    const MINIMUMS: bool = false;
    /// Whether codes are [`magnitudes`](Self::magnitudes) with signs: products with one vector move
    /// the signs to the activations.
    const SIGNS: bool = false;
    /// The range of the [`codes`](Self::codes).
    const CODES: CodeRange;

    /// Whether there are sub-scales. If not, those of [`Scales`] are 1.
    const SUB_SCALES: bool = true;
    /// The amount by which [`raised_codes`](Self::raised_codes) are raised after they are
    /// multiplied by [`TIMES`](Self::TIMES); 0 if there are none.
    const RAISED_BY: u8 = 0;
    /// The factor of [`raised_codes`](Self::raised_codes): a power of two.
    const TIMES: u8 = 1;

    /// The scales, as plain numbers.
    fn scales<V: Simd>(&self, v: V) -> Scales;

    /// The codes of a block, 32 values in each vector. If there are [`SIGNS`](Self::SIGNS), the
    /// magnitudes with them.
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8];

    /// The codes for products with one vector on instruction sets that multiply [all unsigned
    /// bytes](Simd::ALL_UNSIGNED). Given by types with [`RAISED_BY`](Self::RAISED_BY).
    #[inline(always)]
    fn raised_codes<V: Simd>(&self, _: V) -> [V::Bytes; 8] {
        unreachable!("only types with `RAISED_BY` have raised codes")
    }

    /// Magnitudes below 128 and their signs. Given by types with [`SIGNS`](Self::SIGNS).
    #[inline(always)]
    fn magnitudes<V: Simd>(&self, _: V) -> Magnitudes<V> {
        unreachable!("only types with `SIGNS` have magnitudes")
    }
}

/// Magnitudes of a block and, for each, the bits of the values that are negative.
pub(crate) type Magnitudes<V> = ([<V as Simd>::Bytes; 8], [u32; 8]);

/// The values that magnitudes and their signs stand for.
#[inline(always)]
pub(super) fn with_signs<V: Simd>(v: V, (magnitudes, signs): Magnitudes<V>) -> [V::Bytes; 8] {
    eight_of(
        #[inline(always)]
        |i| v.negate(magnitudes[i], signs[i]),
    )
}

/// The types of 256 values with integer sub-scales.
pub(crate) struct SuperBlocks;

impl<B: SuperBlock> Family<B> for SuperBlocks {
    const FORM: Form = Form::Mixed;

    #[inline(always)]
    fn decode<V: Simd>(v: V, blocks: &[B], out: &mut [f32]) {
        decode(v, blocks, out);
    }

    #[inline(always)]
    fn dot_each<V: Simd>(
        v: V,
        rows: ChunksExact<'_, B>,
        vector: &Vector<'_>,
        out: &mut [f32],
        step: usize,
    ) {
        row_by_row(
            rows,
            out,
            step,
            #[inline(always)]
            |row| dot(v, row, vector),
        );
    }

    #[inline(always)]
    fn batch<V: Simd>(v: V, rows: ChunksExact<'_, B>, activations: &Activations, out: &mut [f32]) {
        by_tiles(
            rows,
            activations,
            out,
            #[inline(always)]
            |row, tile| dot_tile(v, row, tile),
        );
    }

    #[inline(always)]
    fn fill_panel<V: Lanes>(
        v: V,
        rows: &[B],
        row_blocks: usize,
        segment: usize,
        panel: &mut Panel,
    ) {
        super_panel::fill_panel(v, rows, row_blocks, segment, panel);
    }

    #[inline(always)]
    fn multiply_panel<V: Lanes>(v: V, panel: &Panel, strip: Strip<'_>, sums: &mut Sums) {
        let minimums = if B::MINIMUMS { Minimums::of(B::FINE) } else { Minimums::None };
        multiply(v, B::FINE, minimums, panel, strip, sums);
    }

    #[inline(always)]
    fn pack_scales<V: Lanes>(
        v: V,
        rows: &[B],
        row_blocks: usize,
        segment: usize,
        packed: &mut Packed,
    ) {
        super_packed::pack_scales(v, rows, row_blocks, segment, packed);
    }

    #[inline(always)]
    fn dot_packed<V: Lanes>(
        v: V,
        packing: &Packing,
        panel: &PackedPanel<'_>,
        prepared: Prepared<'_>,
    ) -> V::Floats {
        super_packed::dot::<B, V>(v, packing, panel, prepared)
    }

    #[inline(always)]
    fn unpack_panel<V: Lanes>(
        v: V,
        packing: &Packing,
        packed: &PackedPanel<'_>,
        segment: usize,
        panel: &mut Panel,
    ) {
        super_packed::unpack_panel::<B, V>(v, packing, packed, segment, panel);
    }
}

#[inline(always)]
fn decode<B: SuperBlock, V: Simd>(v: V, blocks: &[B], out: &mut [f32]) {
    const { assert!(B::LEN == 256, "super-blocks have 256 values") };
    for (block, out) in blocks.iter().zip(out.as_chunks_mut::<256>().0) {
        let Scales { scale, sub_scales, min, sub_mins } = block.scales(v);
        let (mut scales, mut mins) = (Aligned([0.0; 16]), Aligned([0.0; 16]));
        v.store(v.mul(v.splat(scale), v.floats_from_u64(sub_scales)), &mut scales.0);
        if B::MINIMUMS {
            v.store(v.mul(v.splat(min), v.floats_from_u64(sub_mins)), &mut mins.0);
        }
        // one by one they are cheaper to load than to extract from a register
        let Aligned(scales) = black_box(&scales);
        let Aligned(mins) = if B::MINIMUMS { black_box(&mins) } else { &mins };
        let codes = block.codes(v);
        eight(
            #[inline(always)]
            |group| {
                let values = v.floats(B::CODES.values(v, codes[group]));
                let (low, high) = if B::FINE { (2 * group, 2 * group + 1) } else { (group, group) };
                let mut low_values = v.mul(values[0], v.splat(scales[low]));
                let mut high_values = v.mul(values[1], v.splat(scales[high]));
                if B::MINIMUMS {
                    low_values = v.sub(low_values, v.splat(mins[low]));
                    high_values = v.sub(high_values, v.splat(mins[high]));
                }
                let out = &mut out.as_chunks_mut::<16>().0[2 * group..][..2];
                v.store(low_values, &mut out[0]);
                v.store(high_values, &mut out[1]);
            },
        );
    }
}

/// What is multiplied with activations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operands {
    /// [`SuperBlock::codes`].
    AsTheyAre,
    /// [`SuperBlock::magnitudes`]; the signs move to the activations.
    Magnitudes,
    /// [`SuperBlock::raised_codes`].
    Raised,
}

impl Operands {
    /// The best for products with one vector.
    #[inline(always)]
    fn of_vector<B: SuperBlock, V: Simd>() -> Self {
        match (V::ALL_UNSIGNED && B::RAISED_BY > 0, B::SIGNS) {
            (true, _) => Self::Raised,
            (_, true) => Self::Magnitudes,
            _ => Self::AsTheyAre,
        }
    }

    #[inline(always)]
    fn codes<B: SuperBlock, V: Simd>(self, v: V, block: &B) -> Magnitudes<V> {
        match self {
            Self::AsTheyAre => (block.codes(v), [0; 8]),
            Self::Magnitudes => block.magnitudes(v),
            Self::Raised => (block.raised_codes(v), [0; 8]),
        }
    }

    /// The amount by which codes are raised.
    #[inline(always)]
    fn raised_by<B: SuperBlock>(self) -> u8 {
        match (self, B::CODES) {
            (Self::Raised, _) => B::RAISED_BY,
            (Self::AsTheyAre, CodeRange::Raised(by)) => by,
            _ => 0,
        }
    }
}

/// One cache line: a store that straddles two lines cannot be forwarded to the next load, and waits
/// for earlier non-temporal stores.
#[repr(align(64))]
struct Aligned([f32; 16]);

/// The scales of a super-block in registers.
struct Unpacked<V: Simd> {
    scale: f32,
    /// The sub-scales of halves of groups in the order for [`Simd::pick`], or of groups, each
    /// twice, for [`Simd::pick_pair`].
    sub_scales: V::Words,
    /// The sub-scales of groups again, as integers.
    of_groups: V::Ints,
    /// The factors of a vector's sums of 16 codes: sub-scales times minus what codes are raised by.
    raised_of_sums: V::Words,
    /// The minimums of groups, or of both halves of the sub-blocks, negated.
    minimums: [V::Sums; 2],
}

#[inline(always)]
fn unpack<B: SuperBlock, V: Simd>(v: V, block: &B, operands: Operands) -> Unpacked<V> {
    let Scales { mut scale, sub_scales, min, sub_mins } = block.scales(v);
    if operands == Operands::Raised && B::TIMES > 1 {
        scale *= 1.0 / f32::from(B::TIMES);
    }
    let of_groups = v.ints(sub_scales[0]);
    let by = -i16::from(operands.raised_by::<B>());
    let mut minimums = [v.zero_sums(); 2];
    if B::MINIMUMS {
        let min = v.load_sums(&[-min; 8]);
        minimums[0] = v.multiply_sums(v.sums_from_ints(v.ints(sub_mins[0])), min);
        if B::FINE {
            minimums[1] = v.multiply_sums(v.sums_from_ints(v.ints(sub_mins[1])), min);
        }
    }
    let (raised_of_sums, sub_scales) = if B::FINE {
        (v.multiply_words(v.words(sub_scales), by), v.words_split(sub_scales))
    } else {
        let sub_scales = v.words_doubled(sub_scales[0]);
        (v.multiply_words(sub_scales, by), sub_scales)
    };
    Unpacked { scale, sub_scales, of_groups, raised_of_sums, minimums }
}

/// The integer products of group `group` with 32 activations, times its sub-scales.
#[inline(always)]
fn group_product<B: SuperBlock, V: Simd>(
    v: V,
    (codes, signs): (V::Bytes, u32),
    operands: Operands,
    block: &Unpacked<V>,
    activations: &[i8; 32],
    group: usize,
) -> V::Ints {
    let (zero, activations) = (v.zero_ints(), v.load_signed(activations));
    if !B::SUB_SCALES {
        return v.add_dot_unsigned(zero, codes, activations);
    }
    if operands == Operands::Raised {
        let ints = v.dot_unsigned(codes, activations);
        return v.add_multiplied(zero, ints, block.of_groups, group);
    }
    let words = match (operands, B::CODES) {
        (Operands::Magnitudes, _) => v.multiply_unsigned(codes, v.negate(activations, signs)),
        (_, CodeRange::Signed) => v.multiply_signed(codes, activations),
        _ => v.multiply_unsigned(codes, activations),
    };
    let scales = if B::FINE {
        v.pick(block.sub_scales, group)
    } else {
        v.pick_pair(block.sub_scales, group)
    };
    v.multiply_add(zero, words, scales)
}

/// The products of a super-block with 256 activations in two sums, without its scale and its
/// minimums.
#[inline(always)]
fn products<B: SuperBlock, V: Simd>(
    v: V,
    (codes, signs): &Magnitudes<V>,
    operands: Operands,
    block: &Unpacked<V>,
    x: Codes<'_>,
) -> [V::Sums; 2] {
    let activations = x.codes.as_chunks::<32>().0;
    // two sums, so that additions need not wait for each other
    let mut sums = [v.zero_sums(), raised::<B, V>(v, operands, block, x)];
    eight(
        #[inline(always)]
        |group| {
            let (codes, activations) = ((codes[group], signs[group]), &activations[group]);
            let ints = group_product::<B, V>(v, codes, operands, block, activations, group);
            sums[group % 2] = v.accumulate(sums[group % 2], ints, x.scales[group]);
        },
    );
    sums
}

/// The correction for what codes are raised by.
#[inline(always)]
fn raised<B: SuperBlock, V: Simd>(
    v: V,
    operands: Operands,
    block: &Unpacked<V>,
    x: Codes<'_>,
) -> V::Sums {
    if operands.raised_by::<B>() == 0 {
        return v.zero_sums();
    }
    // lane `i` has the two sums of group `i`
    let ints = v.multiply_add(v.zero_ints(), block.raised_of_sums, v.load_words(x.sums));
    v.multiply_sums(v.sums_from_ints(ints), v.load_sums(x.scales))
}

/// Adds the products with the remainders of the groups in `wide`.
#[inline(always)]
fn add_remainders<B: SuperBlock, V: Simd>(
    v: V,
    codes: &Magnitudes<V>,
    operands: Operands,
    block: &Unpacked<V>,
    (mut wide, x): (u8, Codes<'_>),
    sums: &mut [V::Sums; 2],
) {
    // few groups have remainders: the codes are copied to memory for those alone
    let (codes, signs) = *codes;
    let activations = x.codes.as_chunks::<32>().0;
    let one = v.load_sums(&[1.0; 8]);
    sums[1] = v.multiply_add_sums(sums[1], raised::<B, V>(v, operands, block, x), one);
    while wide != 0 {
        let group = wide.trailing_zeros() as usize;
        wide &= wide - 1;
        let (codes, activations) = ((codes[group], signs[group]), &activations[group]);
        let ints = group_product::<B, V>(v, codes, operands, block, activations, group);
        sums[0] = v.accumulate(sums[0], ints, x.scales[group]);
    }
}

/// Subtracts the minimums of a super-block times sums of 256 activations from `total`.
#[inline(always)]
fn less_minimums<B: SuperBlock, V: Simd>(
    v: V,
    block: &Unpacked<V>,
    scaled_sums: &[f32; 8],
    fine_sums: &[f32; 16],
    total: V::Sums,
) -> V::Sums {
    if !B::MINIMUMS {
        return total;
    }
    let [first, second] = block.minimums;
    if !B::FINE {
        return v.multiply_add_sums(total, first, v.load_sums(scaled_sums));
    }
    let halves = fine_sums.as_chunks::<8>().0;
    let total = v.multiply_add_sums(total, first, v.load_sums(&halves[0]));
    v.multiply_add_sums(total, second, v.load_sums(&halves[1]))
}

#[inline(always)]
fn dot<B: SuperBlock, V: Simd>(v: V, row: &[B], vector: &Vector<'_>) -> f32 {
    let operands = Operands::of_vector::<B, V>();
    let (mut totals, mut mins) = ([v.zero_sums(); 2], v.zero_sums());
    let mut slot = 0;
    for (block, part) in row.iter().zip(vector.parts()) {
        let codes = operands.codes(v, block);
        let unpacked = unpack(v, block, operands);
        let mut sums = products::<B, V>(v, &codes, operands, &unpacked, part.codes);
        if part.wide != 0 {
            let remainders = (part.wide, vector.remainders(slot));
            add_remainders::<B, V>(v, &codes, operands, &unpacked, remainders, &mut sums);
            slot += 1;
        }
        let scale = v.load_sums(&[unpacked.scale; 8]);
        totals[0] = v.multiply_add_sums(totals[0], sums[0], scale);
        totals[1] = v.multiply_add_sums(totals[1], sums[1], scale);
        mins = less_minimums::<B, V>(v, &unpacked, part.scaled_sums, part.fine_sums, mins);
    }
    let total = v.total(totals[0]) + v.total(totals[1]);
    if B::MINIMUMS { total + v.total(mins) } else { total }
}

#[inline(always)]
fn dot_tile<B: SuperBlock, V: Simd>(v: V, row: &[B], tile: &ActivationTile) -> [f32; TILE] {
    let mut totals = [v.zero_sums(); TILE];
    let operands = Operands::AsTheyAre;
    for (block, part) in row.iter().zip(&tile.parts) {
        let codes = operands.codes(v, block);
        let block = unpack(v, block, operands);
        let scale = v.load_sums(&[block.scale; 8]);
        for (i, total) in totals.iter_mut().enumerate() {
            let mut sums = products::<B, V>(v, &codes, operands, &block, part.codes(i));
            if let Some(remainders) = part.remainders(i) {
                let remainders = (part.wide, remainders);
                add_remainders::<B, V>(v, &codes, operands, &block, remainders, &mut sums);
            }
            *total = v.multiply_add_sums(*total, sums[0], scale);
            *total = v.multiply_add_sums(*total, sums[1], scale);
            let (scaled, fine) = (&part.scaled_sums[i], &part.fine_sums[i]);
            *total = less_minimums::<B, V>(v, &block, scaled, fine, *total);
        }
    }
    total(v, totals)
}

#[inline(always)]
pub(crate) fn total<V: Simd>(v: V, totals: [V::Sums; TILE]) -> [f32; TILE] {
    let mut out = [0.0; TILE];
    for (out, sums) in out.iter_mut().zip(totals) {
        *out = v.total(sums);
    }
    out
}
