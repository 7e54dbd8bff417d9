use super::tensors::{Linear, Norm, TensorRef};

/// A feed-forward part: up, an activation, down.
#[derive(Debug)]
pub(crate) struct FeedForward {
    pub(crate) gate: Option<Linear>,
    pub(crate) up: Linear,
    /// Whether the first half of what `up` gives is the gate.
    pub(crate) joined: bool,
    pub(crate) norm: Option<Norm>,
    pub(crate) down: Linear,
    pub(crate) activation: Activation,
}

/// A function of the hidden values, or of the gate whose result is multiplied with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    Silu,
    /// GELU approximated with a hyperbolic tangent.
    GeluTanh,
    /// GELU as defined, with the error function.
    Gelu,
    Relu,
    /// The square of ReLU.
    ReluSquared,
    /// Limited SiLU with a steeper slope, times the hidden values plus one (gpt-oss).
    Limited,
}

/// Feed-forward parts; a router chooses a few for each token.
#[derive(Debug)]
pub(crate) struct Experts {
    pub(crate) count: usize,
    /// How many are chosen for a token.
    pub(crate) used: usize,
    pub(crate) router: Linear,
    pub(crate) gating: Gating,
    /// Added to the router's shares to choose, not to weigh.
    pub(crate) correction: Option<TensorRef>,
    /// Groups of experts, and how many of them a token may use.
    pub(crate) groups: Option<(usize, usize)>,
    /// Whether the weights of the chosen experts are brought to a sum of one.
    pub(crate) normalized: bool,
    /// Whether the weight of an expert scales what goes into it, not its result.
    pub(crate) weighs_inputs: bool,
    /// A factor for the weights.
    pub(crate) scale: f32,
    pub(crate) gate: Option<Linear>,
    pub(crate) up: Linear,
    /// Whether the first half of what `up` gives is the gate.
    pub(crate) joined: bool,
    pub(crate) down: Linear,
    pub(crate) activation: Activation,
    /// A part that all tokens use, and the gate of its result.
    pub(crate) shared: Option<(FeedForward, Option<Linear>)>,
}

/// What makes weights of the router's results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gating {
    Softmax,
    Sigmoid,
    /// Softmax over the chosen ones.
    SoftmaxOfChosen,
}
