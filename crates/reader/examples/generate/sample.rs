//! Choosing the next token.

use fastrand::Rng;

use crate::common::layers::softmax;

/// How the next token is chosen.
pub(crate) struct Sampler {
    temperature: f32,
    rng: Rng,
}

impl Sampler {
    /// With a temperature of zero, always the likeliest token.
    pub(crate) fn new(temperature: f32, seed: u64) -> Self {
        Self { temperature, rng: Rng::with_seed(seed) }
    }

    /// Choose by the logits of all tokens.
    pub(crate) fn choose(&mut self, logits: &[f32]) -> u32 {
        if self.temperature <= 0.0 {
            return best(logits, 1)[0].0;
        }
        let mut shares: Vec<f32> = logits.iter().map(|logit| logit / self.temperature).collect();
        softmax(&mut shares);
        let mut rest = self.rng.f32();
        for (id, share) in (0..).zip(&shares) {
            rest -= share;
            if rest < 0.0 {
                return id;
            }
        }
        best(logits, 1)[0].0 // the shares add up to a little less than one
    }
}

/// The likeliest tokens with their logits, the best first; of equal ones the first.
///
/// # Panics
/// If there are no logits.
pub(crate) fn best(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
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
}
