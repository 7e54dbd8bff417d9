use super::tensors::{Linear, Norm, TensorRef};

/// A convolution over the last few tokens, for each channel alone.
#[derive(Debug)]
pub(crate) struct Convolution {
    /// Tokens that it sees.
    pub(crate) length: usize,
    pub(crate) channels: usize,
    pub(crate) weight: TensorRef,
    pub(crate) bias: Option<TensorRef>,
}

/// A selective state space (Mamba).
#[derive(Debug)]
pub(crate) struct Mamba {
    /// Channels of the state.
    pub(crate) inner: usize,
    /// Values of the state of each channel.
    pub(crate) state: usize,
    /// To the channels and their gates; in the second form also to more.
    pub(crate) input: Linear,
    pub(crate) convolution: Convolution,
    pub(crate) form: MambaForm,
    /// A negative rate at which each state decays.
    pub(crate) decay: TensorRef,
    /// What goes past the state.
    pub(crate) skip: TensorRef,
    pub(crate) output: Linear,
}

/// The two forms of Mamba.
#[derive(Debug)]
pub(crate) enum MambaForm {
    /// Every channel has a step, and a decay for each value of its state.
    First {
        /// From the channels to a short step, and to what enters and leaves the state.
        selection: Linear,
        /// Norms of these three.
        norms: Option<Box<[Norm; 3]>>,
        step: Linear,
    },
    /// Channels are heads with one step and decay each; what enters and leaves is shared by
    /// groups.
    Second { heads: usize, groups: usize, step_bias: TensorRef, norm: Option<Norm> },
}

/// A gated delta rule (Qwen3-Next): a matrix for each head that maps keys to values.
#[derive(Debug)]
pub(crate) struct DeltaNet {
    pub(crate) heads: usize,
    /// Heads of the queries and keys: several heads share one.
    pub(crate) groups: usize,
    /// Whether neighbouring heads use different groups.
    pub(crate) alternating: bool,
    pub(crate) key_length: usize,
    pub(crate) value_length: usize,
    /// To queries, keys and values; the convolution sees all three.
    pub(crate) input: Linear,
    pub(crate) gate: Linear,
    pub(crate) convolution: Convolution,
    /// To the weights of corrections and to the steps, together or apart.
    pub(crate) rates: Vec<Linear>,
    pub(crate) step_bias: TensorRef,
    /// A negative rate at which each state decays.
    pub(crate) decay: TensorRef,
    /// What is added to the squared lengths of queries and keys.
    pub(crate) epsilon: f32,
    pub(crate) norm: Norm,
    pub(crate) output: Linear,
}

/// A short convolution between two gates (LFM2).
#[derive(Debug)]
pub(crate) struct ShortConvolution {
    /// To the first gate, the second and the values.
    pub(crate) input: Linear,
    pub(crate) convolution: Convolution,
    pub(crate) output: Linear,
}
