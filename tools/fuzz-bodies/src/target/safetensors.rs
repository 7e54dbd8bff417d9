//! The files of weights of a checkpoint: one safetensors file, or two with an index.

use super::config::open;
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
    write(&folder, "config.json", CONFIG.as_bytes());
    write(&folder, "tokenizer.model", TOKENIZER);
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
