//! A checkpoint without `config.json`, whose numbers follow from the shapes of its tensors: the
//! input changes these.

use granule_checkpoint::OutType;

use super::config::open_as;
use super::safetensors::{TOKENIZER, weights};
use crate::{folder, write};

/// The tensors of a small model, as the input finds them.
const TENSORS: &[(&str, &[u64])] = &[
    ("flow_lm.bos_before_voice", &[1, 1, 64]),
    ("flow_lm.bos_emb", &[4]),
    ("flow_lm.conditioner.embed.weight", &[4, 64]),
    ("flow_lm.input_linear.weight", &[64, 4]),
    ("flow_lm.out_norm.bias", &[64]),
    ("flow_lm.out_norm.weight", &[64]),
    ("flow_lm.transformer.layers.0.linear1.weight", &[8, 64]),
    ("flow_lm.transformer.layers.0.linear2.weight", &[64, 8]),
    ("flow_lm.transformer.layers.0.norm1.bias", &[64]),
    ("flow_lm.transformer.layers.0.norm1.weight", &[64]),
    ("flow_lm.transformer.layers.0.norm2.bias", &[64]),
    ("flow_lm.transformer.layers.0.norm2.weight", &[64]),
    ("flow_lm.transformer.layers.0.self_attn.in_proj.weight", &[192, 64]),
    ("flow_lm.transformer.layers.0.self_attn.out_proj.weight", &[64, 64]),
];

/// The most values in a tensor: the file has them all.
const MOST_VALUES: u64 = 1 << 18;

pub(super) fn run(input: &[u8]) {
    let mut tensors: Vec<(&str, Option<Vec<u64>>)> =
        TENSORS.iter().map(|(name, shape)| (*name, Some(shape.to_vec()))).collect();
    let (changes, _) = input.as_chunks::<4>();
    for [tensor, change, low, high] in changes.iter().take(16) {
        let shape = &mut tensors[usize::from(*tensor) % TENSORS.len()].1;
        let number = u64::from(u16::from_le_bytes([*low, *high]) % 640);
        match (change % 4, shape.as_mut()) {
            (0, _) => *shape = None,
            (1, _) => *shape = Some(vec![u64::from(*low), u64::from(*high)]),
            (kind, Some(shape)) => {
                let axis = usize::from(kind - 2).min(shape.len() - 1);
                shape[axis] = number;
            }
            (_, None) => *shape = Some(vec![number]),
        }
    }
    let left: Vec<(&str, &[u64])> =
        tensors.iter().filter_map(|(name, shape)| Some((*name, shape.as_deref()?))).collect();
    if left.iter().any(|(_, shape)| shape.iter().product::<u64>() > MOST_VALUES) {
        return;
    }
    let folder = folder();
    write(&folder, "tokenizer.model", TOKENIZER);
    write(&folder, "model.safetensors", &weights(&left));
    for out_type in [OutType::Auto, OutType::Exact] {
        open_as(&folder, false, out_type);
    }
}
