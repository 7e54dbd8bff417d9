use super::rope::Rope;
use super::tensors::{Linear, Norm, TensorRef};

/// Attention of every token to what it may see.
#[derive(Debug)]
pub(crate) struct Attention {
    /// Heads of the queries.
    pub(crate) heads: usize,
    /// Heads of the keys and values: several heads of the queries share one.
    pub(crate) groups: usize,
    /// Values of a query's or key's head.
    pub(crate) key_length: usize,
    /// Values of a value's head.
    pub(crate) value_length: usize,
    pub(crate) projections: Projections,
    /// Queries, keys and values are brought between this and its negative; zero for no limit.
    pub(crate) clamp: f32,
    pub(crate) query_norm: Option<Norm>,
    pub(crate) key_norm: Option<Norm>,
    /// Whether queries and keys are normalized after they are turned.
    pub(crate) norm_after_rope: bool,
    pub(crate) rope: Option<Rope>,
    /// The factor of scores.
    pub(crate) scale: f32,
    pub(crate) window: Option<Window>,
    /// Scores are brought between this and its negative; zero for no limit.
    pub(crate) cap: f32,
    /// A score for each head that goes to no token.
    pub(crate) sinks: Option<TensorRef>,
    pub(crate) output: Linear,
}

/// Where queries, keys and values come from.
#[derive(Debug)]
pub(crate) enum Projections {
    /// One matrix for all three, in this order.
    Joined(Linear),
    /// One for each.
    Separate(Box<[Linear; 3]>),
}

/// A token sees only those that are fewer positions away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window(pub(crate) usize);
