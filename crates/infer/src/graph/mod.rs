//! What a model computes, as a value: parts that name their tensors.
//!
//! A decoder or encoder is an embedding, layers, and an output. A layer is a list of steps: mixing
//! tokens (attention, or something recurrent) and a feed-forward part. Each step has its norms and
//! is added to what it read. [`families`] says how architectures differ, [`build`] makes the graph
//! from metadata and tensors, and the module `compute` computes it.

mod attention;
mod build;
mod families;
mod feed_forward;
mod recurrent;
mod rope;
mod settings;
mod tensors;

pub(crate) use attention::{Attention, Growth, Heads, Latent, Projections, Window};
pub(crate) use build::build;
pub(crate) use families::names;
pub(crate) use feed_forward::{Activation, Experts, FeedForward, Gating};
pub(crate) use recurrent::{Convolution, DeltaNet, Mamba, MambaForm, ShortConvolution};
pub(crate) use rope::{Rope, Style};
pub(crate) use tensors::{Linear, Norm, NormKind, TensorRef, Use};

/// A whole model.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) architecture: &'static str,
    /// Values of a token between layers.
    pub(crate) width: usize,
    /// Tokens in the vocabulary.
    pub(crate) vocabulary: usize,
    /// Positions that the model was trained for.
    pub(crate) context: usize,
    pub(crate) embedding: Embedding,
    pub(crate) layers: Vec<Layer>,
    pub(crate) output: Output,
    /// Whether tokens see only those before them. Otherwise the model is an encoder.
    pub(crate) causal: bool,
    /// How an encoder's vectors become one.
    pub(crate) pooling: Pooling,
}

/// From tokens to vectors.
#[derive(Debug)]
pub(crate) struct Embedding {
    pub(crate) tokens: TensorRef,
    pub(crate) scale: f32,
    /// A vector for each position, from this row on.
    pub(crate) positions: Option<TensorRef>,
    /// Rows; the first is added to every token.
    pub(crate) kinds: Option<TensorRef>,
    pub(crate) norm: Option<Norm>,
}

/// From vectors to logits.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) norm: Option<Norm>,
    /// `None` for encoders.
    pub(crate) linear: Option<Linear>,
    pub(crate) scale: f32,
    /// Logits are brought between this and its negative; zero for no limit.
    pub(crate) cap: f32,
}

impl Output {
    /// The tensors that logits need, by their places in the source.
    pub(crate) fn tensors(&self) -> Vec<(usize, Use)> {
        let Some(linear) = &self.linear else { return Vec::new() };
        let values = [linear.bias, linear.scale].into_iter().flatten();
        let mut tensors = vec![(linear.weight.index, Use::Products)];
        tensors.extend(values.map(|tensor| (tensor.index, Use::Values)));
        tensors
    }
}

/// A layer, whose steps follow each other.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) steps: Vec<Step>,
    /// Whether all steps read what the layer reads.
    pub(crate) parallel: bool,
    /// The tensors that its steps need, by their places in the source.
    pub(crate) tensors: Vec<(usize, Use)>,
}

/// A part of a layer: `x + scale * after(part(before(x)))`, then the norm of the sum.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) before: Option<Norm>,
    pub(crate) part: Part,
    pub(crate) after: Option<Norm>,
    pub(crate) scale: f32,
    pub(crate) sum: Option<Norm>,
}

/// What a step computes.
#[derive(Debug)]
pub(crate) enum Part {
    Attention(Box<Attention>),
    Latent(Box<Latent>),
    DeltaNet(Box<DeltaNet>),
    Mamba(Box<Mamba>),
    ShortConvolution(Box<ShortConvolution>),
    FeedForward(Box<FeedForward>),
    Experts(Box<Experts>),
}

/// How the vectors of the tokens of a text become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    Mean,
    First,
    Last,
}
