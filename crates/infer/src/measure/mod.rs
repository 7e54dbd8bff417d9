//! What a model loses against another: perplexity, the Kullback-Leibler divergence of its
//! predictions, and how often both predict the same token.
//!
//! A text is cut into chunks. In each chunk the positions from the middle on are scored: there the
//! model has seen at least half a chunk. [`measure()`] runs a model over them. [`score()`] compares
//! the logits of one position with the token that follows, and with the [`Base`]: the distribution
//! that the other model gave. [`Scores`] collects them and gives the statistics, [`Paired`] the
//! difference of two candidates. The base can be kept in a file ([`base`]), so that it is computed
//! once.
//!
//! The statistics are those that `llama-perplexity` prints, but for their errors: neighbouring
//! tokens are not independent, so errors are estimated from the differences between chunks.

pub mod base;
mod paired;
mod run;
mod saved;
mod score;
mod scores;

pub use paired::Paired;
pub use run::{MeasureError, Measured, measure};
pub use score::{Base, LogitError, Score, Versus, score};
pub use scores::{Estimate, Quantiles, Scores};

/// The first position of a chunk that is scored.
pub const fn first_scored(chunk_tokens: usize) -> usize {
    chunk_tokens / 2
}

/// The number of positions of a chunk that are scored: each needs a token that follows it.
pub const fn scored(chunk_tokens: usize) -> usize {
    chunk_tokens.saturating_sub(1 + first_scored(chunk_tokens))
}
