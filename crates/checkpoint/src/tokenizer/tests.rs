//! Compares the tokenizers of folders with descriptions of the reference's files.

use std::fs;
use std::path::Path;

use granule_format::{Array, Metadata, Value};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::{Directory, arch};

/// The tokenizers of an architecture, as in the table of architectures.
struct Kinds {
    kinds: &'static [TokenizerKind],
    quirks: Vec<Quirk>,
}

/// Returns the kinds and quirks of classes without an architecture, as architecture files write
/// them.
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
            json!([{"round-vocabulary": {"multiple": 8}},
                {"borrowed-tokenizer": "EleutherAI/gpt-neox-20b"}]),
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

/// Reads the tokenizer of a folder for the built-in architecture; for classes without one, with the
/// kinds above.
fn read_folder(folder: &dyn Folder, warnings: &mut Vec<String>) -> Result<Metadata, Error> {
    let config = Config::read(folder, None)?;
    if let Ok(arch) = arch::find(None, &config, folder) {
        return read(&arch, &config, folder, &CheckpointOptions::default(), None, warnings);
    }
    let kinds = kinds_of(config.class()?);
    read_kinds((kinds.kinds, &kinds.quirks), &config, folder, None, None, warnings)
}

/// Describes an entry as the descriptions do.
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

/// Reduces an entry of a description likewise.
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

/// Returns the first difference between the tokenizer of a folder and a description of the
/// reference's file.
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
    let found = match read_folder(&Directory::new(folder), &mut warnings) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", folder.display())),
    };
    let mut found: Vec<Json> =
        found.iter().map(|entry| describe(&entry.key, &entry.value)).collect();
    // If the reference does not know a tokenizer, the description has the hash instead of a name.
    for entry in &mut found {
        let hash = |warning: &String| {
            let (_, hash) = warning.split_once("(hash ")?;
            Some(hash.split_once(')')?.0.to_owned())
        };
        if entry[0] == "tokenizer.ggml.pre"
            && let Some(hash) = warnings.iter().find_map(hash)
        {
            entry[2] = hash.into();
        }
    }
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

#[test]
fn tokenizers_are_the_references() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers");
    let mut compared = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(fixtures).unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            compared += 1;
            wrong.extend(difference(&folder, &folder.join("expected.json")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= 20, "only {compared} tokenizers were compared");
}

/// Reads the tokenizer of a folder with these fixture files and a config with this vocabulary size.
fn assembled(class: &str, vocabulary: u64, files: &[(&str, &str)]) -> Result<Metadata, String> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers");
    let folder = tempfile::tempdir().unwrap();
    for (name, from) in files {
        fs::copy(fixtures.join(from), folder.path().join(name)).unwrap();
    }
    let config = json!({"architectures": [class], "model_type": "none", "vocab_size": vocabulary});
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let folder = Directory::new(folder.path());
    let config = Config::read(&folder, None).unwrap();
    let kinds = kinds_of(class);
    read_kinds((kinds.kinds, &kinds.quirks), &config, &folder, None, None, &mut Vec::new())
        .map_err(|error| error.to_string())
}

#[test]
fn a_folder_without_tokenizer_is_told_what_is_needed() {
    let refused = |class: &str, files: &[(&str, &str)], words: &[&str]| {
        let error = assembled(class, 310, files).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{error:?} lacks {word:?}");
        }
    };
    refused("GPT2LMHeadModel", &[], &["tokenizer.json", "vocab.json with merges.txt"]);
    refused("MambaForCausalLM", &[], &["EleutherAI/gpt-neox-20b"]);
    refused("XLMRobertaModel", &[], &["sentencepiece.bpe.model"]);
    let tekken = [("tekken.json", "glm4/tokenizer.json")];
    refused("LlamaForCausalLM", &tekken, &["tokenizer.model", "tekken.json"]);
    let unigram = [("tokenizer.json", "xlm-roberta-json/tokenizer.json")];
    refused("GPT2LMHeadModel", &unigram, &["tokenizer.json", "Unigram"]);
}

#[test]
fn what_is_beyond_the_vocabulary_is_left_out() {
    for (class, name, file) in [
        ("T5EncoderModel", "spiece.model", "t5/spiece.model"),
        ("Phi3ForCausalLM", "tokenizer.model", "phi3/tokenizer.model"),
        ("GPT2LMHeadModel", "tokenizer.json", "glm4/tokenizer.json"),
    ] {
        let found = assembled(class, 20, &[(name, file)]).unwrap();
        let tokens = found.strings("tokenizer.ggml.tokens").unwrap().unwrap();
        assert_eq!(tokens.len(), 20, "{class}");
    }
}

#[test]
fn t5_is_read_from_tokenizer_json_where_there_is_no_model() {
    let file = [("tokenizer.json", "xlm-roberta-json/tokenizer.json")];
    let found = assembled("T5EncoderModel", 128, &file).unwrap();
    assert_eq!(found.get("tokenizer.ggml.model"), Some(&Value::String("t5".to_owned())));
    assert_eq!(found.get("tokenizer.ggml.add_space_prefix"), Some(&Value::Bool(true)));
    assert!(found.get("tokenizer.ggml.precompiled_charsmap").is_some());
}

#[test]
fn a_pre_tokenizer_that_nothing_knows_is_told() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers").join("glm4");
    let folder = Directory::new(folder);
    let config = Config::read(&folder, None).unwrap();
    let kinds = kinds_of(config.class().unwrap());
    let warnings = |pre: &str| {
        let mut warnings = Vec::new();
        let of = (kinds.kinds, &*kinds.quirks);
        read_kinds(of, &config, &folder, Some(pre), None, &mut warnings).unwrap();
        warnings.join("\n")
    };
    let told = warnings("qwen22");
    assert!(told.contains("--pre qwen22") && told.contains("did you mean qwen2"), "{told}");
    for known in ["qwen2", "default", "bloom"] {
        assert!(!warnings(known).contains("--pre"), "{known}");
    }
}

#[test]
fn text_can_be_split_at_white_space_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let write = |name: &str, json: Json| {
        fs::write(temporary.path().join(name), json.to_string()).unwrap();
    };
    write("config.json", json!({"architectures": ["None"], "vocab_size": 5, "bos_token_id": 2}));
    write(
        "tokenizer.json",
        json!({
            "version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"},
            "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
        }),
    );
    let folder = Directory::new(temporary.path());
    let config = Config::read(&folder, None).unwrap();
    let read = |kinds: &[TokenizerKind]| {
        read_kinds((kinds, &[]), &config, &folder, None, None, &mut Vec::new()).unwrap()
    };
    let found = read(&[TokenizerKind::WordPiece, TokenizerKind::Whitespace]);
    assert_eq!(found.get("tokenizer.ggml.model"), Some(&"whitespace".into()));
    assert_eq!(found.get("tokenizer.ggml.pre"), Some(&"whitespace".into()));
    let texts = |texts: &[&str]| Value::from(Array::String(texts.iter().collect()));
    let tokens = texts(&["a", "b", "ab", "[PAD3]", "[PAD4]"]);
    assert_eq!(found.get("tokenizer.ggml.tokens"), Some(&tokens));
    assert_eq!(found.get("tokenizer.ggml.merges"), Some(&texts(&["a b"])));
    assert_eq!(found.get("tokenizer.ggml.bos_token_id"), Some(&Value::U32(2)));
    // the marks of WordPiece on any tokenizer
    let found = read(&[TokenizerKind::MarkedWords]);
    let tokens =
        texts(&["\u{2581}a", "\u{2581}b", "\u{2581}ab", "\u{2581}[PAD3]", "\u{2581}[PAD4]"]);
    assert_eq!(found.get("tokenizer.ggml.tokens"), Some(&tokens));
    // a model without text
    let found = read(&[TokenizerKind::None]);
    assert_eq!(found.iter().count(), 1);
    assert_eq!(found.get("tokenizer.ggml.model"), Some(&"none".into()));
}
