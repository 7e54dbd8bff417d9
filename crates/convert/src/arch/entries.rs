//! Metadata from the config, by the entries of an architecture.

use granule_format::{Metadata, Value};

use super::{Arch, Config, Entry, Rope};
use crate::Error;

/// Entries that the reference writes for every text model unless its class does it all by itself, in its
/// order.
pub(super) const TEXT_MODEL: &[Entry] = &[
    Entry::Needed("block_count", &super::Number::Key(LAYERS)),
    Entry::Integer(
        "context_length",
        &[
            "max_position_embeddings",
            "n_ctx",
            "n_positions",
            "max_length",
            "max_sequence_length",
            "model_max_length",
        ],
    ),
    Entry::Integer("embedding_length", &["hidden_size", "n_embd", "dim"]),
    Entry::Integer(
        "feed_forward_length",
        &[
            "prefix_dense_intermediate_size",
            "dense_intermediate_size",
            "intermediate_size",
            "n_inner",
            "hidden_dim",
        ],
    ),
    Entry::Integer("attention.head_count", &["num_attention_heads", "n_head", "n_heads"]),
    Entry::Integer("attention.head_count_kv", &["num_key_value_heads", "n_kv_heads"]),
    Entry::Causal,
    Entry::RopeScaling,
    Entry::RopeBase,
    Entry::Float("attention.layer_norm_rms_epsilon", &["rms_norm_eps", "norm_eps"]),
    Entry::Float(
        "attention.layer_norm_epsilon",
        &["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"],
    ),
    Entry::Integer("expert_count", &["num_local_experts", "num_experts", "n_routed_experts"]),
    Entry::Integer(
        "expert_used_count",
        &["num_experts_per_tok", "num_experts_per_token", "top_k_experts"],
    ),
    Entry::Integer("expert_group_count", &["n_group"]),
    Entry::Integer("expert_group_used_count", &["topk_group"]),
    Entry::ExpertGating,
    Entry::Integer("attention.key_length", &["head_dim"]),
    Entry::Integer("attention.value_length", &["head_dim"]),
    Entry::FileType,
];

/// The keys that hold the number of layers.
pub(crate) const LAYERS: &[&str] = &["n_layers", "num_hidden_layers", "n_layer", "num_layers"];

const GATING: &[&str] = &[
    "score_function",
    "scoring_func",
    "score_func",
    "moe_router_activation",
    "moe_router_activation_func",
    "expert_selection_fn",
];

/// The numbers that stand for the ways to choose experts.
const GATING_FUNCTIONS: &[(&str, u32)] = &[("softmax", 1), ("sigmoid", 2), ("sqrtsoftplus", 4)];

/// Write the metadata of an architecture; `file_type` is the number of the mixture. Returns what was
/// found odd.
pub(crate) fn write_entries(
    arch: &Arch,
    config: &Config,
    rope: &Rope<'_>,
    file_type: u32,
    out: &mut Metadata,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let name = |key: &str| format!("{}.{key}", arch.name);
    for entry in arch.entries.iter().copied().flatten() {
        match entry {
            Entry::Integer(key, from) => {
                if let Some((found, value)) = config.first(from) {
                    out.set(&name(key), config.unsigned_32(found, value)?);
                }
            }
            Entry::Float(key, from) => {
                if let Some((found, value)) = config.first(from) {
                    out.set(&name(key), config.float(found, value)? as f32);
                }
            }
            Entry::Needed(key, number) => {
                let value = config.number(number)?;
                let value = config.unsigned_32(&number.to_string(), &value.into())?;
                out.set(&name(key), value);
            }
            Entry::Causal => {
                if config.get("is_causal").and_then(serde_json::Value::as_bool) == Some(false) {
                    out.set(&name("attention.causal"), false);
                }
            }
            Entry::RopeScaling => rope.write_scaling(config, &name, out, warnings)?,
            Entry::RopeBase => rope.write_bases(config, &name, out)?,
            Entry::ExpertGating => {
                if let Some((key, value)) = config.first(GATING) {
                    let function = value
                        .as_str()
                        .and_then(|text| GATING_FUNCTIONS.iter().find(|(name, _)| *name == text));
                    let (_, number) = function.ok_or_else(|| {
                        config.wrong(key, value, "softmax, sigmoid or sqrtsoftplus")
                    })?;
                    out.set(&name("expert_gating_func"), *number);
                }
            }
            Entry::FileType => out.set("general.file_type", Value::U32(file_type)),
        }
    }
    Ok(())
}
