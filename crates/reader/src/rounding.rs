//! Rounding vectors to codes of 8 bits, and of 16 bits where their values are largest.

use granule_format::num::F16;

use crate::isa::Isa;
use crate::parallel::each;

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

/// How vectors are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// As Q8_0: the codes of ggml, a scale in half precision for each 32 values.
    Q8_0,
    /// As Q8_K: the codes of ggml, a scale for each 256 values, which is repeated.
    #[allow(non_camel_case_types, reason = "the names are the field's spelling")]
    Q8_K,
    /// A scale for each 32 values, and 16 bits for those of the groups of columns whose values are
    /// largest in all vectors together.
    Mixed,
}

/// Vectors as codes with a scale for each group. The fields are those of [`Vector`], of all vectors
/// one after another.
///
/// [`Vector`]: crate::vector::Vector
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounded {
    pub(crate) codes: Vec<i8>,
    pub(crate) scales: Vec<f32>,
    pub(crate) sums: Vec<i16>,
    pub(crate) scaled_sums: Vec<f32>,
    /// Of super-blocks.
    pub(crate) fine_sums: Vec<f32>,
    /// Of Q8_0.
    pub(crate) paired_codes: Vec<i8>,
    /// For each 256 columns a bit for every group that is wide: its codes have remainders.
    pub(crate) wide: Vec<u8>,
    /// The remainders of each 256 columns with a wide group, with scales of their own. They are
    /// zero where groups are not wide.
    pub(crate) remainders: Vec<i8>,
    pub(crate) remainder_sums: Vec<i16>,
    pub(crate) remainder_scales: Vec<f32>,
}

impl Rounded {
    /// Rounds vectors of `columns` values.
    pub(crate) fn new(rounding: Rounding, x: &[f32], columns: usize) -> Self {
        if x.is_empty() {
            return Self::default();
        }
        let (count, groups) = (x.len() / columns, columns / GROUP);
        let (paired, fine) = match rounding {
            Rounding::Q8_0 => (columns / 64 * 64, 0),
            Rounding::Q8_K | Rounding::Mixed => (0, columns / 16),
        };
        let mut this = Self {
            codes: vec![0; x.len()],
            scales: vec![0.0; count * groups],
            sums: vec![0; x.len() / 16],
            scaled_sums: vec![0.0; count * groups],
            fine_sums: vec![0.0; count * fine],
            paired_codes: vec![0; count * paired],
            wide: vec![0; columns / 256],
            ..Self::default()
        };
        let step = (TOGETHER / columns).max(1);
        let mut squares = vec![0.0; count.div_ceil(step) * groups];
        // an empty slice has no parts
        let mut pairs = this.paired_codes.chunks_mut((step * paired).max(1));
        let mut fine = this.fine_sums.chunks_mut((step * fine).max(1));
        let parts = x.chunks(step * columns).zip(this.codes.chunks_mut(step * columns));
        let parts = parts.zip(this.scales.chunks_mut(step * groups));
        let parts = parts.zip(this.sums.chunks_mut(step * columns / 16));
        let parts = parts.zip(this.scaled_sums.chunks_mut(step * groups));
        let parts = parts.zip(squares.chunks_mut(groups.max(1)));
        let parts = parts.map(|(((((x, codes), scales), sums), scaled_sums), squares)| Part {
            x,
            codes,
            scales,
            sums,
            scaled_sums,
            fine_sums: fine.next().unwrap_or_default(),
            paired_codes: pairs.next().unwrap_or_default(),
            squares,
        });
        each(parts.collect(), |part: Part<'_>| {
            Isa::detect().run(
                #[inline(always)]
                || part.round(rounding, columns),
            );
        });
        if rounding == Rounding::Mixed {
            let mut all = vec![0.0; groups];
            for own in squares.chunks_exact(groups) {
                all.iter_mut().zip(own).for_each(|(square, own)| *square += own);
            }
            this.add_remainders(x, columns, &all);
        }
        this
    }

    fn add_remainders(&mut self, x: &[f32], columns: usize, squares: &[f64]) {
        let limit = WIDE * squares.iter().sum::<f64>() / squares.len() as f64;
        let wide = |squares: &[f64]| {
            let groups = squares.iter().enumerate();
            groups.fold(0, |bits, (i, square)| bits | u8::from(*square > limit) << i)
        };
        self.wide = squares.chunks(8).map(wide).collect();
        let parts: Vec<usize> = (0..self.wide.len()).filter(|i| self.wide[*i] != 0).collect();
        let (count, slots) = (x.len() / columns, parts.len());
        if slots == 0 {
            return;
        }
        self.remainders = vec![0; count * slots * 256];
        self.remainder_sums = vec![0; count * slots * 16];
        self.remainder_scales = vec![0.0; count * slots * 8];
        let step = (TOGETHER / columns).max(1);
        let (codes, scales) = (self.codes.chunks(step * columns), &self.scales);
        let vectors = x.chunks(step * columns).zip(codes);
        let vectors = vectors.zip(scales.chunks(step * columns / GROUP));
        let vectors = vectors.zip(self.scaled_sums.chunks_mut(step * columns / GROUP));
        let vectors = vectors.zip(self.fine_sums.chunks_mut(step * columns / 16));
        let vectors = vectors.zip(self.remainders.chunks_mut(step * slots * 256));
        let vectors = vectors.zip(self.remainder_sums.chunks_mut(step * slots * 16));
        let vectors = vectors.zip(self.remainder_scales.chunks_mut(step * slots * 8));
        let vectors = vectors.map(
            |(((((((x, codes), scales), scaled_sums), fine_sums), rest), sums), rest_scales)| {
                Rest { x, codes, scales, scaled_sums, fine_sums, rest, sums, rest_scales }
            },
        );
        let wide: &[u8] = &self.wide;
        each(vectors.collect(), |vectors: Rest<'_>| {
            Isa::detect().run(
                #[inline(always)]
                || vectors.round(columns, &parts, wide),
            );
        });
    }
}

/// Some vectors, and where their codes go.
struct Part<'a> {
    x: &'a [f32],
    codes: &'a mut [i8],
    scales: &'a mut [f32],
    sums: &'a mut [i16],
    scaled_sums: &'a mut [f32],
    fine_sums: &'a mut [f32],
    paired_codes: &'a mut [i8],
    /// The squares of the largest magnitudes of each group of columns, summed over the vectors.
    squares: &'a mut [f64],
}

impl Part<'_> {
    #[inline(always)]
    fn round(self, rounding: Rounding, columns: usize) {
        let Self { x, codes, scales, sums, scaled_sums, fine_sums, paired_codes, squares } = self;
        match rounding {
            Rounding::Q8_0 => {
                let blocks = x.as_chunks().0.iter().zip(codes.as_chunks_mut().0);
                blocks.zip(&mut *scales).for_each(|((x, codes), scale)| {
                    *scale = short(q8_0(x, codes));
                });
            }
            Rounding::Q8_K => {
                let blocks = x.as_chunks().0.iter().zip(codes.as_chunks_mut().0);
                let scales = scales.as_chunks_mut::<{ 256 / GROUP }>().0;
                blocks.zip(scales).for_each(|((x, codes), scales)| {
                    *scales = [short(q8_k(x, codes)); 256 / GROUP];
                });
            }
            Rounding::Mixed => {
                let rows = x.chunks_exact(columns).zip(scales.chunks_exact_mut(columns / GROUP));
                for (row, scales) in rows {
                    let groups = row.as_chunks::<GROUP>().0.iter().zip(scales).zip(&mut *squares);
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
            }
        }
        sum(codes, sums);
        let pairs = sums.as_chunks::<2>().0.iter().zip(&*scales);
        for (out, ([a, b], scale)) in scaled_sums.iter_mut().zip(pairs) {
            *out = f32::from(a + b) * *scale;
        }
        let pairs = sums.as_chunks::<2>().0.iter().zip(&*scales);
        for (out, ([a, b], scale)) in fine_sums.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
            *out = [f32::from(*a) * *scale, f32::from(*b) * *scale];
        }
        let paired = paired_codes.chunks_exact_mut((columns / 64 * 64).max(1));
        for (codes, out) in codes.chunks_exact(columns).zip(paired) {
            let pairs = codes.as_chunks::<16>().0.as_chunks::<4>().0.iter();
            let out = out.as_chunks_mut::<16>().0.as_chunks_mut::<4>().0;
            for (out, [a, b, c, d]) in out.iter_mut().zip(pairs) {
                *out = [*a, *c, *b, *d];
            }
        }
    }
}

/// Some vectors with their codes, and where the remainders of these go.
struct Rest<'a> {
    x: &'a [f32],
    codes: &'a [i8],
    scales: &'a [f32],
    /// Sums of codes, to which those of remainders are added.
    scaled_sums: &'a mut [f32],
    fine_sums: &'a mut [f32],
    rest: &'a mut [i8],
    sums: &'a mut [i16],
    rest_scales: &'a mut [f32],
}

impl Rest<'_> {
    /// `parts` are the numbers of the 256 columns with wide groups.
    #[inline(always)]
    fn round(self, columns: usize, parts: &[usize], wide: &[u8]) {
        let Self { x, codes, scales, scaled_sums, fine_sums, rest, sums, rest_scales } = self;
        let (blocks, codes) = (x.as_chunks::<GROUP>().0, codes.as_chunks::<GROUP>().0);
        let rest = rest.as_chunks_mut::<GROUP>().0;
        for vector in 0..x.len() / columns {
            for (slot, part) in parts.iter().enumerate() {
                for group in (0..8).filter(|group| wide[*part] >> group & 1 == 1) {
                    let from = vector * (columns / GROUP) + 8 * part + group;
                    let to = (vector * parts.len() + slot) * 8 + group;
                    let scale = scales[from];
                    let finer = short(scale / FINER);
                    let mut left = blocks[from];
                    for (left, code) in left.iter_mut().zip(&codes[from]) {
                        *left -= f32::from(*code) * scale;
                    }
                    round(&left, finer, &mut rest[to]);
                    rest_scales[to] = finer;
                    let sums = &mut sums.as_chunks_mut::<2>().0[to];
                    sum(&rest[to], sums);
                    let [a, b] = *sums;
                    scaled_sums[from] += f32::from(a + b) * finer;
                    fine_sums[2 * from] += f32::from(a) * finer;
                    fine_sums[2 * from + 1] += f32::from(b) * finer;
                }
            }
        }
    }
}

/// Writes the sums of each 16 codes.
#[inline(always)]
fn sum(codes: &[i8], sums: &mut [i16]) {
    for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<16>().0) {
        *sum = codes.iter().map(|code| i16::from(*code)).sum();
    }
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
