//! Vocabularies that are lists of tokens: those of RWKV and PLaMo, and bare ones.

use granule_checkpoint::Layout;

use super::vocabulary;
use crate::parts::{number, parts};
use crate::{folder, write};

/// The class, and the names of its files.
const KINDS: [(&str, [&str; 2]); 5] = [
    ("Rwkv6ForCausalLM", ["rwkv_vocab_v20230424.txt", "added_tokens.json"]),
    ("Plamo2ForCausalLM", ["tokenizer.jsonl", "special_tokens_map.json"]),
    ("Plamo3ForCausalLM", ["tokenizer.jsonl", "chat_template.json"]),
    ("GPT2LMHeadModel", ["vocab.json", "merges.txt"]),
    ("BertModel", ["vocab.txt", "special_tokens_map.json"]),
];

pub(super) fn run(input: &[u8]) {
    let ([choice, size], input) = number(input);
    let files = parts::<3>(input);
    let (class, names) = KINDS[usize::from(choice) % KINDS.len()];
    let folder = folder();
    let sized = if size == 0 { String::new() } else { format!(r#","vocab_size":{size}"#) };
    let config = format!(
        r#"{{"architectures":["{class}"],"hidden_size":8,"num_hidden_layers":1,"head_size":4,
"num_attention_heads":2,"intermediate_size":8,"max_position_embeddings":8,"rms_norm_eps":1e-5,
"layer_norm_epsilon":1e-5,"n_embd":8,"n_head":2,"n_layer":1,"n_ctx":8{sized}}}"#
    );
    write(&folder, "config.json", config.as_bytes());
    for (name, bytes) in names.iter().chain(&["tokenizer_config.json"]).zip(files) {
        if !bytes.is_empty() {
            write(&folder, name, bytes);
        }
    }
    vocabulary::open(&folder, Layout::HuggingFace);
}
