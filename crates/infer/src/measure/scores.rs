//! Statistics over the scores of many positions.

use super::{Score, Versus};

/// The scores of a text, by chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    chunks: Vec<Vec<Score>>,
}

/// An estimate and its standard errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The standard error by the differences between chunks; `None` for a single chunk.
    pub error: Option<f64>,
    /// The standard error if all positions were independent, as `llama-perplexity` prints it. It is
    /// too small, because positions of a chunk share their text.
    pub token_error: f64,
}

/// A distribution of values: its quantiles, by linear interpolation.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantiles(Vec<f64>);

impl Scores {
    /// Adds the scores of a chunk.
    pub fn push(&mut self, chunk: Vec<Score>) {
        self.chunks.push(chunk);
    }

    /// The chunks.
    pub fn chunks(&self) -> &[Vec<Score>] {
        &self.chunks
    }

    /// The number of scored positions.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }

    /// Whether nothing is scored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The perplexity.
    pub fn perplexity(&self) -> Estimate {
        self.mean(|score| score.surprise).exponential()
    }

    /// The base's perplexity.
    pub fn base_perplexity(&self) -> Option<Estimate> {
        Some(self.mean_versus(|_, versus| versus.surprise)?.exponential())
    }

    /// The logarithm of the ratio of both perplexities.
    pub fn log_ratio(&self) -> Option<Estimate> {
        self.mean_versus(|score, versus| score.surprise - versus.surprise)
    }

    /// The ratio of both perplexities.
    pub fn ratio(&self) -> Option<Estimate> {
        Some(self.log_ratio()?.exponential())
    }

    /// The perplexity minus the base's.
    pub fn difference(&self) -> Option<Estimate> {
        let [own, base] = [self.perplexity().value, self.base_perplexity()?.value];
        // the errors are those of the linear approximation
        let linear =
            self.mean_versus(|score, versus| own * score.surprise - base * versus.surprise)?;
        Some(Estimate { value: own - base, ..linear })
    }

    /// The correlation of the surprises of both models.
    pub fn correlation(&self) -> Option<f64> {
        let own = self.mean(|score| score.surprise).value;
        let base = self.mean_versus(|_, versus| versus.surprise)?.value;
        let mut sums = [0.0; 3];
        for score in self.chunks.iter().flatten() {
            let [a, b] = [score.surprise - own, score.versus?.surprise - base];
            for (sum, product) in sums.iter_mut().zip([a * b, a * a, b * b]) {
                *sum += product;
            }
        }
        Some(sums[0] / (sums[1] * sums[2]).sqrt())
    }

    /// The mean divergence, in nats.
    pub fn divergence(&self) -> Option<Estimate> {
        self.mean_versus(|_, versus| versus.divergence)
    }

    /// The quantiles of the divergence.
    pub fn divergence_quantiles(&self) -> Option<Quantiles> {
        self.quantiles(|versus| versus.divergence)
    }

    /// The mean change of the probability of the token that follows.
    pub fn change(&self) -> Option<Estimate> {
        self.mean_versus(|_, versus| versus.change)
    }

    /// The quantiles of the change of that probability.
    pub fn change_quantiles(&self) -> Option<Quantiles> {
        self.quantiles(|versus| versus.change)
    }

    /// The root of the mean square of the change of that probability.
    pub fn change_rms(&self) -> Option<Estimate> {
        let square = self.mean_versus(|_, versus| versus.change * versus.change)?;
        let value = square.value.sqrt();
        let scale = if value > 0.0 { 0.5 / value } else { 0.0 };
        Some(Estimate { value, ..square.scaled(scale) })
    }

    /// The share of positions where both models predict the same token.
    pub fn same_top(&self) -> Option<Estimate> {
        self.mean_versus(|_, versus| f64::from(u8::from(versus.same_top)))
    }

    /// The mean over all positions.
    pub(super) fn mean(&self, of: impl Fn(&Score) -> f64) -> Estimate {
        let chunks = self.chunks.iter().filter(|chunk| !chunk.is_empty());
        let sums: Vec<(f64, f64)> =
            chunks.map(|chunk| (chunk.iter().map(&of).sum(), chunk.len() as f64)).collect();
        let count: f64 = sums.iter().map(|(_, count)| count).sum();
        let value = sums.iter().map(|(sum, _)| sum).sum::<f64>() / count;
        let off = |(sum, count): &(f64, f64)| (sum - count * value).powi(2);
        let chunks = sums.len() as f64;
        let between = sums.iter().map(off).sum::<f64>() * chunks / (chunks - 1.0);
        let squares = self.chunks.iter().flatten().map(|score| (of(score) - value).powi(2));
        let within = squares.sum::<f64>() / count / (count - 1.0);
        Estimate {
            value,
            error: (sums.len() > 1).then(|| between.sqrt() / count),
            token_error: within.sqrt(),
        }
    }

    fn mean_versus(&self, of: impl Fn(&Score, &Versus) -> f64) -> Option<Estimate> {
        let all = self.chunks.iter().flatten().all(|score| score.versus.is_some());
        (all && !self.is_empty()).then(|| {
            self.mean(|score| of(score, score.versus.as_ref().expect("every score has it")))
        })
    }

    fn quantiles(&self, of: impl Fn(&Versus) -> f64) -> Option<Quantiles> {
        let scores = self.chunks.iter().flatten();
        let mut values: Vec<f64> =
            scores.map(|score| score.versus.as_ref().map(&of)).collect::<Option<_>>()?;
        values.sort_unstable_by(f64::total_cmp);
        (!values.is_empty()).then_some(Quantiles(values))
    }
}

impl Estimate {
    /// The exponential; its error is that of the linear approximation.
    fn exponential(self) -> Self {
        let value = libm::exp(self.value);
        Self { value, ..self.scaled(value) }
    }

    fn scaled(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            error: self.error.map(|error| error * factor),
            token_error: self.token_error * factor,
        }
    }
}

impl Quantiles {
    /// The value below which a share of the values lies: 0 gives the least, 1 the greatest.
    ///
    /// # Panics
    /// If `share` is not from 0 to 1.
    pub fn at(&self, share: f64) -> f64 {
        assert!((0.0..=1.0).contains(&share), "a share is from 0 to 1, not {share}");
        let place = share * (self.0.len() - 1) as f64;
        let (below, part) = (place.floor() as usize, place.fract());
        let above = self.0[(below + 1).min(self.0.len() - 1)];
        (1.0 - part) * self.0[below] + part * above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(chunks: &[&[(f64, f64, f64)]]) -> Scores {
        let mut scores = Scores::default();
        for chunk in chunks {
            let score = |(surprise, base, divergence): &(f64, f64, f64)| {
                let change = (-surprise).exp() - (-base).exp();
                let same_top = *divergence < 0.5;
                let divergence = *divergence;
                let versus = Versus { surprise: *base, divergence, same_top, change };
                Score { surprise: *surprise, versus: Some(versus) }
            };
            scores.push(chunk.iter().map(score).collect());
        }
        scores
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    }

    #[test]
    fn means_and_errors_by_hand() {
        let scores = scores(&[&[(1.0, 1.0, 0.0), (2.0, 1.0, 1.0)], &[(3.0, 1.0, 0.2)]]);
        let mean = scores.log_ratio().unwrap();
        near(mean.value, 1.0);
        // chunks are off by -1 and 1: sqrt((1 + 1) * 2 / 1) / 3
        near(mean.error.unwrap(), 2.0 / 3.0);
        // tokens are off by -1, 0, 1: sqrt(2 / 3 / 2)
        near(mean.token_error, (1.0_f64 / 3.0).sqrt());
        near(scores.perplexity().value, 2_f64.exp());
        near(scores.perplexity().token_error, 2_f64.exp() * (1.0_f64 / 3.0).sqrt());
        near(scores.difference().unwrap().value, 2_f64.exp() - 1_f64.exp());
        near(scores.divergence().unwrap().value, 0.4);
        near(scores.same_top().unwrap().value, 2.0 / 3.0);
        let changes = [0.0, (-2_f64).exp() - (-1_f64).exp(), (-3_f64).exp() - (-1_f64).exp()];
        let square = changes.iter().map(|x| x * x).sum::<f64>() / 3.0;
        near(scores.change_rms().unwrap().value, square.sqrt());
    }

    #[test]
    fn quantiles_interpolate() {
        let scores = scores(&[&[(1.0, 1.0, 3.0), (1.0, 1.0, 1.0)], &[(1.0, 1.0, 2.0)]]);
        let quantiles = scores.divergence_quantiles().unwrap();
        for (share, value) in [(0.0, 1.0), (0.25, 1.5), (0.5, 2.0), (0.9, 2.8), (1.0, 3.0)] {
            near(quantiles.at(share), value);
        }
    }

    #[test]
    fn without_a_base_there_is_nothing_to_compare() {
        let mut scores = Scores::default();
        assert!(scores.divergence().is_none() && scores.divergence_quantiles().is_none());
        scores.push(vec![Score { surprise: 1.0, versus: None }; 2]);
        assert!(scores.divergence().is_none() && scores.base_perplexity().is_none());
        assert!(scores.perplexity().error.is_none(), "one chunk says nothing about chunks");
    }
}
