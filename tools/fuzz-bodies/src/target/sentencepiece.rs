//! `tokenizer.model`: a SentencePiece model.

use super::config::open;
use crate::parts::{number, parts};
use crate::{folder, write};

const CONFIG: &str = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4,
"num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4, "max_position_embeddings": 8,
"rms_norm_eps": 1e-5"#;

pub(super) fn run(input: &[u8]) {
    let ([size], input) = number(input);
    let [added, model] = parts(input);
    let folder = folder();
    let vocabulary = if size == 0 { String::new() } else { format!(", \"vocab_size\": {size}") };
    write(&folder, "config.json", format!("{CONFIG}{vocabulary}}}").as_bytes());
    write(&folder, "tokenizer.model", model);
    if !added.is_empty() {
        write(&folder, "added_tokens.json", added);
    }
    open(&folder, true);
}
