//! Sums without rounding: the same for every order of what is added.

/// Many sums, each an integer times a power of two that all of them share.
///
/// A sum is a two's complement number of words of 64 bits. The lowest one has the weight
/// 2^(64 · n - 1088), with the same n for all sums. Words are added at either end as they are
/// needed, so nothing is rounded. Sums of values of similar size need two or three.
#[derive(Clone, Debug, Default)]
pub struct ExactSums {
    count: usize,
    /// The place of the lowest word.
    first: usize,
    /// Words of a sum.
    width: usize,
    /// Those of one sum after another, the lowest first.
    words: Vec<u64>,
}

/// The weight of the lowest bit of all finite numbers is 2^-1074, and this is a multiple of 64.
const BIAS: usize = 1088;

/// Words that any sum of fewer than 2^63 finite numbers needs.
const MOST_WORDS: usize = (BIAS + 1024) / 64 + 2;

/// Bits of a word, and the bits that a word may use before another one is put on top.
const WORD: usize = 64;
const ROOM: i64 = 1 << 61;

impl ExactSums {
    /// Returns this many sums of nothing.
    pub fn new(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// Returns sums of these words; `None` if they are not the words of `count` sums.
    pub(super) fn of_words(count: usize, first: usize, words: Vec<u64>) -> Option<Self> {
        let width = words.len().checked_div(count).unwrap_or(0);
        let is_whole = words.len() == width.checked_mul(count)?;
        let is_in_range = first.checked_add(width)? <= MOST_WORDS;
        (is_whole && is_in_range).then_some(Self { count, first, width, words })
    }

    /// Returns the number of sums.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there are no sums.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a value to each of the sums from `start` on.
    ///
    /// # Panics
    /// If a value is not finite, or there are fewer sums.
    pub fn add(&mut self, start: usize, values: &[f64]) {
        assert!(start + values.len() <= self.count, "as many sums as values");
        for (place, value) in (start..).zip(values) {
            assert!(value.is_finite(), "only finite values have a sum");
            if *value != 0.0 {
                let (word, value) = in_words(*value);
                self.make_room(place, word, 2);
                self.add_words(place, word, &[value as u64, (value >> WORD) as u64]);
            }
        }
    }

    /// Adds other sums, each to its own. Returns `false` and adds nothing if their number differs.
    #[must_use]
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.count != other.count {
            return false;
        }
        let other = other.trimmed();
        for place in 0..self.count {
            let words = other.of(place);
            if words.iter().any(|word| *word != 0) {
                self.make_room(place, other.first, other.width + usize::from(is_high(words)));
                self.add_words(place, other.first, words);
            }
        }
        true
    }

    /// Returns the sums, rounded to the nearest number (twice if that is subnormal).
    pub fn values(&self) -> Vec<f64> {
        (0..self.count).map(|place| self.value(place)).collect()
    }

    fn value(&self, place: usize) -> f64 {
        let words = self.of(place);
        let is_negative = words.last().is_some_and(|word| (*word as i64) < 0);
        let mut size = words.to_vec();
        if is_negative {
            let mut carry = true;
            for word in &mut size {
                (*word, carry) = (!*word).overflowing_add(u64::from(carry));
            }
        }
        let Some(top) = size.iter().rposition(|word| *word != 0) else { return 0.0 };
        let bits = size[top].leading_zeros();
        let below = |distance: usize| top.checked_sub(distance).map_or(0, |at| size[at]);
        let mut high = u128::from(size[top]) << WORD | u128::from(below(1));
        high = high << bits | (u128::from(below(2)) << bits) >> WORD;
        // what is below decides only whether it is more than half
        if below(2) << bits != 0 || top > 2 && size[..top - 2].iter().any(|word| *word != 0) {
            high |= 1;
        }
        let power = ((self.first + top) * WORD) as i32 - (BIAS + WORD) as i32 - bits as i32;
        let value = libm::scalbn(high as f64, power);
        if is_negative { -value } else { value }
    }

    fn of(&self, place: usize) -> &[u64] {
        &self.words[place * self.width..][..self.width]
    }

    /// Adds a two's complement number to a sum that has room for it.
    fn add_words(&mut self, place: usize, word: usize, value: &[u64]) {
        let sum = &mut self.words[place * self.width..][..self.width];
        let fill = if value.last().is_some_and(|word| (*word as i64) < 0) { u64::MAX } else { 0 };
        let mut carry = false;
        for (at, sum) in sum[word - self.first..].iter_mut().enumerate() {
            let (added, a) = sum.overflowing_add(value.get(at).copied().unwrap_or(fill));
            let (added, b) = added.overflowing_add(u64::from(carry));
            (*sum, carry) = (added, a || b);
            if at >= value.len() && carry == (fill != 0) {
                break; // the rest stays
            }
        }
    }

    /// Makes sure that a sum has these words, and that adding a number to it that uses them does
    /// not reach the sign.
    fn make_room(&mut self, place: usize, word: usize, count: usize) {
        if self.width == 0 {
            self.first = word;
        }
        let mut end = (self.first + self.width).max(word + count);
        if self.first + self.width == end && is_high(self.of(place)) {
            end += 1;
        }
        let first = self.first.min(word);
        if first != self.first || end != self.first + self.width {
            *self = self.with_words(first, end);
        }
    }

    /// Returns the same sums with the words from `first` to `end`, which hold them.
    fn with_words(&self, first: usize, end: usize) -> Self {
        let mut words = Vec::with_capacity(self.count * (end - first));
        for place in 0..self.count {
            let own = self.of(place);
            let fill = match own.last() {
                Some(top) if (*top as i64) < 0 => u64::MAX,
                _ => 0,
            };
            words.extend((first..end).map(|at| match at.checked_sub(self.first) {
                None => 0,
                Some(at) => own.get(at).copied().unwrap_or(fill),
            }));
        }
        Self { count: self.count, first, width: end - first, words }
    }

    /// Returns the same sums without words that say nothing.
    fn trimmed(&self) -> Self {
        let (mut first, mut end) = (self.first, self.first + self.width);
        let all = |of: &dyn Fn(&[u64]) -> bool| (0..self.count).all(|place| of(self.of(place)));
        while first < end && all(&|words| words[first - self.first] == 0) {
            first += 1;
        }
        while end > first + 1
            && all(&|words| {
                let at = end - 1 - self.first;
                words[at] == ((words[at - 1] as i64) >> (WORD - 1)) as u64
            })
        {
            end -= 1;
        }
        match first == end {
            true => Self::new(self.count),
            false => self.with_words(first, end),
        }
    }

    /// The words of all sums, without those that say nothing, and the place of the lowest.
    pub(super) fn words(&self) -> (usize, Vec<u64>) {
        let trimmed = self.trimmed();
        (trimmed.first, trimmed.words)
    }
}

/// Whether all sums are the same, whatever their words.
impl PartialEq for ExactSums {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.words() == other.words()
    }
}

/// Whether a number comes so close to the sign that adding could reach it.
fn is_high(words: &[u64]) -> bool {
    words.last().is_some_and(|top| !(-ROOM..ROOM).contains(&(*top as i64)))
}

/// A finite number as an integer times 2^(64 · word - [`BIAS`]). It uses 117 bits at most.
fn in_words(value: f64) -> (usize, i128) {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as usize, bits & ((1 << 52) - 1));
    // the lowest bit of a number whose exponent is 0 or 1 is 2^-1074
    let (low, integer) = match exponent {
        0 => (BIAS - 1074, fraction),
        exponent => (BIAS - 1074 + exponent - 1, fraction | 1 << 52),
    };
    let integer = i128::from(integer) << (low % WORD);
    (low / WORD, if value < 0.0 { -integer } else { integer })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of very different size whose sums single steps would round.
    fn numbers() -> Vec<f64> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state >> 11
        };
        (0..300)
            .map(|_| {
                let power = (next() % 700) as i32 - 350;
                let sign = if next() % 3 == 0 { -1.0 } else { 1.0 };
                sign * libm::scalbn(next() as f64, power)
            })
            .collect()
    }

    #[test]
    fn every_order_and_every_split_has_the_same_sum() {
        let numbers = numbers();
        let sum = |of: &[f64]| {
            let mut sums = ExactSums::new(2);
            of.iter().for_each(|number| sums.add(1, &[*number]));
            sums
        };
        let whole = sum(&numbers);
        let mut turned = numbers.clone();
        turned.reverse();
        assert_eq!(sum(&turned), whole);
        turned.sort_by(f64::total_cmp);
        assert_eq!(sum(&turned), whole);
        for parts in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let mut merged = ExactSums::new(2);
            for part in parts {
                assert!(merged.merge(&sum(&numbers[part * 100..][..100])));
            }
            assert_eq!(merged, whole);
            assert_eq!(merged.values(), whole.values());
            let (first, words) = merged.words();
            assert_eq!(ExactSums::of_words(2, first, words), Some(merged));
        }
        // and all of it taken away again leaves nothing
        let mut nothing = whole.clone();
        turned.iter().for_each(|number| nothing.add(1, &[-number]));
        assert_eq!(nothing, ExactSums::new(2));
        assert_eq!(nothing.values(), [0.0, 0.0]);
        assert!(!nothing.merge(&ExactSums::new(3)));
    }

    #[test]
    fn sums_are_the_nearest_numbers() {
        let value = |numbers: &[f64]| {
            let mut sums = ExactSums::new(1);
            numbers.iter().for_each(|number| sums.add(0, &[*number]));
            sums.values()[0]
        };
        for number in numbers() {
            assert_eq!(value(&[number]), number);
            assert_eq!(value(&[number, number, -number]), number);
        }
        for number in [f64::MIN_POSITIVE, 5e-324, -5e-324, f64::MAX, f64::MIN, 0.0, 1.0, -3.5] {
            assert_eq!(value(&[number]), number);
        }
        let half = f64::EPSILON / 2.0;
        assert_eq!(value(&[1.0, half]), 1.0, "half goes to the even one");
        assert_eq!(value(&[1.0, half, 1e-300]), 1.0 + f64::EPSILON);
        assert_eq!(value(&[1.0, half, -1e-300]), 1.0);
        assert_eq!(value(&[-1.0, -half, -1e-300]), -1.0 - f64::EPSILON);
        assert_eq!(value(&[1.0 + f64::EPSILON, half]), 1.0 + 2.0 * f64::EPSILON);
        assert_eq!(value(&[1e300, 1.0, -1e300]), 1.0);
        assert_eq!(value(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(value(&[1e16; 1000]), 1e19);
    }

    #[test]
    fn words_that_cannot_be() {
        assert!(ExactSums::of_words(2, 0, vec![0; 3]).is_none());
        assert!(ExactSums::of_words(2, usize::MAX, vec![0; 2]).is_none());
        assert!(ExactSums::of_words(1, 30, vec![1; 9]).is_none());
        assert!(ExactSums::of_words(0, 0, vec![1]).is_none());
        assert_eq!(ExactSums::of_words(0, 0, Vec::new()), Some(ExactSums::new(0)));
    }
}
