//! Sums in the order of PyTorch, to the last bit.
//!
//! The order is that of torch 2.11.0 on x86-64 with one thread. With several threads, torch adds
//! the sums of as many parts of a large tensor; then the last bits differ from machine to machine.

/// Values in a vector.
const LANES: usize = 8;
/// Vectors that are summed side by side.
const GROUPS: usize = 4;
/// Values that are taken together.
const STEP: usize = LANES * GROUPS;
/// Levels of partial sums.
const LEVELS: usize = 4;

/// Returns the mean of some values, in single precision. That of none is not a number.
pub(crate) fn mean(values: &[f32]) -> f32 {
    let mut sum = Sum::of(values.len() as u64);
    sum.add(values);
    sum.mean()
}

/// A sum of values that arrive in pieces.
pub(crate) struct Sum {
    values: u64,
    /// The number of steps after which the sums of a level move to the next one, as a power of two.
    power: u32,
    steps: u64,
    sums: [[f32; STEP]; LEVELS],
    /// Values that make no whole step yet.
    rest: Vec<f32>,
}

impl Sum {
    /// Begins the sum of `values` values.
    pub(crate) fn of(values: u64) -> Self {
        let steps = values / STEP as u64;
        let power = match steps {
            0..=2 => 1,
            _ => u64::BITS - (steps - 1).leading_zeros(),
        };
        let power = (power / LEVELS as u32).max(4);
        Self { values, power, steps: 0, sums: [[0.0; STEP]; LEVELS], rest: Vec::new() }
    }

    /// Adds the next values. All pieces but the last one have a multiple of 32 values.
    pub(crate) fn add(&mut self, values: &[f32]) {
        let (steps, rest) = values.as_chunks::<STEP>();
        for step in steps {
            add(&mut self.sums[0], *step);
            self.steps += 1;
            if self.steps.is_multiple_of(1 << self.power) {
                self.carry();
            }
        }
        self.rest.extend_from_slice(rest);
    }

    /// Moves full partial sums to the next level.
    fn carry(&mut self) {
        for level in 1..LEVELS {
            let below = std::mem::replace(&mut self.sums[level - 1], [0.0; STEP]);
            add(&mut self.sums[level], below);
            let full = ((1_u64 << self.power) - 1).unbounded_shl(level as u32 * self.power);
            if self.steps & full != 0 {
                break;
            }
        }
    }

    /// Returns the sum of all values.
    pub(crate) fn total(mut self) -> f32 {
        if self.values < LANES as u64 { self.few() } else { self.many() }
    }

    /// Returns the mean of all values. That of none is not a number.
    pub(crate) fn mean(self) -> f32 {
        let values = self.values as f32;
        self.total() / values
    }

    /// The sum of less than a vector.
    fn few(&self) -> f32 {
        let (groups, rest) = self.rest.as_chunks::<GROUPS>();
        let mut sums = groups.first().copied().unwrap_or_default();
        rest.iter().for_each(|value| sums[0] += value);
        sums[1..].iter().fold(sums[0], |sum, value| sum + value)
    }

    fn many(&mut self) -> f32 {
        let [mut sums, levels @ ..] = self.sums;
        levels.into_iter().for_each(|level| add(&mut sums, level));
        let (groups, _) = sums.as_chunks::<LANES>();
        let mut lanes = groups[0];
        let (vectors, last) = self.rest.as_chunks::<LANES>();
        vectors.iter().chain(&groups[1..]).for_each(|vector| add(&mut lanes, *vector));
        last.iter().chain(&lanes).fold(0.0, |sum, value| sum + value)
    }
}

fn add<const N: usize>(sums: &mut [f32; N], values: [f32; N]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of torch 2.11.0 for the same values.
    #[test]
    fn sums_have_the_bits_of_torch() {
        let value = |i: u32| f32::from_bits(0x3f80_0000 | (i.wrapping_mul(2_654_435_761) >> 9));
        for (count, expected) in [
            (5, 0x3f6e2abc),
            (7, 0x3f9d467b),
            (8, 0x3fa708a4),
            (100, 0x41c22555),
            (384, 0x42bf7e95),
            (1000, 0x4379f9f2),
            (70001, 0x4688b70e),
            (2_000_003, 0x48f423fd),
        ] {
            let values: Vec<f32> = (0..count).map(|i| value(i) - 1.25).collect();
            for piece in [32, 4096, 1 << 30] {
                let mut sum = Sum::of(values.len() as u64);
                values.chunks(piece).for_each(|values| sum.add(values));
                assert_eq!(sum.total().to_bits(), expected, "{count} values by {piece}");
            }
        }
    }
}
