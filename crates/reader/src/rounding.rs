//! Rounding vectors to codes of 8 bits, and of 16 bits where their values are largest.

use std::convert::Infallible;

use granule_format::num::F16;

use crate::isa::Isa;
use crate::parallel::collect;

/// Values that share a scale.
pub(crate) const GROUP: usize = 32;

/// Values above are treated like those that are not finite: products with them could overflow.
const MOST: f32 = 1e32;

/// Values that a thread rounds at a time.
const TOGETHER: usize = 1 << 15;

/// Groups with more than this many times the mean of all squares of largest magnitudes are wide.
const WIDE: f64 = 4.0;

/// A unit of a code, in units of its remainder: half a unit is 127 of these.
const FINER: f32 = 254.0;

/// Vectors as codes with a scale for each group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounded {
    pub(crate) codes: Vec<i8>,
    pub(crate) scales: Vec<f32>,
    /// For each 256 columns a bit for every group that is wide: its codes have remainders.
    pub(crate) wide: Vec<u8>,
    /// The remainders of each 256 columns with a wide group, with scales of their own. They are
    /// zero where groups are not wide.
    pub(crate) remainders: Vec<i8>,
    pub(crate) remainder_scales: Vec<f32>,
}

impl Rounded {
    /// As Q8_0: the codes of ggml, a scale in half precision for each 32 values.
    pub(crate) fn q8_0(x: &[f32]) -> Self {
        let mut this = Self::zeros(x.len());
        let (codes, scales) = (&mut this.codes, &mut this.scales);
        Isa::detect().run(
            #[inline(always)]
            || each_block::<GROUP>(x, codes, scales, q8_0),
        );
        this
    }

    /// As Q8_K: the codes of ggml, a scale for each 256 values, which is repeated.
    pub(crate) fn q8_k(x: &[f32]) -> Self {
        let mut this = Self::zeros(x.len());
        let mut scales = vec![0.0; x.len() / 256];
        let codes = &mut this.codes;
        Isa::detect().run(
            #[inline(always)]
            || each_block::<256>(x, codes, &mut scales, q8_k),
        );
        for (group, scale) in this.scales.iter_mut().enumerate() {
            *scale = scales[group * GROUP / 256];
        }
        this.wide = vec![0; x.len() / 256];
        this
    }

    /// A scale for each 32 values, and 16 bits for those of the groups of columns whose values are
    /// largest in all vectors together.
    pub(crate) fn mixed(x: &[f32], columns: usize) -> Self {
        let step = (TOGETHER / columns.max(1)).max(1) * columns;
        let count = x.len().div_ceil(step.max(1));
        let round = |i: usize| {
            let x = &x[i * step..x.len().min((i + 1) * step)];
            let mut part = Self::zeros(x.len());
            let squares = part.round_groups(x, columns);
            Ok::<_, Infallible>((part, squares))
        };
        let Ok(parts) =
            if count > 1 { collect(count, round) } else { (0..count).map(round).collect() };
        let mut squares = vec![0.0; columns / GROUP];
        let mut this = Self::default();
        for (part, own) in parts {
            squares.iter_mut().zip(own).for_each(|(square, own)| *square += own);
            if this.codes.is_empty() {
                this = part;
            } else {
                this.codes.extend(part.codes);
                this.scales.extend(part.scales);
            }
        }
        this.add_remainders(x, columns, &squares);
        this
    }

    /// Sets codes and scales; returns the squares of the largest magnitudes of each group of
    /// columns, summed over the vectors.
    fn round_groups(&mut self, x: &[f32], columns: usize) -> Vec<f64> {
        let Self { codes, scales, .. } = self;
        let mut squares = vec![0.0; columns / GROUP];
        Isa::detect().run(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(columns).zip(scales.chunks_exact_mut(columns / GROUP));
                for (row, scales) in rows {
                    let groups = row.as_chunks::<GROUP>().0.iter().zip(scales).zip(&mut squares);
                    for ((x, scale), square) in groups {
                        let largest = largest_magnitude(x);
                        let finite = f64::from(largest.unwrap_or(0.0));
                        *scale = largest.map_or(f32::NAN, |largest| short(largest / 127.0));
                        *square += finite * finite;
                    }
                }
                let groups = x.as_chunks::<GROUP>().0.iter().zip(codes.as_chunks_mut().0);
                for ((x, codes), scale) in groups.zip(&*scales) {
                    round(x, *scale, codes);
                }
            },
        );
        squares
    }

    fn add_remainders(&mut self, x: &[f32], columns: usize, squares: &[f64]) {
        if squares.is_empty() {
            return;
        }
        let limit = WIDE * squares.iter().sum::<f64>() / squares.len() as f64;
        let wide = |squares: &[f64]| {
            let groups = squares.iter().enumerate();
            groups.fold(0, |bits, (i, square)| bits | u8::from(*square > limit) << i)
        };
        self.wide = squares.chunks(8).map(wide).collect();
        let parts: Vec<usize> = (0..self.wide.len()).filter(|i| self.wide[*i] != 0).collect();
        let count = x.len() / columns * parts.len();
        self.remainders = vec![0; count * 256];
        self.remainder_scales = vec![0.0; count * 8];
        let (blocks, codes) = (x.as_chunks::<GROUP>().0, self.codes.as_chunks::<GROUP>().0);
        let out = self.remainders.as_chunks_mut::<GROUP>().0;
        for vector in 0..x.len() / columns {
            for (slot, part) in parts.iter().enumerate() {
                for group in (0..8).filter(|group| self.wide[*part] >> group & 1 == 1) {
                    let from = vector * (columns / GROUP) + 8 * part + group;
                    let to = (vector * parts.len() + slot) * 8 + group;
                    let scale = self.scales[from];
                    let finer = short(scale / FINER);
                    let mut rest = blocks[from];
                    for (rest, code) in rest.iter_mut().zip(&codes[from]) {
                        *rest -= f32::from(*code) * scale;
                    }
                    round(&rest, finer, &mut out[to]);
                    self.remainder_scales[to] = finer;
                }
            }
        }
    }

    fn zeros(values: usize) -> Self {
        Self { codes: vec![0; values], scales: vec![0.0; values / GROUP], ..Self::default() }
    }
}

/// The sums of each 16 codes.
pub(crate) fn sums_of(codes: &[i8]) -> Vec<i16> {
    let sum = |codes: &[i8; 16]| codes.iter().map(|code| i16::from(*code)).sum();
    codes.as_chunks::<16>().0.iter().map(sum).collect()
}

/// A scale without its last two bits, so that its product with [`RAISED`](crate::strip::RAISED) is
/// exact.
#[inline(always)]
fn short(scale: f32) -> f32 {
    f32::from_bits(scale.to_bits() & !3)
}

/// Writes the nearest codes; zeros if the scale is zero or NaN.
#[inline(always)]
fn round(x: &[f32; GROUP], scale: f32, codes: &mut [i8; GROUP]) {
    let inverse = 1.0 / scale;
    let inverse = if inverse.is_finite() { inverse } else { 0.0 };
    for (code, x) in codes.iter_mut().zip(x) {
        *code = to_even(x * inverse).clamp(-127, 127) as i8;
    }
}

#[inline(always)]
fn each_block<const N: usize>(
    x: &[f32],
    codes: &mut [i8],
    scales: &mut [f32],
    block: impl Fn(&[f32; N], &mut [i8; N]) -> f32,
) {
    let blocks = x.as_chunks::<N>().0.iter().zip(codes.as_chunks_mut::<N>().0);
    for ((x, codes), scale) in blocks.zip(scales) {
        *scale = short(block(x, codes));
    }
}

/// Writes codes as Q8_0 has them, the largest magnitude 127; returns the scale.
#[inline(always)]
fn q8_0(x: &[f32; 32], codes: &mut [i8; 32]) -> f32 {
    let Some(largest) = largest_magnitude(x) else { return f32::NAN };
    let scale = largest / 127.0;
    let inverse = 1.0 / scale;
    let inverse = if inverse.is_finite() { inverse } else { 0.0 };
    for (code, x) in codes.iter_mut().zip(x) {
        *code = away_from_zero(x * inverse) as i8;
    }
    let rounded = F16::from_f32(scale).to_f32();
    // past the range of half precision, which Q8_0 could not hold
    if rounded.is_finite() { rounded } else { scale }
}

/// Writes codes as Q8_K has them, the first value of largest magnitude -127; returns the scale.
#[inline(always)]
fn q8_k(x: &[f32; 256], codes: &mut [i8; 256]) -> f32 {
    let Some(largest) = largest_magnitude(x) else { return f32::NAN };
    if largest == 0.0 {
        return 0.0;
    }
    let first = x.iter().find(|x| x.abs() == largest).copied().unwrap_or(largest);
    let inverse = -127.0 / first;
    if !inverse.is_finite() {
        return 0.0; // numbers so small that their inverse overflows
    }
    for (code, x) in codes.iter_mut().zip(x) {
        *code = to_even(inverse * x).clamp(-127, 127) as i8;
    }
    1.0 / inverse
}

/// The largest magnitude; `None` if a value is not finite, or too large.
#[inline(always)]
fn largest_magnitude<const N: usize>(x: &[f32; N]) -> Option<f32> {
    // as integers the magnitudes have the same order, with infinity and NaN above all others
    let mut lanes = [0; 16];
    for x in x.as_chunks::<16>().0 {
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = (*lane).max(x.to_bits() & 0x7fff_ffff);
        }
    }
    let largest = f32::from_bits(lanes.into_iter().fold(0, u32::max));
    (largest <= MOST).then_some(largest)
}

/// The nearest integer, halfway cases to even, for magnitudes below 2²².
#[inline(always)]
fn to_even(value: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    (value + SHIFT).to_bits().cast_signed() - SHIFT.to_bits().cast_signed()
}

/// The nearest integer, halfway cases away from zero, for magnitudes below 2²².
#[inline(always)]
fn away_from_zero(value: f32) -> i32 {
    let even = to_even(value);
    // exact; half of a unit only where the value was halfway and went the other way
    let rest = value - even as f32;
    even + i32::from((rest == 0.5) & (value > 0.0)) - i32::from((rest == -0.5) & (value < 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halfway_cases_round_as_each_format_does() {
        let even = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, 126.5, -126.5].map(to_even);
        assert_eq!(even, [0, 2, 2, 0, -2, -2, 0, 126, -126]);
        let away = [0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 126.5].map(away_from_zero);
        assert_eq!(away, [1, 2, 3, -1, -2, 0, 127]);
    }
}
