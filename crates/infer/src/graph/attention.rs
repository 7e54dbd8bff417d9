use super::rope::Rope;
use super::tensors::{Linear, Norm, TensorRef};

/// Attention of every token to what it may see.
#[derive(Debug)]
pub(crate) struct Attention {
    pub(crate) heads: Heads,
    pub(crate) projections: Projections,
    /// Queries, keys and values are brought between this and its negative; zero for no limit.
    pub(crate) clamp: f32,
    pub(crate) query_norm: Option<Norm>,
    pub(crate) key_norm: Option<Norm>,
    /// Whether queries and keys are normalized after they are turned.
    pub(crate) norm_after_rope: bool,
    pub(crate) rope: Option<Rope>,
    pub(crate) growth: Option<Growth>,
    /// Whether each head of the queries is followed by a gate of its result.
    pub(crate) gated: bool,
    pub(crate) output: Linear,
}

/// The heads of an attention, and how they weigh what they see.
#[derive(Debug)]
pub(crate) struct Heads {
    /// Heads of the queries.
    pub(crate) count: usize,
    /// Heads of the keys and values: several heads of the queries share one.
    pub(crate) groups: usize,
    /// Values of a query's or key's head.
    pub(crate) key_length: usize,
    /// Values of a value's head.
    pub(crate) value_length: usize,
    /// The factor of scores.
    pub(crate) scale: f32,
    pub(crate) window: Option<Window>,
    /// Scores are brought between this and its negative; zero for no limit.
    pub(crate) cap: f32,
    /// A score for each head that goes to no token.
    pub(crate) sinks: Option<TensorRef>,
    /// What the score of each head loses for every position between two tokens.
    pub(crate) slopes: Option<Vec<f32>>,
    /// Scores that depend on how far two tokens are apart: a row for each bucket of distances.
    pub(crate) distances: Option<TensorRef>,
}

impl Heads {
    /// Values of a row of queries.
    pub(crate) fn query_row(&self) -> usize {
        self.count * self.key_length
    }

    /// Values of a row of keys.
    pub(crate) fn key_row(&self) -> usize {
        self.groups * self.key_length
    }

    /// Values of a row of values.
    pub(crate) fn value_row(&self) -> usize {
        self.groups * self.value_length
    }
}

/// Where queries, keys and values come from.
#[derive(Debug)]
pub(crate) enum Projections {
    /// One matrix for all three, in this order.
    Joined(Linear),
    /// One for each.
    Separate(Box<[Linear; 3]>),
}

/// What a token sees of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// Tokens that are fewer positions away.
    Near(usize),
    /// Tokens in the same part of this length.
    Part(usize),
}

/// Queries grow with the logarithm of their position: by `scale * ln(1 + n)` at the `n`th multiple
/// of `every`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Growth {
    pub(crate) every: usize,
    /// Added to the position.
    pub(crate) offset: usize,
    pub(crate) scale: f32,
}

/// Latent attention: keys and values of all heads come from one short vector of a token, and only
/// that vector is remembered.
///
/// Each head multiplies its query with its matrix `key`, so that it can be compared with the short
/// vectors, and the mean of these with its matrix `value`.
#[derive(Debug)]
pub(crate) struct Latent {
    /// With the short vectors, after them the turned values, as keys of one group.
    pub(crate) heads: Heads,
    /// A shorter vector that the queries are made of, and its norm.
    pub(crate) query_short: Option<(Linear, Norm)>,
    pub(crate) query: Linear,
    /// The short vector and the turned values of a token.
    pub(crate) short: Linear,
    pub(crate) short_norm: Norm,
    /// Of every head, from a query's values that are not turned.
    pub(crate) key: Linear,
    /// Of every head.
    pub(crate) value: Linear,
    pub(crate) rope: Rope,
    /// Of queries.
    pub(crate) growth: Option<Growth>,
    pub(crate) output: Linear,
}
