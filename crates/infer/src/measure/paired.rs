//! The difference of two candidates that were scored on the same text against the same base.

use super::{Estimate, Scores};

/// Two candidates, compared position by position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// The first candidate's mean divergence minus the second's.
    pub divergence: Estimate,
    /// The interval that holds 95 % of that difference when chunks are drawn anew; `None` for fewer
    /// than two chunks.
    pub interval: Option<(f64, f64)>,
    /// The first candidate's mean surprise minus the second's.
    pub surprise: Estimate,
    /// The share of positions where the first candidate's divergence is smaller.
    pub smaller: f64,
}

/// How often chunks are drawn anew.
const DRAWS: usize = 4000;

impl Paired {
    /// Compares two candidates. Returns `None` if a position is not scored in both, or not against
    /// a base.
    pub fn of(first: &Scores, second: &Scores) -> Option<Self> {
        let lengths = |scores: &Scores| scores.chunks().iter().map(Vec::len).collect::<Vec<_>>();
        if first.is_empty() || lengths(first) != lengths(second) {
            return None;
        }
        let mut differences = Scores::default();
        let (mut smaller, mut equal) = (0_usize, 0_usize);
        for (first, second) in first.chunks().iter().zip(second.chunks()) {
            let mut chunk = Vec::with_capacity(first.len());
            for (first, second) in first.iter().zip(second) {
                let [a, b] = [first.versus?, second.versus?];
                smaller += usize::from(a.divergence < b.divergence);
                equal += usize::from(a.divergence == b.divergence);
                let mut difference = *first;
                difference.surprise -= second.surprise;
                difference.versus =
                    Some(super::Versus { divergence: a.divergence - b.divergence, ..a });
                chunk.push(difference);
            }
            differences.push(chunk);
        }
        Some(Self {
            divergence: differences.divergence()?,
            interval: interval(&differences),
            surprise: differences.mean(|score| score.surprise),
            smaller: (smaller as f64 + equal as f64 / 2.0) / differences.len() as f64,
        })
    }
}

/// Draws as many chunks as there are, with repetition, many times, and returns the means between
/// which the middle 95 % lie. The draws are the same in every run.
fn interval(differences: &Scores) -> Option<(f64, f64)> {
    let chunks: Vec<(f64, f64)> = differences
        .chunks()
        .iter()
        .map(|chunk| {
            let sum = chunk.iter().filter_map(|score| score.versus).map(|versus| versus.divergence);
            (sum.sum(), chunk.len() as f64)
        })
        .collect();
    if chunks.len() < 2 {
        return None;
    }
    let mut random = SplitMix(chunks.len() as u64);
    let mut means: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let (mut sum, mut count) = (0.0, 0.0);
            for _ in 0..chunks.len() {
                let (one, positions) = chunks[random.below(chunks.len())];
                sum += one;
                count += positions;
            }
            if count > 0.0 { sum / count } else { 0.0 }
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    Some((means[DRAWS / 40], means[DRAWS - 1 - DRAWS / 40]))
}

/// The generator SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Score, Versus};
    use super::*;

    fn scores(of: impl Fn(usize, usize) -> f64) -> Scores {
        let mut scores = Scores::default();
        for chunk in 0..16 {
            let score = |position| {
                let divergence = of(chunk, position);
                let versus = Versus { surprise: 1.0, divergence, same_top: true, change: 0.0 };
                Score { surprise: divergence, versus: Some(versus) }
            };
            scores.push((0..10).map(score).collect());
        }
        scores
    }

    #[test]
    fn a_small_difference_shows_under_large_common_noise() {
        let noise = |chunk: usize, position: usize| ((chunk * 7 + position * 3) % 11) as f64;
        let worse =
            scores(|chunk, position| noise(chunk, position) + 0.1 + 0.05 * (chunk % 3) as f64);
        let paired = Paired::of(&worse, &scores(noise)).unwrap();
        let expected = 0.1 + 0.05 * 15.0 / 16.0;
        assert!((paired.divergence.value - expected).abs() < 1e-12);
        let (low, high) = paired.interval.unwrap();
        assert!(0.12 < low && low < expected && expected < high && high < 0.17, "{low} {high}");
        assert_eq!(paired.smaller, 0.0);
        assert!(paired.divergence.error.unwrap() < 0.02);
        assert_eq!(Paired::of(&worse, &worse).unwrap().smaller, 0.5);
    }

    #[test]
    fn other_positions_cannot_be_paired() {
        let mut first = scores(|_, _| 1.0);
        let second = first.clone();
        first.push(Vec::new());
        assert_eq!(Paired::of(&first, &second), None);
        assert_eq!(Paired::of(&Scores::default(), &Scores::default()), None);
    }
}
