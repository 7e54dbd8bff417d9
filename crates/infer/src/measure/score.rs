//! One position: its logits against the token that follows and against another distribution.

use granule_reader::isa::Isa;

use crate::compute::math::{exp64, sum64};

/// What a position shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The negative logarithm of the probability of the token that follows.
    pub surprise: f64,
    /// The comparison with the base, if there is one.
    pub versus: Option<Versus>,
}

/// A position compared with the base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Versus {
    /// The base's [`Score::surprise`].
    pub surprise: f64,
    /// The Kullback-Leibler divergence of the candidate from the base, in nats.
    pub divergence: f64,
    /// Whether both give the same token the highest probability.
    pub same_top: bool,
    /// The probability of the token that follows, minus the base's.
    pub change: f64,
}

/// Logits that cannot be scored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LogitError {
    /// A logit is NaN or infinite.
    #[error("the logit of token {token} is {value}")]
    NotFinite {
        /// The token.
        token: usize,
        /// Its logit.
        value: f32,
    },
    /// The base has another number of tokens.
    #[error("the base has a vocabulary of {base} tokens, the model one of {model}")]
    Vocabulary {
        /// Tokens of the base.
        base: usize,
        /// Tokens of the model.
        model: usize,
    },
    /// A token of the text is not in the vocabulary.
    #[error("the text has token {token}, but the model has logits for {vocabulary} tokens only")]
    Token {
        /// The token.
        token: u32,
        /// The number of logits.
        vocabulary: usize,
    },
}

/// The base's distribution at one position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Base {
    /// The number of tokens.
    pub(super) vocabulary: usize,
    /// The token with the highest probability; of equal ones the first.
    pub(super) top: u32,
    /// The logarithm of the probability of the token that follows.
    pub(super) target: f64,
    /// Tokens in rising order, and the logarithms of their probabilities.
    pub(super) listed: Vec<(u32, f64)>,
    /// The probability of all tokens that are not listed, where they count as one.
    pub(super) rest: f64,
}

impl Base {
    /// Returns the distribution of a row of logits, with `target` as the token that follows.
    ///
    /// # Errors
    /// If a logit is not finite, or `target` is not in the vocabulary.
    pub fn of_logits(logits: &[f32], target: u32) -> Result<Self, LogitError> {
        let row = Row::of(logits)?;
        Ok(Self {
            vocabulary: logits.len(),
            top: row.top,
            target: row.log_probability(logits, target)?,
            listed: (0..).zip(logits.iter().map(|logit| f64::from(*logit) - row.total)).collect(),
            rest: 0.0,
        })
    }
}

/// Scores the logits of one position, after which the token `target` follows.
///
/// # Errors
/// If a logit is not finite, `target` is not in the vocabulary, or the base has another vocabulary.
pub fn score(logits: &[f32], target: u32, base: Option<&Base>) -> Result<Score, LogitError> {
    let row = Row::of(logits)?;
    let own = row.log_probability(logits, target)?;
    let Some(base) = base else { return Ok(Score { surprise: -own, versus: None }) };
    if base.vocabulary != logits.len() {
        return Err(LogitError::Vocabulary { base: base.vocabulary, model: logits.len() });
    }
    let (mut divergence, seen) = Isa::detect().run(
        #[inline(always)]
        || compare(&base.listed, logits, row.total),
    );
    if base.rest > 0.0 {
        // the logarithm stays finite where rounding leaves nothing
        let rest = (1.0 - seen).max(f64::from(f32::MIN_POSITIVE));
        divergence += base.rest * (libm::log(base.rest) - libm::log(rest));
    }
    let versus = Versus {
        surprise: -base.target,
        divergence,
        same_top: row.top == base.top,
        change: libm::exp(own) - libm::exp(base.target),
    };
    Ok(Score { surprise: -own, versus: Some(versus) })
}

/// The divergence of the listed tokens, and the sum of the candidate's probabilities of them.
#[inline(always)]
fn compare(listed: &[(u32, f64)], logits: &[f32], total: f64) -> (f64, f64) {
    const TOGETHER: usize = 64;
    let (mut divergence, mut seen) = (0.0, 0.0);
    for listed in listed.chunks(TOGETHER) {
        let (mut base, mut ours) = ([0.0; TOGETHER], [0.0; TOGETHER]);
        for ((base, ours), (token, of_base)) in base.iter_mut().zip(&mut ours).zip(listed) {
            (*base, *ours) = (*of_base, f64::from(logits[*token as usize]) - total);
        }
        let mut terms = [(0.0, 0.0); TOGETHER];
        for i in 0..TOGETHER {
            terms[i] = (exp64(base[i]) * (base[i] - ours[i]), exp64(ours[i]));
        }
        for (term, probability) in &terms[..listed.len()] {
            divergence += term;
            seen += probability;
        }
    }
    (divergence, seen)
}

/// What normalizes a row of logits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The token with the largest logit; of equal ones the first.
    pub(super) top: u32,
    /// The largest and the smallest logit.
    pub(super) most: f32,
    pub(super) least: f32,
    /// The logarithm of the sum of the exponentials.
    pub(super) total: f64,
}

impl Row {
    pub(super) fn of(logits: &[f32]) -> Result<Self, LogitError> {
        if let Some(token) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(LogitError::NotFinite { token, value: logits[token] });
        }
        let (mut top, mut most, mut least) = (0, f32::NEG_INFINITY, f32::INFINITY);
        for (token, logit) in (0..).zip(logits) {
            if *logit > most {
                (top, most) = (token, *logit);
            }
            least = least.min(*logit);
        }
        let sum = Isa::detect().run(
            #[inline(always)]
            || sum64(logits, |logit| exp64(logit - f64::from(most))),
        );
        Ok(Self { top, most, least, total: f64::from(most) + libm::log(sum) })
    }

    pub(super) fn log_probability(&self, logits: &[f32], token: u32) -> Result<f64, LogitError> {
        let logit = logits.get(token as usize);
        let logit = logit.ok_or(LogitError::Token { token, vocabulary: logits.len() })?;
        Ok(f64::from(*logit) - self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn against_itself_nothing_is_lost() {
        let logits = [1.0, -2.0, 0.5, 1.0];
        let base = Base::of_logits(&logits, 2).unwrap();
        let found = score(&logits, 2, Some(&base)).unwrap();
        let versus = found.versus.unwrap();
        assert_eq!((versus.divergence, versus.change, versus.same_top), (0.0, 0.0, true));
        assert_eq!(versus.surprise, found.surprise);
        let total = 2.0 * 1_f64.exp() + (-2_f64).exp() + 0.5_f64.exp();
        assert!((found.surprise - (total.ln() - 0.5)).abs() < 1e-14);
    }

    #[test]
    fn two_tokens_by_hand() {
        // probabilities 3/4 and 1/4 against 1/2 and 1/2
        let base = Base::of_logits(&[3_f32.ln(), 0.0], 1).unwrap();
        let found = score(&[0.0, 0.0], 1, Some(&base)).unwrap();
        let versus = found.versus.unwrap();
        let expected = 0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln();
        assert!((versus.divergence - expected).abs() < 1e-7);
        assert!((versus.change - 0.25).abs() < 1e-7);
        assert!(versus.same_top, "of equal logits the first counts");
        assert!(!score(&[0.0, 0.1], 1, Some(&base)).unwrap().versus.unwrap().same_top);
    }

    #[test]
    fn what_is_not_listed_counts_as_one() {
        let exact = Base::of_logits(&[2.0, 0.0, 0.0, 1.0], 0).unwrap();
        let mut base = exact.clone();
        base.rest = base.listed[1..3].iter().map(|(_, log)| log.exp()).sum();
        base.listed.drain(1..3);
        // the unlisted two share their mass as in the base, so counting them once loses nothing
        let logits = [1.5, 0.2, 0.2, 1.1];
        let [a, b] = [exact, base].map(|base| score(&logits, 0, Some(&base)).unwrap());
        let [a, b] = [a, b].map(|score| score.versus.unwrap().divergence);
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }

    #[test]
    fn faults_are_named() {
        let base = Base::of_logits(&[1.0, 2.0], 0).unwrap();
        let fault = |logits: &[f32], target| score(logits, target, Some(&base)).unwrap_err();
        assert_eq!(fault(&[0.0; 3], 0), LogitError::Vocabulary { base: 2, model: 3 });
        assert_eq!(fault(&[0.0; 2], 2), LogitError::Token { token: 2, vocabulary: 2 });
        let error = fault(&[0.0, f32::NAN], 0);
        assert!(matches!(error, LogitError::NotFinite { token: 1, .. }));
    }
}
