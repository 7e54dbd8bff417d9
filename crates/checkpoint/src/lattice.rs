//! Values that lie exactly on the grid of a block type: finds the type, and writes the blocks.
//!
//! A block of a type holds multiples of one step, or such multiples plus an offset. The step of
//! values follows from the values alone: it is a divisor of their greatest common divisor, which is
//! computed in integers. Nothing has to be known about how the values were made.

use granule_format::block::types::{MXFP4, Q1_0, Q2_0, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, TQ1_0, TQ2_0};
use granule_format::block::{fp4, mxfp4, q1_0, q2_0, q4_0, q4_1, q5_0, q5_1, q8_0, tq2_0};
use granule_format::num::F16;
use granule_format::{Block, BlockType};

/// The grid of a type.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Grid {
    /// Multiples of the step from the first to the last number; without zero if both are 1.
    Multiples(i64, i64),
    /// A step and its negative.
    Signs,
    /// An offset and up to this many steps above it.
    Above(i64),
    /// Powers of two times the levels of 4-bit floating point.
    Floats,
}

/// Types with a grid, the smallest first.
const GRIDS: &[(BlockType, Grid)] = &[
    (BlockType::Q1_0, Grid::Signs),
    (BlockType::TQ1_0, Grid::Multiples(-1, 1)),
    (BlockType::TQ2_0, Grid::Multiples(-1, 1)),
    (BlockType::Q2_0, Grid::Multiples(-1, 2)),
    (BlockType::MXFP4, Grid::Floats),
    (BlockType::Q4_0, Grid::Multiples(-8, 7)),
    (BlockType::Q4_1, Grid::Above(15)),
    (BlockType::Q5_0, Grid::Multiples(-16, 15)),
    (BlockType::Q5_1, Grid::Above(31)),
    (BlockType::Q8_0, Grid::Multiples(-128, 127)),
];

/// Returns the types whose blocks fit rows of this length, the smallest first.
pub(crate) fn candidates(row: u64) -> impl Iterator<Item = BlockType> {
    GRIDS.iter().map(|(ty, _)| *ty).filter(move |ty| ty.row_bytes(row).is_some())
}

/// Finds the first block of these values that is not on the type's grid; returns its first value.
pub(crate) fn first_beyond(ty: BlockType, values: &[f32]) -> Option<usize> {
    let grid = grid(ty)?;
    let length = ty.block_values();
    values
        .chunks(length)
        .position(|block| Integers::of(block).and_then(|block| fit(grid, &block)).is_none())
        .map(|block| block * length)
}

/// Writes values on the type's grid as blocks. Returns the first value of the first block that is
/// not on it.
pub(crate) fn write(ty: BlockType, values: &[f32], out: &mut [u8]) -> Result<(), usize> {
    let grid = grid(ty).ok_or(0_usize)?;
    let (length, size) = (ty.block_values(), ty.block_bytes());
    let mut decoded = vec![0.0; length];
    for (index, (block, out)) in values.chunks(length).zip(out.chunks_mut(size)).enumerate() {
        let fitted = Integers::of(block).and_then(|block| fit(grid, &block));
        if let Some(fitted) = fitted {
            pack(ty, &fitted, out);
            ty.decode_row(out, &mut decoded);
        }
        if decoded != block {
            return Err(index * length);
        }
    }
    Ok(())
}

/// Explains why a block of values is on the grid of no type.
pub(crate) fn reason(block: &[f32]) -> String {
    if let Some(value) = block.iter().find(|value| !value.is_finite()) {
        return format!("a value is {value}");
    }
    let Some(integers) = Integers::of(block) else {
        return "the values are no multiples of one step".to_owned();
    };
    let steps = integers.numbers.iter().map(|number| number / integers.divisor.max(1));
    let most = steps.map(i64::abs).max().unwrap_or_default();
    if most > 128 {
        return "the values are no multiples of one step".to_owned();
    }
    let step = integers.divisor as f64 * 2_f64.powi(integers.exponent);
    format!("their step, {step}, is not a number of 16 bits")
}

fn grid(ty: BlockType) -> Option<Grid> {
    GRIDS.iter().find(|(of, _)| *of == ty).map(|(_, grid)| *grid)
}

/// Values as integers times a power of two.
#[derive(Debug)]
struct Integers {
    numbers: Vec<i64>,
    exponent: i32,
    /// The greatest common divisor; 0 if all are zero.
    divisor: i64,
}

/// Bits of the largest integer.
const MOST_BITS: i32 = 40;

impl Integers {
    /// Returns `None` if a value is not finite, or if the values differ too much in size.
    fn of(values: &[f32]) -> Option<Self> {
        let mut exponent = i32::MAX;
        let mut top = i32::MIN;
        for value in values {
            let (number, power) = parts(*value)?;
            if number != 0 {
                let zeros = number.trailing_zeros() as i32;
                exponent = exponent.min(power + zeros);
                top = top.max(power + 64 - number.unsigned_abs().leading_zeros() as i32);
            }
        }
        if exponent == i32::MAX {
            return Some(Self { numbers: vec![0; values.len()], exponent: 0, divisor: 0 });
        }
        if top - exponent > MOST_BITS {
            return None;
        }
        let mut divisor = 0;
        let numbers = values.iter().map(|value| {
            let (number, power) = parts(*value)?;
            let shift = power - exponent;
            let number = match number {
                0 => 0,
                _ if shift >= 0 => number << shift,
                _ => number >> -shift,
            };
            divisor = gcd(divisor, number.abs());
            Some(number)
        });
        let numbers = numbers.collect::<Option<_>>()?;
        Some(Self { numbers, exponent, divisor })
    }
}

/// Returns an integer and the power of two that it is to be multiplied with.
fn parts(value: f32) -> Option<(i64, i32)> {
    let bits = value.to_bits();
    let (exponent, mantissa) = ((bits >> 23 & 0xff) as i32, i64::from(bits & 0x7f_ffff));
    let (number, power) = match exponent {
        0xff => return None,
        0 => (mantissa, -149),
        _ => (mantissa | 1 << 23, exponent - 150),
    };
    Some((if value.is_sign_negative() { -number } else { number }, power))
}

const fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A block on a grid: codes and the numbers that scale them.
#[derive(Debug)]
struct Fitted {
    /// Counted from the lowest level of the grid.
    codes: Vec<u8>,
    scale: F16,
    min: F16,
    /// The exponent of a scale that is a power of two.
    exponent: u8,
}

/// Returns the number of 16 bits that equals `number` times a power of two.
fn half(number: f64, exponent: i32) -> Option<F16> {
    let value = number * 2_f64.powi(exponent);
    let half = F16::from_f32(value as f32);
    (f64::from(half.to_f32()) == value && half.is_finite()).then_some(half)
}

fn fit(grid: Grid, block: &Integers) -> Option<Fitted> {
    match grid {
        Grid::Multiples(low, high) => multiples(block, low, high),
        Grid::Signs => {
            let numbers = &block.numbers;
            let fits = numbers.iter().all(|number| number.abs() == block.divisor);
            let scale = half(block.divisor as f64, block.exponent).filter(|_| fits)?;
            let codes = numbers.iter().map(|number| u8::from(*number >= 0)).collect();
            Some(Fitted { codes, scale, min: F16::from_bits(0), exponent: 0 })
        }
        Grid::Above(most) => above(block, most),
        Grid::Floats => floats(block),
    }
}

fn multiples(block: &Integers, low: i64, high: i64) -> Option<Fitted> {
    let zero = F16::from_bits(0);
    if block.divisor == 0 {
        let codes = vec![-low as u8; block.numbers.len()];
        return Some(Fitted { codes, scale: zero, min: zero, exponent: 0 });
    }
    let (least, most) = (*block.numbers.iter().min()?, *block.numbers.iter().max()?);
    // A fraction of the greatest common divisor is a step too, while the codes stay in range.
    let limit = low.abs().max(high);
    for parts in 1..=limit / (least.abs().max(most.abs()) / block.divisor).max(1) {
        for sign in [1, -1] {
            let (first, last) = if sign == 1 { (least, most) } else { (-most, -least) };
            let codes = |number: i64| number / block.divisor * parts;
            if codes(first) < low || codes(last) > high {
                continue;
            }
            let step = (sign * block.divisor) as f64 / parts as f64;
            if let Some(scale) = half(step, block.exponent) {
                let code = |number: &i64| (codes(sign * number) - low) as u8;
                let codes = block.numbers.iter().map(code).collect();
                return Some(Fitted { codes, scale, min: zero, exponent: 0 });
            }
        }
    }
    None
}

fn above(block: &Integers, limit: i64) -> Option<Fitted> {
    let (least, most) = (*block.numbers.iter().min()?, *block.numbers.iter().max()?);
    let divisor = block.numbers.iter().fold(0, |divisor, number| gcd(divisor, number - least));
    if divisor == 0 {
        let min = half(least as f64, block.exponent)?;
        let codes = vec![0; block.numbers.len()];
        return Some(Fitted { codes, scale: F16::from_bits(0), min, exponent: 0 });
    }
    let steps = (most - least) / divisor;
    for parts in 1..=limit / steps.max(1) {
        for sign in [1, -1] {
            let step = divisor as f64 / parts as f64;
            let Some(scale) = half(sign as f64 * step, block.exponent) else { continue };
            // The offset may lie below the least value, where no value uses it.
            for unused in 0..=limit - steps * parts {
                let end = if sign == 1 { least } else { most };
                let offset = end as f64 - sign as f64 * unused as f64 * step;
                let Some(min) = half(offset, block.exponent) else { continue };
                let code =
                    |number: &i64| ((sign * (number - end)) / divisor * parts + unused) as u8;
                let codes = block.numbers.iter().map(code).collect();
                return Some(Fitted { codes, scale, min, exponent: 0 });
            }
        }
    }
    None
}

fn floats(block: &Integers) -> Option<Fitted> {
    // Levels have factors of two up to 8.
    for shift in 0..4 {
        let exponent = block.exponent - shift;
        let code = |number: &i64| {
            let level = number.checked_mul(1 << shift)?;
            let code = fp4::DOUBLED.iter().position(|of| i64::from(*of) == level)?;
            Some(code as u8)
        };
        let codes: Option<Vec<u8>> = block.numbers.iter().map(code).collect();
        let exponent = if block.divisor == 0 { 127 } else { exponent + 128 };
        if let (Some(codes), Ok(exponent @ 0..=254)) = (codes, u8::try_from(exponent)) {
            let zero = F16::from_bits(0);
            return Some(Fitted { codes, scale: zero, min: zero, exponent });
        }
    }
    None
}

/// Packs a block into `out`.
fn pack(ty: BlockType, fitted: &Fitted, out: &mut [u8]) {
    fn codes<const N: usize>(fitted: &Fitted) -> [u8; N] {
        std::array::from_fn(|i| fitted.codes.get(i).copied().unwrap_or_default())
    }
    fn put<B: Block>(block: &B, out: &mut [u8]) {
        out.copy_from_slice(block.as_bytes());
    }
    let Fitted { scale, min, exponent, .. } = *fitted;
    match ty {
        Q1_0::TYPE => put(&Q1_0::pack(&q1_0::Codes { scale, codes: codes(fitted) }), out),
        Q2_0::TYPE => put(&Q2_0::pack(&q2_0::Codes { scale, codes: codes(fitted) }), out),
        Q4_0::TYPE => put(&Q4_0::pack(&q4_0::Codes { scale, codes: codes(fitted) }), out),
        Q4_1::TYPE => put(&Q4_1::pack(&q4_1::Codes { scale, min, codes: codes(fitted) }), out),
        Q5_0::TYPE => put(&Q5_0::pack(&q5_0::Codes { scale, codes: codes(fitted) }), out),
        Q5_1::TYPE => put(&Q5_1::pack(&q5_1::Codes { scale, min, codes: codes(fitted) }), out),
        Q8_0::TYPE => {
            let codes = codes::<32>(fitted).map(|code| code.wrapping_sub(128) as i8);
            put(&Q8_0::pack(&q8_0::Codes { scale, codes }), out);
        }
        MXFP4::TYPE => put(&MXFP4::pack(&mxfp4::Codes { exponent, codes: codes(fitted) }), out),
        TQ1_0::TYPE => put(&TQ1_0::from_digits(&codes(fitted), scale), out),
        TQ2_0::TYPE => put(&TQ2_0::pack(&tq2_0::Codes { scale, codes: codes(fitted) }), out),
        _ => unreachable!("the types of the table"),
    }
}

#[cfg(test)]
#[path = "lattice_test.rs"]
mod tests;
