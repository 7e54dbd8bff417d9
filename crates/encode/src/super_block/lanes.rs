//! Building blocks of the searches in lanes: rows of lanes, rounding, selection.
//!
//! The searches of [`search`](super::search) run on many runs of values at once, one in each lane.
//!
//! A run is a column of an array `[[f32; L]; N]`: its `N` values are in the same lane `k` of `N`
//! rows. Loops over lanes are innermost and have no branches, so that they vectorize inside
//! [`Isa::run`](granule_reader::isa::Isa::run). Within a lane the operations and their order are
//! those of the scalar form, so both forms give the same bytes.

use crate::round::{SHIFT, to_even};

/// `N` rows of lanes. Aligned, because vector accesses that straddle cache lines cost twice.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Rows<const N: usize, const L: usize>(pub(crate) [[f32; L]; N]);

impl<const N: usize, const L: usize> Rows<N, L> {
    pub(crate) const ZERO: Self = Self([[0.0; L]; N]);
}

/// Returns lane `k` of every row.
///
/// Like [`transpose`], this is deliberately not compiled for the instruction set of the lanes. With
/// AVX-512 the compiler would gather and scatter, which is several times slower than moving numbers
/// one by one.
#[inline(never)]
pub(crate) fn lane<T: Copy, const N: usize, const L: usize>(
    rows: &[[T; L]; N],
    k: usize,
) -> [T; N] {
    std::array::from_fn(|i| rows[i][k])
}

/// Computes `to = a * b`. The loop is flat: a short loop over lanes would be unrolled, and the
/// outer one turned into scatters.
#[inline(always)]
pub(crate) fn products<const N: usize, const L: usize>(
    to: &mut [[f32; L]; N],
    a: &[[f32; L]; N],
    b: &[[f32; L]; N],
) {
    let (a, b) = (a.as_flattened(), b.as_flattened());
    for ((to, a), b) in to.as_flattened_mut().iter_mut().zip(a).zip(b) {
        *to = a * b;
    }
}

/// [`round`] equals [`to_even`] for magnitudes below this.
pub(crate) const ROUNDED_BELOW: f32 = 4_194_303.0;

/// Returns [`to_even`] as a float, for small magnitudes. The sign of a zero is unspecified.
///
/// `L` is the number of lanes. From 16 lanes on, registers have 32 bytes, and instruction sets with
/// such registers round in one instruction. Without that instruction, rounding would be a call.
#[inline(always)]
pub(crate) fn round<const L: usize>(value: f32) -> f32 {
    if L >= 16 { value.round_ties_even() } else { (value + SHIFT) - SHIFT }
}

/// Selects between two numbers that are already loaded. From a branch between two array elements
/// the compiler would make a choice between their addresses, and a gather.
#[inline(always)]
pub(crate) fn select<T>(condition: bool, yes: T, no: T) -> T {
    std::hint::select_unpredictable(condition, yes, no)
}

/// Clamps in two instructions; `f32::clamp` needs more to handle NaN.
#[inline(always)]
pub(crate) fn clamp(value: f32, low: f32, high: f32) -> f32 {
    let value = select(value > low, value, low);
    select(value < high, value, high)
}

/// Returns a code from `low` to `high` in one of `L` lanes. `EXACT` can be false for small
/// magnitudes, see [`round`].
#[inline(always)]
pub(crate) fn code<const L: usize, const EXACT: bool>(low: i32, high: i32, value: f32) -> f32 {
    if EXACT {
        to_even(value).clamp(low, high) as f32
    } else {
        clamp(round::<L>(value), low as f32, high as f32)
    }
}
