//! Adapters (LoRA): their description and weights, as a file of their own and merged into a model.

use granule_checkpoint::{Adapter, Checkpoint, CheckpointOptions, OutType};

use super::config::read;
use super::safetensors::{CONFIG, TOKENIZER, weights};
use crate::parts::{number, parts};
use crate::{folder, write};

/// The tensors of the base model.
pub(crate) const ADAPTED: &[(&str, &[u64])] = &[
    ("model.embed_tokens.weight", &[3, 4]),
    ("model.layers.0.input_layernorm.weight", &[4]),
    ("model.layers.0.mlp.down_proj.weight", &[4, 4]),
    ("model.layers.0.mlp.gate_proj.weight", &[4, 4]),
    ("model.layers.0.mlp.up_proj.weight", &[4, 4]),
    ("model.layers.0.post_attention_layernorm.weight", &[4]),
    ("model.layers.0.self_attn.k_proj.weight", &[4, 4]),
    ("model.layers.0.self_attn.o_proj.weight", &[4, 4]),
    ("model.layers.0.self_attn.q_proj.weight", &[4, 4]),
    ("model.layers.0.self_attn.v_proj.weight", &[4, 4]),
    ("model.norm.weight", &[4]),
    ("lm_head.weight", &[3, 4]),
];

pub(super) fn run(input: &[u8]) {
    let ([choice], input) = number(input);
    let [about, file] = parts(input);
    let (adapter, base) = (folder(), folder());
    write(&adapter, "adapter_config.json", about);
    write(&adapter, "adapter_model.safetensors", file);
    write(&base, "config.json", CONFIG.as_bytes());
    write(&base, "tokenizer.model", TOKENIZER);
    let out_type = if choice & 2 == 0 { OutType::Auto } else { OutType::Exact };
    let mut options = CheckpointOptions { out_type, ..Default::default() };
    let opened = if choice & 1 == 0 {
        options.base = Some(base.path().to_owned());
        Checkpoint::open(adapter.path(), &options)
    } else {
        write(&base, "model.safetensors", &weights(ADAPTED));
        let scale = if choice & 4 == 0 { 1.0 } else { -0.5 };
        options.adapters = vec![Adapter { folder: adapter.path().to_owned(), scale }];
        Checkpoint::open(base.path(), &options)
    };
    if let Ok(opened) = opened {
        read(&opened);
    }
}
