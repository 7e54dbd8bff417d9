//! Tokenizers of folders, compared with descriptions of the reference's files.

use std::fs;
use std::path::{Path, PathBuf};

use granule_format::{Array, Metadata, Value};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::*;

/// An architecture's tokenizers, as the table of architectures has them.
struct Kinds {
    kinds: &'static [TokenizerKind],
    quirks: Vec<Quirk>,
}

/// The kinds and quirks, written as architecture files write them.
fn kinds_of(class: &str) -> Kinds {
    use TokenizerKind::{ByteFallbackBpe, ByteLevelBpe, SentencePiece, Unigram, WordPiece};
    let (kinds, quirks): (&[TokenizerKind], Json) = match class {
        "GemmaForCausalLM" => {
            (&[SentencePiece], json!([{"end-of-turn": {"id": 107}}, "no-space-prefix"]))
        }
        "Gemma2ForCausalLM" => (&[SentencePiece], json!(["no-space-prefix"])),
        "Gemma3ForCausalLM" => (&[SentencePiece, ByteLevelBpe], json!(["no-space-prefix"])),
        "Phi3ForCausalLM" => {
            (&[SentencePiece], json!([{"byte-level-class": "GPT2Tokenizer"}, "added-tokens"]))
        }
        "BertModel" => (&[WordPiece], json!(["token-type-count"])),
        "NomicBertModel" => (&[WordPiece, Unigram], json!(["fairseq-ids", "token-type-count"])),
        "RobertaModel" => (&[ByteLevelBpe], json!(["token-type-count"])),
        "XLMRobertaModel" => (&[Unigram], json!(["fairseq-ids", "token-type-count"])),
        "T5EncoderModel" | "T5ForConditionalGeneration" => (&[Unigram, SentencePiece], json!([])),
        "MambaForCausalLM" => (
            &[ByteLevelBpe, SentencePiece],
            json!([{"round-vocabulary": {"multiple": 8}}, {"borrowed-tokenizer": "EleutherAI/gpt-neox-20b"}]),
        ),
        "Qwen2ForCausalLM" | "DeepseekForCausalLM" => (&[SentencePiece, ByteLevelBpe], json!([])),
        "Glm4ForCausalLM" => (
            &[ByteLevelBpe],
            json!([
                {"special-token": {"kind": "eos", "text": "<|endoftext|>"}},
                {"special-token": {"kind": "eot", "text": "<|user|>"}},
                {"special-token": {"kind": "unk", "text": "<|endoftext|>"}},
                {"special-token": {"kind": "bos", "text": "<|endoftext|>"}},
            ]),
        ),
        "ModernBertModel" => {
            (&[ByteLevelBpe], json!([{"add-first": {"kinds": ["bos", "eos", "sep"], "add": true}}]))
        }
        "LlamaForCausalLM" | "MistralForCausalLM" | "MixtralForCausalLM" | "GraniteForCausalLM" => {
            (
                &[SentencePiece, ByteFallbackBpe, ByteLevelBpe],
                json!([
                    "space-prefix",
                    {"end-of-turn": {"vocabulary": 32_016, "id": 32_010}},
                    {"add-bos": {"vocabulary": 49_152, "add": false}},
                ]),
            )
        }
        _ => (&[ByteLevelBpe], json!([])),
    };
    Kinds { kinds, quirks: serde_json::from_value(quirks).unwrap() }
}

/// The tokenizer of a folder.
fn read_folder(folder: &Path, warnings: &mut Vec<String>) -> Result<Metadata, Error> {
    let config = Config::read(folder, None)?;
    let kinds = kinds_of(config.class()?);
    read_kinds(kinds.kinds, &kinds.quirks, &config, folder, None, warnings)
}

/// An entry as the descriptions have it: what counts of it.
fn describe(key: &str, value: &Value) -> Json {
    match value {
        Value::String(text) => {
            if text.len() > 4096 {
                let hash = hex(&Sha256::digest(text.as_bytes()));
                return json!([key, "STRING", text.len(), hash]);
            }
            json!([key, "STRING", text])
        }
        Value::U32(number) => json!([key, "UINT32", number]),
        Value::Bool(flag) => json!([key, "BOOL", flag]),
        Value::Array(array) => {
            let (ty, name, bytes): (u32, &str, Vec<u8>) = match array {
                Array::String(texts) => {
                    let with_length = |text: &[u8]| {
                        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
                        bytes.extend_from_slice(text);
                        bytes
                    };
                    (8, "STRING", texts.iter().flat_map(with_length).collect())
                }
                Array::F32(items) => {
                    (6, "FLOAT32", items.iter().flat_map(|item| item.to_le_bytes()).collect())
                }
                Array::I32(items) => {
                    (5, "INT32", items.iter().flat_map(|item| item.to_le_bytes()).collect())
                }
                Array::U8(items) => (0, "UINT8", items.clone()),
                other => panic!("{other:?}"),
            };
            let mut all = ty.to_le_bytes().to_vec();
            all.extend((array.len() as u64).to_le_bytes());
            all.extend(bytes);
            json!([key, name, array.len(), hex(&Sha256::digest(&all))])
        }
        other => panic!("{key}: {other:?}"),
    }
}

/// The same of an entry of a description.
fn described(entry: &Json) -> Json {
    match entry["type"].as_str().unwrap() {
        "ARRAY" => json!([entry["key"], entry["item_type"], entry["length"], entry["sha256"]]),
        "STRING" if entry["sha256"].is_string() => {
            json!([entry["key"], "STRING", entry["bytes"], entry["sha256"]])
        }
        ty => json!([entry["key"], ty, entry["value"]]),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What differs between the tokenizer of a folder and a description of the reference's file.
fn difference(folder: &Path, description: &Path) -> Option<String> {
    let read = |path: &Path| -> Json { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let expected: Vec<Json> = read(description)["metadata"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["key"].as_str().unwrap().starts_with("tokenizer."))
        .map(described)
        .collect();
    let mut warnings = Vec::new();
    let found = match read_folder(folder, &mut warnings) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", folder.display())),
    };
    let found: Vec<Json> = found.iter().map(|entry| describe(&entry.key, &entry.value)).collect();
    let differ = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    match differ {
        Some((found, expected)) => {
            Some(format!("{}: {found}, expected {expected}", folder.display()))
        }
        None if found.len() != expected.len() => {
            let (found, expected) = (found.last(), expected.last());
            Some(format!("{}: the last is {found:?}, expected {expected:?}", folder.display()))
        }
        None => None,
    }
}

/// By hand: `GRANULE_TOKENIZERS` is a file with lines `folder description.json`.
#[test]
#[ignore = "needs tokenizers that are too large for this repository"]
fn other_tokenizers_are_the_references() {
    let list = std::env::var("GRANULE_TOKENIZERS").expect("GRANULE_TOKENIZERS names a file");
    let list = fs::read_to_string(list).unwrap();
    let pairs = list.lines().filter_map(|line| line.split_once(' '));
    let wrong: Vec<String> = pairs
        .filter_map(|(folder, description)| {
            difference(&PathBuf::from(folder), Path::new(description))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
