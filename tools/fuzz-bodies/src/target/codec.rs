//! Tokens of a codec of sound after those of text: the input is what the config says about them.

use granule_checkpoint::Layout;
use serde_json::{Value, json};

use super::vocabulary;
use crate::parts::parts;
use crate::{folder, write};

const TOKENIZER: &[u8] = br#"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2},
"merges": ["a b"]}, "pre_tokenizer": {"type": "ByteLevel"}, "decoder": {"type": "ByteLevel"},
"added_tokens": [{"id": 3, "content": "</s>", "special": true}]}"#;

pub(super) fn run(input: &[u8]) {
    let [outer, talker] = parts(input);
    let mut config = json!({"architectures": ["Qwen3TTSForConditionalGeneration"],
        "model_type": "qwen3_tts", "vocab_size": 4});
    let mut part = json!({"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 8,
        "head_dim": 4, "hidden_act": "relu", "rms_norm_eps": 1e-6, "rope_theta": 1e6,
        "vocab_size": 1030, "codec_eos_token_id": 1029, "text_vocab_size": 4});
    extend(&mut part, talker);
    extend(&mut config, outer);
    config["talker_config"] = part;
    let folder = folder();
    write(&folder, "config.json", config.to_string().as_bytes());
    write(&folder, "tokenizer.json", TOKENIZER);
    vocabulary::open(&folder, Layout::HuggingFace);
}

/// Adds the keys of a JSON object.
fn extend(object: &mut Value, more: &[u8]) {
    if let (Some(object), Ok(Value::Object(more))) =
        (object.as_object_mut(), serde_json::from_slice(more))
    {
        object.extend(more);
    }
}
