//! Choosing the next token.

use fastrand::Rng;

use crate::compute::math::softmax;

/// How the next token is chosen.
#[derive(Clone, Debug)]
pub struct Sampler {
    temperature: f32,
    top_k: usize,
    top_p: f32,
    rng: Rng,
}

impl Sampler {
    /// Chooses in proportion to the probabilities at a temperature; at zero, always the likeliest
    /// token.
    pub fn new(temperature: f32, seed: u64) -> Self {
        Self { temperature, top_k: usize::MAX, top_p: 1.0, rng: Rng::with_seed(seed) }
    }

    /// Chooses among this many of the likeliest tokens only; zero for all.
    #[must_use = "it is the sampler with the limit"]
    pub fn top_k(self, top_k: usize) -> Self {
        Self { top_k: if top_k == 0 { usize::MAX } else { top_k }, ..self }
    }

    /// Chooses only among the likeliest tokens that together have at least this probability.
    #[must_use = "it is the sampler with the limit"]
    pub fn top_p(self, top_p: f32) -> Self {
        Self { top_p, ..self }
    }

    /// Chooses by the logits of all tokens.
    ///
    /// # Panics
    /// If there are no logits.
    pub fn choose(&mut self, logits: &[f32]) -> u32 {
        if self.temperature <= 0.0 {
            return best(logits, 1)[0].0;
        }
        let mut candidates = best(logits, self.top_k);
        let mut shares: Vec<f32> =
            candidates.iter().map(|(_, logit)| logit / self.temperature).collect();
        softmax(&mut shares, None);
        if self.top_p < 1.0 {
            let mut sum = 0.0;
            let before = shares.iter().take_while(|share| {
                let short = sum < self.top_p;
                sum += **share;
                short
            });
            let kept = before.count().max(1);
            shares.truncate(kept);
            candidates.truncate(kept);
        }
        let mut rest = self.rng.f32() * shares.iter().sum::<f32>();
        for ((id, _), share) in candidates.iter().zip(&shares) {
            rest -= share;
            if rest < 0.0 {
                return *id;
            }
        }
        candidates[0].0 // what is left is a rounding error
    }
}

/// The likeliest tokens with their logits, the best first; of equal ones the first.
///
/// # Panics
/// If there are no logits.
pub fn best(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    assert!(!logits.is_empty(), "a model has tokens");
    let mut all: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
    let count = count.clamp(1, all.len());
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    all.select_nth_unstable_by(count - 1, order);
    all.truncate(count);
    all.sort_by(order);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_first() {
        let logits = [0.5, 2.0, -1.0, 2.0];
        assert_eq!(best(&logits, 3), [(1, 2.0), (3, 2.0), (0, 0.5)]);
        assert_eq!(best(&logits, 9).len(), 4);
        assert_eq!(Sampler::new(0.0, 1).choose(&logits), 1);
    }

    #[test]
    fn a_temperature_chooses_in_proportion() {
        let logits = [3_f32.ln(), f32::NEG_INFINITY, 0.0];
        let mut sampler = Sampler::new(1.0, 7);
        let mut counts = [0; 3];
        (0..4000).for_each(|_| counts[sampler.choose(&logits) as usize] += 1);
        assert!((2900..3100).contains(&counts[0]) && counts[1] == 0, "{counts:?}");
        let once: Vec<u32> = (0..9).map(|_| Sampler::new(1.0, 7).choose(&logits)).collect();
        assert!(once.iter().all(|id| *id == once[0]), "the same seed, the same token");
    }

    #[test]
    fn limits_leave_the_likeliest() {
        let logits = [2.0, 1.9, 1.8, -9.0];
        let mut few = Sampler::new(1.0, 3).top_k(2);
        let mut likely = Sampler::new(1.0, 3).top_p(0.5);
        for _ in 0..500 {
            assert!(few.choose(&logits) < 2 && likely.choose(&logits) < 2);
        }
        assert_eq!(Sampler::new(1.0, 3).top_p(0.0).choose(&logits), 0);
    }
}
