//! Products of a batch by panels: sixteen rows are unpacked once, turned so that one register holds
//! four codes of each row, and multiplied with all vectors.

use super::codes::{CodeRange, eight, eight_of};
use crate::activations::Activations;
use crate::isa::{Lanes, WithLanes};
use crate::kernel::{Family, Kernel};
use crate::strip::{RAISED, Strip, StripGroup, TOGETHER, WIDTH};

/// Rows of a panel.
pub(crate) const ROWS: usize = 16;

/// One segment (256 columns) of sixteen rows. Missing columns have scales of zero; missing rows
/// repeat the last.
#[repr(align(64))]
pub(crate) struct Panel {
    /// Staged, row by row: codes raised by 128, and a scale and a minimum for each 32 or 16 codes.
    pub(super) staged: [[[u8; 64]; 4]; ROWS],
    pub(super) staged_scales: [[[u8; 64]; 1]; ROWS],
    pub(super) staged_mins: [[[u8; 64]; 1]; ROWS],
    /// Turned: lines of four codes of each row, the scales of all rows, their minimums.
    pub(super) codes: [[[u8; 64]; 16]; 4],
    pub(super) scales: [[u8; 64]; 16],
    pub(super) mins: [[u8; 64]; 16],
}

impl Panel {
    pub(super) const EMPTY: Self = Self {
        staged: [[[0; 64]; 4]; ROWS],
        staged_scales: [[[0; 64]; 1]; ROWS],
        staged_mins: [[[0; 64]; 1]; ROWS],
        codes: [[[0; 64]; 16]; 4],
        scales: [[0; 64]; 16],
        mins: [[0; 64]; 16],
    };

    #[inline(always)]
    pub(super) fn turn<V: Lanes>(&mut self, v: V, minimums: bool) {
        for (index, codes) in self.codes.iter_mut().enumerate() {
            v.turn(&self.staged, index, codes);
        }
        v.turn(&self.staged_scales, 0, &mut self.scales);
        if minimums {
            v.turn(&self.staged_mins, 0, &mut self.mins);
        }
    }
}

/// The sums of sixteen rows for eight vectors.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Sums(pub(super) [[f32; ROWS]; WIDTH]);

impl Sums {
    const ZERO: Self = Self([[0.0; ROWS]; WIDTH]);
}

/// Computes the dot products of rows with a batch, in the order of [`multiply_panels`].
pub(super) struct Panels<'a, B> {
    pub(super) blocks: &'a [B],
    pub(super) row_blocks: usize,
    pub(super) activations: &'a Activations,
    pub(super) out: &'a mut [f32],
}

impl<B: Kernel> WithLanes for Panels<'_, B> {
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let Self { blocks, row_blocks, activations, out } = self;
        multiply_panels::<B, V>(
            v,
            activations,
            out,
            #[inline(always)]
            |index, segment, panel| {
                let rows = &blocks[index * ROWS * row_blocks..];
                let rows = &rows[..rows.len().min(ROWS * row_blocks)];
                B::Family::fill_panel(v, rows, row_blocks, segment, panel);
            },
        );
    }
}

/// Writes the dot products of panels with a batch: panel by panel, within a panel vector by vector.
/// `fill` unpacks one segment of one panel.
#[inline(always)]
pub(super) fn multiply_panels<B: Kernel, V: Lanes>(
    v: V,
    activations: &Activations,
    out: &mut [f32],
    mut fill: impl FnMut(usize, usize, &mut Panel),
) {
    let segments = activations.strips();
    let count = activations.count();
    let mut panel = Panel::EMPTY;
    let mut sums = vec![Sums::ZERO; count.div_ceil(WIDTH)];
    for (index, out) in out.chunks_mut(ROWS * count).enumerate() {
        sums.fill(Sums::ZERO);
        for (segment, parts) in segments.iter().enumerate() {
            fill(index, segment, &mut panel);
            for (strips, sums) in parts.iter().zip(sums.chunks_mut(TOGETHER / WIDTH)) {
                for (strip, sums) in strips.iter().zip(sums) {
                    B::Family::multiply_panel(v, &panel, strip, sums);
                }
            }
        }
        let rows = out.len() / count;
        for (vector, out) in out.chunks_exact_mut(rows).enumerate() {
            copy_rows(&sums[vector / WIDTH].0[vector % WIDTH][..rows], out);
        }
    }
}

/// Copies one number for each row of a panel; for whole panels without the `memcpy` call that an
/// unknown length needs.
#[inline(always)]
pub(crate) fn copy_rows(from: &[f32], to: &mut [f32]) {
    match (<&[f32; ROWS]>::try_from(from), <&mut [f32; ROWS]>::try_from(&mut *to)) {
        (Ok(from), Ok(to)) => *to = *from,
        _ => to.copy_from_slice(from),
    }
}

/// Row `row` of a panel, or its last row.
#[inline(always)]
pub(super) fn row_of<B>(rows: &[B], row_blocks: usize, row: usize) -> &[B] {
    let last = rows.len() / row_blocks - 1;
    &rows[row.min(last) * row_blocks..][..row_blocks]
}

/// Stages the codes of a row, raised by 128.
#[inline(always)]
pub(super) fn stage<V: Lanes>(
    v: V,
    out: &mut [[u8; 64]; 4],
    codes: CodeRange,
    group: impl Fn(usize) -> V::Bytes,
) {
    let out = out.as_flattened_mut().as_chunks_mut().0;
    let raised_by = match codes {
        CodeRange::Raised(by) => by,
        _ => 0,
    };
    let more = v.splat_byte(128 - raised_by);
    eight(
        #[inline(always)]
        |i| v.store_bytes(v.add_bytes(group(i), more), &mut out[i]),
    );
}

/// The numbers that are added to all values of a group, or to those of each half of it.
#[derive(Clone, Copy)]
pub(super) enum Minimums {
    None,
    Groups,
    Halves,
}

impl Minimums {
    pub(super) const fn of(fine: bool) -> Self {
        if fine { Self::Halves } else { Self::Groups }
    }
}

/// Adds the products of a panel with eight vectors to their sums. Scales are those of groups, or
/// where they are `fine` those of halves.
#[inline(always)]
pub(super) fn multiply<V: Lanes>(
    v: V,
    fine: bool,
    minimums: Minimums,
    panel: &Panel,
    strip: Strip<'_>,
    sums: &mut Sums,
) {
    let mut totals = eight_of(
        #[inline(always)]
        |i| v.load_floats(&sums.0[i]),
    );
    each_product(
        v,
        fine,
        panel,
        strip,
        #[inline(always)]
        |index, products: [V::Floats; WIDTH]| {
            let scales = v.floats_from_bytes(&panel.scales[index]);
            eight(
                #[inline(always)]
                |i| totals[i] = v.multiply_add_floats(totals[i], products[i], scales),
            );
        },
    );
    let scaled_sums = match minimums {
        Minimums::None => &[],
        Minimums::Groups => &strip.sums[..],
        Minimums::Halves => &strip.fine_sums[..],
    };
    for (mins, scaled_sums) in panel.mins.iter().zip(scaled_sums) {
        let mins = v.floats_from_bytes(mins);
        eight(
            #[inline(always)]
            |i| totals[i] = v.multiply_add_floats(totals[i], mins, v.splat(scaled_sums[i])),
        );
    }
    eight(
        #[inline(always)]
        |i| v.store(totals[i], &mut sums.0[i]),
    );
}

/// Calls `f` with the products of each run of codes that share a scale, without it.
///
/// Converting integers to floats and multiplying them with the scale of a vector is one
/// instruction: sums begin with the bits of [`RAISED`], so that the bits of a sum are a float, and
/// `(RAISED + sum) * scale - RAISED * scale` is rounded once.
#[inline(always)]
fn each_product<V: Lanes>(
    v: V,
    fine: bool,
    panel: &Panel,
    strip: Strip<'_>,
    mut f: impl FnMut(usize, [V::Floats; WIDTH]),
) {
    let codes = panel.codes.as_flattened().as_chunks::<8>().0;
    for (group, own) in strip.numbers.iter().zip(strip.groups) {
        let (group, codes) = (*group, &codes[*group]);
        let mut ints = offsets_of(v, if fine { &own.offsets[0] } else { &own.wide_offsets });
        eight(
            #[inline(always)]
            |four| {
                if fine && four == 4 {
                    f(2 * group, scaled(v, ints, own));
                    ints = offsets_of(v, &own.offsets[1]);
                }
                let weights = v.load_lanes(&codes[four]);
                let vectors = &own.codes[four];
                eight(
                    #[inline(always)]
                    |i| ints[i] = v.dot_values(ints[i], weights, vectors[i]),
                );
            },
        );
        f(if fine { 2 * group + 1 } else { group }, scaled(v, ints, own));
    }
}

/// What sums begin with; the correction for raised values is part of it if values are raised.
#[inline(always)]
fn offsets_of<V: Lanes>(v: V, numbers: &[i32; WIDTH]) -> [V::Wide; WIDTH] {
    let bits = RAISED.to_bits().cast_signed();
    eight_of(
        #[inline(always)]
        |i| v.splat_lanes(if V::ALL_UNSIGNED { numbers[i] } else { bits }),
    )
}

#[inline(always)]
fn scaled<V: Lanes>(v: V, ints: [V::Wide; WIDTH], group: &StripGroup) -> [V::Floats; WIDTH] {
    eight_of(
        #[inline(always)]
        |i| {
            let raised = v.floats_of_bits(ints[i]);
            v.fused_multiply_add(v.splat(group.raised[i]), raised, v.splat(group.scales[i]))
        },
    )
}
