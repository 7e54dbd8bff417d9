//! The layout of Mistral's own library: `params.json`, and `tekken.json` or a SentencePiece model.

use std::fmt::Write;

use granule_checkpoint::{CheckpointOptions, Layout};

use super::config::open_with;
use super::safetensors::{CONFIG, weights};
use super::vocabulary;
use crate::parts::{number, parts};
use crate::{folder, write};

/// Tokens without which no tokenizer is one.
const SPECIAL: [&str; 3] = ["<unk>", "<s>", "</s>"];

pub(super) fn run(input: &[u8]) {
    let ([choice], input) = number(input);
    let has = |bit: u8| choice & 1 << bit != 0;
    let [params, template, tokenizer] = parts(input);
    let folder = folder();
    let layout = if has(0) {
        write(&folder, "params.json", params);
        Layout::Mistral { named_template: has(1) }
    } else {
        // only the tokenizer is the library's
        let config = if params.is_empty() { CONFIG.as_bytes() } else { params };
        write(&folder, "config.json", config);
        Layout::HuggingFace
    };
    if !template.is_empty() {
        write(&folder, "chat_template.jinja", template);
    }
    match (has(2), has(3)) {
        (true, _) => write(&folder, "tekken.json", tekken(tokenizer).as_bytes()),
        (_, true) => write(&folder, "tokenizer.model.v3", tokenizer),
        _ => write(&folder, "tekken.json", tokenizer),
    };
    if let Some(opened) = vocabulary::open(&folder, layout)
        && !has(3)
    {
        vocabulary::check_merges(&opened);
    }
    if has(0) && has(4) {
        let shapes: [(&str, &[u64]); 12] = [
            ("layers.0.attention.wk.weight", &[4, 4]),
            ("layers.0.attention.wo.weight", &[4, 4]),
            ("layers.0.attention.wq.weight", &[4, 4]),
            ("layers.0.attention.wv.weight", &[4, 4]),
            ("layers.0.attention_norm.weight", &[4]),
            ("layers.0.feed_forward.w1.weight", &[4, 4]),
            ("layers.0.feed_forward.w2.weight", &[4, 4]),
            ("layers.0.feed_forward.w3.weight", &[4, 4]),
            ("layers.0.ffn_norm.weight", &[4]),
            ("norm.weight", &[4]),
            ("output.weight", &[3, 4]),
            ("tok_embeddings.weight", &[3, 4]),
        ];
        write(&folder, "consolidated.safetensors", &weights(&shapes));
        open_with(&folder, &CheckpointOptions { layout, ..Default::default() });
    }
}

/// Makes a file whose tokens are all single bytes and the lines of the input: those without a merge
/// are few enough for inputs of this length.
fn tekken(lines: &[u8]) -> String {
    let single: Vec<[u8; 1]> = (0..=255).map(|byte| [byte]).collect();
    let lines = lines.split(|byte| *byte == b'\n').take(64);
    let tokens: Vec<&[u8]> = single.iter().map(|byte| &byte[..]).chain(lines).collect();
    let special = SPECIAL.len();
    let mut text = format!(
        r#"{{"config": {{"version": "v3", "default_vocab_size": {},
"default_num_special_tokens": {special}}}, "special_tokens": ["#,
        tokens.len() + special
    );
    let comma = |index: usize| if index == 0 { "" } else { "," };
    for (rank, token) in SPECIAL.iter().enumerate() {
        let _ = write!(text, r#"{}{{"rank":{rank},"token_str":"{token}"}}"#, comma(rank));
    }
    text += r#"], "vocab": ["#;
    for (rank, token) in tokens.iter().enumerate() {
        let token = base64(token);
        let _ = write!(text, r#"{}{{"rank":{rank},"token_bytes":"{token}"}}"#, comma(rank));
    }
    text + "]}"
}

/// Encodes bytes in base64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            let known = digit <= group.len();
            text.push(if known { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}
