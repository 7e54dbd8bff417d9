//! Llama 1 to 3 and what has the same layers: Mistral, CodeLlama, TinyLlama, SmolLM; Mixtral, whose
//! layers have experts.
//!
//! The defaults are those of `LlamaConfig`, `MistralConfig` and `MixtralConfig` in transformers 4.57.6.

use super::Number::{Key, Or, Product, Quotient};
use super::entries::TEXT_MODEL;
use super::{Arch, Computed, Default, Entry, ModelType, Number, Presence};
use super::{TensorRule, Transform};
use crate::tokenizer::{Quirk, TokenizerKind};

pub(super) const LLAMA: Arch = Arch {
    name: "llama",
    classes: &[
        "LLaMAForCausalLM",
        "LlamaForCausalLM",
        "LlamaModel",
        "MistralForCausalLM",
        "MixtralForCausalLM",
    ],
    headless: &["LlamaModel"],
    defaults: &[
        ModelType {
            name: "llama",
            values: &[
                ("vocab_size", Default::Integer(32_000)),
                ("max_position_embeddings", Default::Integer(2048)),
                ("hidden_size", Default::Integer(4096)),
                ("intermediate_size", Default::Integer(11_008)),
                ("num_hidden_layers", Default::Integer(32)),
                ("num_attention_heads", Default::Integer(32)),
                ("num_key_value_heads", Default::Same("num_attention_heads")),
                ("head_dim", Default::Quotient("hidden_size", "num_attention_heads")),
                ("rms_norm_eps", Default::Float(1e-6)),
                ("rope_theta", Default::Float(10_000.0)),
                ("rope_scaling", Default::Null),
            ],
        },
        ModelType {
            name: "mistral",
            values: &[
                ("vocab_size", Default::Integer(32_000)),
                ("max_position_embeddings", Default::Integer(131_072)),
                ("hidden_size", Default::Integer(4096)),
                ("intermediate_size", Default::Integer(14_336)),
                ("num_hidden_layers", Default::Integer(32)),
                ("num_attention_heads", Default::Integer(32)),
                ("num_key_value_heads", Default::Integer(8)),
                ("num_key_value_heads", Default::Same("num_attention_heads")),
                ("head_dim", Default::Null),
                ("rms_norm_eps", Default::Float(1e-6)),
                ("rope_theta", Default::Float(10_000.0)),
            ],
        },
        ModelType {
            name: "mixtral",
            values: &[
                ("vocab_size", Default::Integer(32_000)),
                ("max_position_embeddings", Default::Integer(131_072)),
                ("hidden_size", Default::Integer(4096)),
                ("intermediate_size", Default::Integer(14_336)),
                ("num_hidden_layers", Default::Integer(32)),
                ("num_attention_heads", Default::Integer(32)),
                ("num_key_value_heads", Default::Integer(8)),
                ("num_key_value_heads", Default::Same("num_attention_heads")),
                ("head_dim", Default::Null),
                ("num_local_experts", Default::Integer(8)),
                ("num_experts_per_tok", Default::Integer(2)),
                ("rms_norm_eps", Default::Float(1e-5)),
                ("rope_theta", Default::Float(1e6)),
            ],
        },
    ],
    entries: &[
        TEXT_MODEL,
        &[Entry::Needed("vocab_size", &VOCABULARY), Entry::Needed("rope.dimension_count", &HEAD)],
    ],
    tensors: &[
        rule("model.embed_tokens.weight", "token_embd.weight", &[VOCABULARY, WIDTH]),
        rule("model.norm.weight", "output_norm.weight", &[WIDTH]),
        TensorRule {
            presence: Presence::Advised("tie_word_embeddings"),
            ..rule("lm_head.weight", "output.weight", &[VOCABULARY, WIDTH])
        },
        rule(
            "model.layers.{layer}.input_layernorm.weight",
            "blk.{layer}.attn_norm.weight",
            &[WIDTH],
        ),
        TensorRule {
            transform: Transform::PairRows { heads: &HEADS },
            ..rule(
                "model.layers.{layer}.self_attn.q_proj.weight",
                "blk.{layer}.attn_q.weight",
                &[QUERIES, WIDTH],
            )
        },
        TensorRule {
            transform: Transform::PairRows { heads: &KEY_HEADS },
            ..rule(
                "model.layers.{layer}.self_attn.k_proj.weight",
                "blk.{layer}.attn_k.weight",
                &[KEYS, WIDTH],
            )
        },
        rule(
            "model.layers.{layer}.self_attn.v_proj.weight",
            "blk.{layer}.attn_v.weight",
            &[KEYS, WIDTH],
        ),
        rule(
            "model.layers.{layer}.self_attn.o_proj.weight",
            "blk.{layer}.attn_output.weight",
            &[WIDTH, QUERIES],
        ),
        TensorRule {
            transform: Transform::PairRows { heads: &HEADS },
            ..bias(
                "model.layers.{layer}.self_attn.q_proj.bias",
                "blk.{layer}.attn_q.bias",
                &[QUERIES],
            )
        },
        TensorRule {
            transform: Transform::PairRows { heads: &KEY_HEADS },
            ..bias("model.layers.{layer}.self_attn.k_proj.bias", "blk.{layer}.attn_k.bias", &[KEYS])
        },
        bias("model.layers.{layer}.self_attn.v_proj.bias", "blk.{layer}.attn_v.bias", &[KEYS]),
        bias(
            "model.layers.{layer}.self_attn.o_proj.bias",
            "blk.{layer}.attn_output.bias",
            &[WIDTH],
        ),
        rule(
            "model.layers.{layer}.post_attention_layernorm.weight",
            "blk.{layer}.ffn_norm.weight",
            &[WIDTH],
        ),
        dense(
            "model.layers.{layer}.mlp.gate_proj.weight",
            "blk.{layer}.ffn_gate.weight",
            &[INNER, WIDTH],
        ),
        dense(
            "model.layers.{layer}.mlp.up_proj.weight",
            "blk.{layer}.ffn_up.weight",
            &[INNER, WIDTH],
        ),
        dense(
            "model.layers.{layer}.mlp.down_proj.weight",
            "blk.{layer}.ffn_down.weight",
            &[WIDTH, INNER],
        ),
        mlp_bias("model.layers.{layer}.mlp.gate_proj.bias", "blk.{layer}.ffn_gate.bias", &[INNER]),
        mlp_bias("model.layers.{layer}.mlp.up_proj.bias", "blk.{layer}.ffn_up.bias", &[INNER]),
        mlp_bias("model.layers.{layer}.mlp.down_proj.bias", "blk.{layer}.ffn_down.bias", &[WIDTH]),
        moe(
            "model.layers.{layer}.block_sparse_moe.gate.weight",
            "blk.{layer}.ffn_gate_inp.weight",
            &[EXPERTS, WIDTH],
        ),
        moe(
            "model.layers.{layer}.block_sparse_moe.experts.{expert}.w1.weight",
            "blk.{layer}.ffn_gate_exps.weight",
            &[INNER, WIDTH],
        ),
        moe(
            "model.layers.{layer}.block_sparse_moe.experts.{expert}.w2.weight",
            "blk.{layer}.ffn_down_exps.weight",
            &[WIDTH, INNER],
        ),
        moe(
            "model.layers.{layer}.block_sparse_moe.experts.{expert}.w3.weight",
            "blk.{layer}.ffn_up_exps.weight",
            &[INNER, WIDTH],
        ),
    ],
    experts: &[EXPERT_KEY],
    computed: &[Computed::RopeFrequencies { head: &HEAD }],
    tokenizers: &[
        TokenizerKind::SentencePiece,
        TokenizerKind::ByteFallbackBpe,
        TokenizerKind::ByteLevelBpe,
    ],
    quirks: &[
        Quirk::SpacePrefix,
        // CodeLlama.
        Quirk::EndOfTurn { vocabulary: Some(32_016), id: 32_010 },
        // Granite, SmolLM.
        Quirk::AddBos { vocabulary: Some(49_152), add: false },
    ],
};

const EXPERT_KEY: &str = "num_local_experts";

const VOCABULARY: Number = Key(&["vocab_size"]);
const WIDTH: Number = Key(&["hidden_size"]);
const INNER: Number = Key(&["intermediate_size"]);
const HEADS: Number = Key(&["num_attention_heads"]);
const KEY_HEADS: Number = Or(&Key(&["num_key_value_heads"]), &HEADS);
const HEAD: Number = Or(&Key(&["head_dim"]), &Quotient(&WIDTH, &HEADS));
const QUERIES: Number = Product(&HEADS, &HEAD);
const KEYS: Number = Product(&KEY_HEADS, &HEAD);
const EXPERTS: Number = Key(&[EXPERT_KEY]);

const fn rule(source: &'static str, target: &'static str, shape: &'static [Number]) -> TensorRule {
    TensorRule { source, target, shape, transform: Transform::Keep, presence: Presence::Needed }
}

const fn bias(source: &'static str, target: &'static str, shape: &'static [Number]) -> TensorRule {
    TensorRule { presence: Presence::If("attention_bias"), ..rule(source, target, shape) }
}

const fn mlp_bias(
    source: &'static str,
    target: &'static str,
    shape: &'static [Number],
) -> TensorRule {
    TensorRule { presence: Presence::If("mlp_bias"), ..rule(source, target, shape) }
}

const fn dense(source: &'static str, target: &'static str, shape: &'static [Number]) -> TensorRule {
    TensorRule { presence: Presence::Unless(EXPERT_KEY), ..rule(source, target, shape) }
}

const fn moe(source: &'static str, target: &'static str, shape: &'static [Number]) -> TensorRule {
    TensorRule { presence: Presence::If(EXPERT_KEY), ..rule(source, target, shape) }
}
