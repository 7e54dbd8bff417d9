//! Sums in the order of PyTorch, to the last bit.

/// Sums that its vectors of 8 numbers keep side by side.
const LANES: usize = 8;

/// Vectors that it adds side by side.
const ROWS: usize = 4;

/// Levels of sums: each adds some sums of the level before it.
const LEVELS: usize = 4;

/// One vector of sums.
type Lanes = [f32; LANES];

/// Returns the mean of some values, in single precision. That of none is not a number.
pub(crate) fn mean(values: &[f32]) -> f32 {
    sum(values) / values.len() as f32
}

/// Returns the sum, in single precision and on one thread.
///
/// Vectors of eight values are added to four vectors of sums in turn. These are added in levels, so
/// that no sum gets much larger than what is added to it. In the end come the values that fill no
/// vector, and then the eight sums.
pub(crate) fn sum(values: &[f32]) -> f32 {
    let (vectors, rest) = values.as_chunks::<LANES>();
    let (rows, last) = vectors.as_chunks::<ROWS>();
    let mut sums = in_levels(rows);
    for vector in last {
        add(&mut sums[0], vector);
    }
    let [mut all, others @ ..] = sums;
    others.iter().for_each(|other| add(&mut all, other));
    rest.iter().chain(&all).fold(0.0, |sum, value| sum + value)
}

/// Adds rows of vectors in levels.
fn in_levels(rows: &[[Lanes; ROWS]]) -> [Lanes; ROWS] {
    let mut levels = [[[0.0; LANES]; ROWS]; LEVELS];
    let bits = rows.len().max(1).next_power_of_two().ilog2();
    let power = (bits / LEVELS as u32).max(4);
    let whole = rows.len() >> power << power;
    for (done, row) in (1..).zip(&rows[..whole]) {
        add_rows(&mut levels[0], row);
        // A level is full after as many of the one before it.
        for level in 1..LEVELS {
            if done & ((1_usize << (power * level as u32)) - 1) != 0 {
                break;
            }
            let full = std::mem::replace(&mut levels[level - 1], [[0.0; LANES]; ROWS]);
            add_rows(&mut levels[level], &full);
        }
    }
    rows[whole..].iter().for_each(|row| add_rows(&mut levels[0], row));
    let [mut all, others @ ..] = levels;
    others.iter().for_each(|level| add_rows(&mut all, level));
    all
}

fn add_rows(to: &mut [Lanes; ROWS], rows: &[Lanes; ROWS]) {
    to.iter_mut().zip(rows).for_each(|(to, row)| add(to, row));
}

fn add(to: &mut Lanes, values: &Lanes) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of torch 2.11.0 for the same values.
    #[test]
    fn sums_have_the_bits_of_torch() {
        let value = |i: u32| f32::from_bits(0x3f80_0000 | (i.wrapping_mul(2_654_435_761) >> 9));
        for (count, expected) in [
            (7, 0x3f9d467b),
            (8, 0x3fa708a4),
            (100, 0x41c22555),
            (384, 0x42bf7e95),
            (1000, 0x4379f9f2),
            (70001, 0x4688b70e),
        ] {
            let values: Vec<f32> = (0..count).map(|i| value(i) - 1.25).collect();
            assert_eq!(sum(&values).to_bits(), expected, "{count}");
        }
    }
}
