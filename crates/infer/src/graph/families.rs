//! How architectures differ where the tensors and metadata of a file do not tell.
//!
//! What a file tells is read from it, for all architectures alike: which norms and biases there
//! are, whether queries, keys and values are joined, whether there are experts, all sizes, scales
//! and limits. A row here says the rest.

use super::attention::Growth;
use super::feed_forward::{Activation, Gating};
use super::rope::Style;
use super::tensors::NormKind;

/// The switches of an architecture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// The value of `general.architecture`.
    pub(crate) name: &'static str,
    pub(crate) norm: NormKind,
    /// Whether norms have no weights.
    pub(crate) plain_norms: bool,
    /// `None` if positions are not told by turning queries and keys.
    pub(crate) rope: Option<Style>,
    /// The layers that turn queries and keys.
    pub(crate) turned: Turned,
    pub(crate) activation: Activation,
    pub(crate) parallel: Parallel,
    /// Whether embeddings are multiplied by the square root of the width.
    pub(crate) root_scale: bool,
    /// Whether logits are divided by `logit_scale`.
    pub(crate) divided_logits: bool,
    pub(crate) windows: Option<Windows>,
    /// The norm before the feed-forward part.
    pub(crate) feed_forward_norm: &'static str,
    /// The prefix of the names of layers, norms and more.
    pub(crate) prefix: &'static str,
    /// The norm before the output.
    pub(crate) output_norm: &'static str,
    /// The function of feed-forward parts without a gate, if it is another.
    pub(crate) without_gate: Option<Activation>,
    /// Whether queries and keys are normalized after they are turned.
    pub(crate) norm_after_rope: bool,
    /// Whether queries and keys that are turned have norms without weights.
    pub(crate) plain_head_norms: bool,
    /// How queries that are not turned grow with their position.
    pub(crate) growth: Option<Growth>,
    /// Whether the weight of an expert scales what goes into it, not its result.
    pub(crate) weighs_inputs: bool,
    pub(crate) gating: Gating,
    /// Whether the weights of the chosen experts are brought to a sum of one if the metadata do
    /// not say.
    pub(crate) normalized: bool,
    pub(crate) encoder: bool,
    /// Whether scores are not divided by the square root of a head's length.
    pub(crate) unscaled: bool,
    /// The exponent of what scores lose with the distance, if the metadata have none.
    pub(crate) most_slope: Option<f32>,
}

/// Which layers turn queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    All,
    /// All but each fourth.
    ThreeOfFour,
    /// Those with a window.
    Windowed,
    /// All, or none if `rope.scaling.finetuned` is false.
    Finetuned,
}

/// Whether attention and the feed-forward part read the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parallel {
    Never,
    Always,
    /// As `use_parallel_residual` says.
    Setting,
    /// If there is no norm before the feed-forward part.
    WithoutNorm,
}

/// Which layers see only the nearest tokens, if the metadata have a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// Each layer of this number sees all tokens; zero if none does.
    pub(crate) full_every: usize,
    /// The window if the metadata have none.
    pub(crate) length: Option<usize>,
    /// The base of the rotary embedding if the metadata have none for these layers; `None` if it
    /// is that of all layers.
    pub(crate) base: Option<f32>,
    /// Whether the scaling of the rotary embedding holds for these layers.
    pub(crate) scaled: bool,
    /// Whether the window is the part of the text that a token is in.
    pub(crate) parts: bool,
}

/// Most architectures, in most points.
const PLAIN: Family = Family {
    name: "",
    norm: NormKind::Rms,
    plain_norms: false,
    rope: Some(Style::Halves),
    turned: Turned::All,
    activation: Activation::Silu,
    parallel: Parallel::Never,
    root_scale: false,
    divided_logits: false,
    windows: None,
    feed_forward_norm: "ffn_norm",
    prefix: "",
    output_norm: "output_norm",
    without_gate: None,
    norm_after_rope: false,
    plain_head_norms: false,
    growth: None,
    weighs_inputs: false,
    gating: Gating::Softmax,
    normalized: true,
    encoder: false,
    unscaled: false,
    most_slope: None,
};

/// Those with the norms of GPT.
const LAYER: Family = Family { norm: NormKind::Layer, ..PLAIN };

const WINDOWS: Windows =
    Windows { full_every: 2, length: None, base: None, scaled: true, parts: false };

/// All architectures that can be run, sorted by name.
const FAMILIES: &[Family] = &[
    Family {
        name: "arcee",
        rope: Some(Style::Pairs),
        activation: Activation::ReluSquared,
        ..PLAIN
    },
    Family { name: "bert", rope: None, activation: Activation::Gelu, encoder: true, ..LAYER },
    Family {
        name: "bloom",
        rope: None,
        activation: Activation::GeluTanh,
        most_slope: Some(8.0),
        ..LAYER
    },
    Family { name: "chatglm", rope: Some(Style::Pairs), ..PLAIN },
    Family { name: "codeshell", activation: Activation::GeluTanh, ..LAYER },
    Family {
        name: "cohere2",
        rope: Some(Style::Pairs),
        turned: Turned::Windowed,
        parallel: Parallel::Always,
        windows: Some(Windows { full_every: 4, ..WINDOWS }),
        ..LAYER
    },
    Family { name: "command-r", rope: Some(Style::Pairs), parallel: Parallel::Always, ..LAYER },
    Family { name: "deepseek", rope: Some(Style::Pairs), normalized: false, ..PLAIN },
    Family { name: "deepseek2", rope: Some(Style::Pairs), normalized: false, ..PLAIN },
    Family { name: "dots1", normalized: false, ..PLAIN },
    Family { name: "ernie4_5", rope: Some(Style::Pairs), ..PLAIN },
    Family { name: "ernie4_5-moe", rope: Some(Style::Pairs), ..PLAIN },
    Family { name: "exaone", ..PLAIN },
    Family { name: "falcon", activation: Activation::Gelu, parallel: Parallel::Always, ..LAYER },
    Family { name: "gemma", activation: Activation::GeluTanh, root_scale: true, ..PLAIN },
    Family {
        name: "gemma-embedding",
        activation: Activation::GeluTanh,
        root_scale: true,
        encoder: true,
        windows: Some(Windows { full_every: 6, base: Some(10_000.0), scaled: false, ..WINDOWS }),
        ..PLAIN
    },
    Family {
        name: "gemma2",
        activation: Activation::GeluTanh,
        root_scale: true,
        windows: Some(Windows { length: Some(4096), ..WINDOWS }),
        ..PLAIN
    },
    Family {
        name: "gemma3",
        activation: Activation::GeluTanh,
        root_scale: true,
        windows: Some(Windows { full_every: 6, base: Some(10_000.0), scaled: false, ..WINDOWS }),
        ..PLAIN
    },
    Family { name: "glm4", rope: Some(Style::Pairs), ..PLAIN },
    Family {
        name: "glm4moe",
        feed_forward_norm: "post_attention_norm",
        gating: Gating::Sigmoid,
        normalized: false,
        ..PLAIN
    },
    Family {
        name: "gpt-oss",
        activation: Activation::Limited,
        windows: Some(WINDOWS),
        feed_forward_norm: "post_attention_norm",
        gating: Gating::SoftmaxOfChosen,
        normalized: false,
        ..PLAIN
    },
    Family { name: "gpt2", rope: None, activation: Activation::GeluTanh, ..LAYER },
    Family { name: "gptneox", activation: Activation::Gelu, parallel: Parallel::Setting, ..LAYER },
    Family {
        name: "granite",
        rope: Some(Style::Pairs),
        turned: Turned::Finetuned,
        divided_logits: true,
        ..PLAIN
    },
    Family {
        name: "granitehybrid",
        rope: Some(Style::Pairs),
        turned: Turned::Finetuned,
        divided_logits: true,
        ..PLAIN
    },
    Family { name: "granitemoe", rope: Some(Style::Pairs), divided_logits: true, ..PLAIN },
    Family { name: "hunyuan-dense", norm_after_rope: true, ..PLAIN },
    Family { name: "internlm2", rope: Some(Style::Pairs), ..PLAIN },
    Family { name: "jamba", rope: None, normalized: false, ..PLAIN },
    Family { name: "lfm2", output_norm: "token_embd_norm", ..PLAIN },
    Family { name: "lfm2moe", output_norm: "token_embd_norm", gating: Gating::Sigmoid, ..PLAIN },
    Family { name: "llama", rope: Some(Style::Pairs), ..PLAIN },
    Family {
        name: "llama4",
        rope: Some(Style::Pairs),
        turned: Turned::ThreeOfFour,
        windows: Some(Windows { full_every: 4, length: Some(8192), parts: true, ..WINDOWS }),
        norm_after_rope: true,
        plain_head_norms: true,
        growth: Some(Growth { every: 8192, offset: 1, scale: 0.1 }),
        gating: Gating::Sigmoid,
        normalized: false,
        weighs_inputs: true,
        ..PLAIN
    },
    Family { name: "mamba", rope: None, ..PLAIN },
    Family { name: "mamba2", rope: None, ..PLAIN },
    Family { name: "minicpm", rope: Some(Style::Pairs), divided_logits: true, ..PLAIN },
    Family { name: "mistral3", rope: Some(Style::Pairs), ..PLAIN },
    Family { name: "mpt", rope: None, activation: Activation::Gelu, ..LAYER },
    Family { name: "nemotron", activation: Activation::ReluSquared, ..LAYER },
    Family { name: "nomic-bert", encoder: true, ..LAYER },
    Family { name: "olmo", rope: Some(Style::Pairs), plain_norms: true, ..LAYER },
    Family {
        name: "olmo2",
        windows: Some(Windows { full_every: 4, scaled: false, ..WINDOWS }),
        ..PLAIN
    },
    Family { name: "olmoe", normalized: false, ..PLAIN },
    Family { name: "orion", ..LAYER },
    Family { name: "phi2", activation: Activation::GeluTanh, parallel: Parallel::Always, ..LAYER },
    Family { name: "phi3", windows: Some(Windows { full_every: 0, ..WINDOWS }), ..PLAIN },
    // its authors' norms subtract the mean; those of llama.cpp do not
    Family { name: "phimoe", ..PLAIN },
    Family { name: "qwen", ..PLAIN },
    Family { name: "qwen2", ..PLAIN },
    Family { name: "qwen2moe", normalized: false, ..PLAIN },
    Family { name: "qwen2vl", ..PLAIN },
    Family { name: "qwen3", ..PLAIN },
    Family { name: "qwen35", feed_forward_norm: "post_attention_norm", ..PLAIN },
    Family { name: "qwen35moe", feed_forward_norm: "post_attention_norm", ..PLAIN },
    Family { name: "qwen3moe", ..PLAIN },
    Family { name: "qwen3next", feed_forward_norm: "post_attention_norm", ..PLAIN },
    Family { name: "qwen3vl", ..PLAIN },
    Family { name: "qwen3vlmoe", ..PLAIN },
    Family { name: "refact", rope: None, most_slope: Some(8.0), ..PLAIN },
    Family { name: "seed_oss", feed_forward_norm: "post_attention_norm", ..PLAIN },
    Family { name: "smollm3", rope: Some(Style::Pairs), turned: Turned::ThreeOfFour, ..PLAIN },
    Family { name: "stablelm", parallel: Parallel::WithoutNorm, ..LAYER },
    Family { name: "starcoder", rope: None, activation: Activation::GeluTanh, ..LAYER },
    Family { name: "starcoder2", activation: Activation::GeluTanh, ..LAYER },
    Family {
        name: "t5encoder",
        rope: None,
        activation: Activation::GeluTanh,
        without_gate: Some(Activation::Relu),
        prefix: "enc.",
        encoder: true,
        unscaled: true,
        ..PLAIN
    },
    Family { name: "xverse", rope: Some(Style::Pairs), ..PLAIN },
];

/// The row of an architecture.
pub(crate) fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.name == name)
}

/// All architectures that can be run.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_unique() {
        let names: Vec<&str> = names().collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
}
