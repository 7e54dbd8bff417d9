//! Tokenizers of a vocabulary without `tokenizer.json`: `vocab.json` with `merges.txt`, or
//! `vocab.txt`. Builds the `tokenizer.json` that the library's converters would make of them.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::class::{Bare, Class};
use super::expressions::QWEN2;
use super::file::read_lines;
use super::python::truth;
use crate::folder::Named;
use crate::json::read_object;
use crate::{Error, Folder};

/// Returns whether the folder has a BPE vocabulary.
pub(super) fn has_merges(folder: &dyn Folder) -> bool {
    folder.exists("vocab.json") && folder.exists("merges.txt")
}

/// Returns whether the folder has a WordPiece vocabulary.
pub(super) fn has_words(folder: &dyn Folder) -> bool {
    folder.exists("vocab.txt")
}

/// Returns the vocabulary file and the text of the tokenizer.
pub(super) fn tokenizer(
    folder: &dyn Folder,
    class: &Class,
    config: &Map<String, Value>,
) -> Result<(PathBuf, Vec<u8>), Error> {
    let token = |key: &str| {
        let from_config = config.get(key).map(|value| {
            value.as_str().or_else(|| value.get("content")?.as_str()).unwrap_or_default()
        });
        let default = || class.specials.iter().find(|(name, _)| *name == key).map(|it| it.1);
        from_config.or_else(default).unwrap_or_default().to_owned()
    };
    let (file, json) = if has_merges(folder) {
        let file = folder.at("vocab.json");
        let vocabulary = read_object(&file)?;
        (file, bpe(folder, class.bare, config, vocabulary, &token)?)
    } else {
        let file = folder.at("vocab.txt");
        let vocabulary = words(&file)?;
        let json = word_piece(config, vocabulary, &token);
        (file, json)
    };
    Ok((file.path().to_owned(), json.to_string().into_bytes()))
}

fn bpe(
    folder: &dyn Folder,
    bare: Bare,
    config: &Map<String, Value>,
    vocabulary: Map<String, Value>,
    token: &dyn Fn(&str) -> String,
) -> Result<Value, Error> {
    let text = read_lines(&folder.at("merges.txt"))?;
    let mut merges: Vec<(&str, &str)> = Vec::new();
    // The library's reader for the format of GPT-2 drops the first and the last line, whatever they
    // contain.
    let lines = text.split('\n');
    let lines: Vec<&str> = match bare {
        Bare::Qwen2 => {
            let commented = text.starts_with("#version:");
            lines.skip(usize::from(commented)).collect()
        }
        _ => {
            let lines: Vec<&str> = lines.skip(1).collect();
            lines[..lines.len().saturating_sub(1)].to_vec()
        }
    };
    for line in lines {
        let mut words = line.split_whitespace();
        if let (Some(first), Some(second), None) = (words.next(), words.next(), words.next()) {
            merges.push((first, second));
        }
    }
    let prefix = config.get("add_prefix_space").is_some_and(truth);
    let id = |text: &str| vocabulary.get(text).and_then(Value::as_u64).unwrap_or_default();
    let byte_level = |regex| {
        json!({"type": "ByteLevel", "add_prefix_space": prefix,
            "trim_offsets": true, "use_regex": regex})
    };
    let post = match bare {
        Bare::Roberta => json!({
            "type": "RobertaProcessing", "sep": [token("sep_token"), id(&token("sep_token"))],
            "cls": [token("cls_token"), id(&token("cls_token"))], "trim_offsets": true,
            "add_prefix_space": prefix,
        }),
        Bare::Gpt2 if config.get("add_bos_token").is_some_and(truth) => {
            let bos = token("bos_token");
            let ids = [id(&bos)];
            json!({
                "type": "TemplateProcessing",
                "single": [
                    {"SpecialToken": {"id": bos, "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                ],
                "pair": [
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"Sequence": {"id": "B", "type_id": 1}},
                ],
                "special_tokens": {bos.clone(): {"id": bos, "ids": ids, "tokens": [bos]}},
            })
        }
        _ => byte_level(true),
    };
    let (normalizer, pre) = match bare {
        Bare::Qwen2 => {
            let split = json!({
                "type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated",
                "invert": false,
            });
            let steps = json!({"type": "Sequence", "pretokenizers": [split, byte_level(false)]});
            (json!({"type": "NFC"}), steps)
        }
        _ => (Value::Null, byte_level(true)),
    };
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": post,
        "decoder": byte_level(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false,
            "vocab": vocabulary, "merges": merges,
        },
    }))
}

fn word_piece(
    config: &Map<String, Value>,
    vocabulary: Map<String, Value>,
    token: &dyn Fn(&str) -> String,
) -> Value {
    let flag = |key: &str, default: Value| config.get(key).cloned().unwrap_or(default);
    let basic = flag("do_basic_tokenize", Value::Bool(true)) == Value::Bool(true);
    let flag = |key, default| if basic { flag(key, default) } else { Value::Bool(false) };
    let (first, last) = (token("cls_token"), token("sep_token"));
    let id = |text: &str| vocabulary.get(text).and_then(Value::as_u64).unwrap_or_default();
    let special = |text: &str, ty: u32| json!({"SpecialToken": {"id": text, "type_id": ty}});
    let sequence = |name: &str, ty: u32| json!({"Sequence": {"id": name, "type_id": ty}});
    let known = |text: &str| json!({"id": text, "ids": [id(text)], "tokens": [text]});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": flag("tokenize_chinese_chars", Value::Bool(true)),
            "strip_accents": flag("strip_accents", Value::Null),
            "lowercase": flag("do_lower_case", Value::Bool(true)),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special(&first, 0), sequence("A", 0), special(&last, 0)],
            "pair": [
                special(&first, 0), sequence("A", 0), special(&last, 0), sequence("B", 1),
                special(&last, 1),
            ],
            "special_tokens": {first.clone(): known(&first), last.clone(): known(&last)},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": token("unk_token"), "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    })
}

/// Reads the lines of `vocab.txt`; the line numbers are the ids.
fn words(file: &Named<'_>) -> Result<Map<String, Value>, Error> {
    let text = read_lines(file)?;
    let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n');
    Ok(lines.enumerate().map(|(id, line)| (line.to_owned(), id.into())).collect())
}
