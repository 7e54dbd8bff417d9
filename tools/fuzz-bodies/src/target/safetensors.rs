//! The files of weights of a checkpoint: one safetensors file, two with an index, or a file with
//! one quantized weight next to one with all other weights.

use granule_checkpoint::OutType;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::config::{open, open_as};
use crate::parts::{number, parts};
use crate::{folder, write};

pub(super) const CONFIG: &str = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4,
"num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4, "vocab_size": 3,
"max_position_embeddings": 8, "rms_norm_eps": 1e-5}"#;

/// A vocabulary of three pieces.
pub(super) const TOKENIZER: &[u8] =
    b"\x0a\x05\x0a\x01a\x18\x01\x0a\x05\x0a\x01b\x18\x01\x0a\x05\x0a\x01c\x18\x01";

pub(super) fn run(input: &[u8]) {
    let ([choice], input) = number(input);
    let folder = folder();
    write(&folder, "tokenizer.model", TOKENIZER);
    if choice % 4 > 1 {
        let out_type = if choice % 4 == 2 { OutType::Auto } else { OutType::Exact };
        quantized(&folder, input);
        return open_as(&folder, false, out_type);
    }
    write(&folder, "config.json", CONFIG.as_bytes());
    if choice % 2 == 0 {
        write(&folder, "model.safetensors", input);
    } else {
        let [index, one, two] = parts(input);
        write(&folder, "model.safetensors.index.json", index);
        write(&folder, "model-1.safetensors", one);
        write(&folder, "model-2.safetensors", two);
    }
    open(&folder, false);
}

/// The name of the quantized weight.
pub(crate) const QUANTIZED: &str = "model.layers.0.mlp.up_proj";

/// Writes the checkpoint of a quantized weight. The input is the numbers of its rows and of half
/// its columns, what `config.json` has besides the usual numbers, and its file.
fn quantized(folder: &TempDir, input: &[u8]) {
    let ([rows, half], input) = number(input);
    let [config, file] = parts(input);
    let (rows, columns) = (u64::from(rows % 64) + 1, 2 * (u64::from(half % 128) + 1));
    let mut whole = json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "hidden_size": columns, "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 2,
        "intermediate_size": rows, "vocab_size": 3, "max_position_embeddings": 8,
        "rms_norm_eps": 1e-5});
    if let (Ok(Value::Object(more)), Some(whole)) =
        (serde_json::from_slice(config), whole.as_object_mut())
    {
        whole.extend(more);
    }
    write(folder, "config.json", whole.to_string().as_bytes());
    let others: &[(&str, &[u64])] = &[
        ("lm_head.weight", &[3, columns]),
        ("model.embed_tokens.weight", &[3, columns]),
        ("model.layers.0.input_layernorm.weight", &[columns]),
        ("model.layers.0.mlp.down_proj.weight", &[columns, rows]),
        ("model.layers.0.mlp.gate_proj.weight", &[rows, columns]),
        ("model.layers.0.post_attention_layernorm.weight", &[columns]),
        ("model.layers.0.self_attn.k_proj.weight", &[2, columns]),
        ("model.layers.0.self_attn.o_proj.weight", &[columns, 2]),
        ("model.layers.0.self_attn.q_proj.weight", &[2, columns]),
        ("model.layers.0.self_attn.v_proj.weight", &[2, columns]),
        ("model.norm.weight", &[columns]),
    ];
    write(folder, "model-00001-of-00002.safetensors", &weights(others));
    write(folder, "model-00002-of-00002.safetensors", file);
}

/// Makes a file of tensors of BF16 with these names and shapes.
pub(crate) fn weights(shapes: &[(&str, &[u64])]) -> Vec<u8> {
    let mut header = Map::new();
    let mut at = 0;
    for (name, shape) in shapes {
        let end = at + 2 * shape.iter().product::<u64>();
        let entry = json!({ "dtype": "BF16", "shape": shape, "data_offsets": [at, end] });
        header.insert((*name).to_owned(), entry);
        at = end;
    }
    let text = Value::Object(header).to_string();
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.bytes());
    bytes.resize(bytes.len() + at as usize, 0x3c);
    bytes
}
