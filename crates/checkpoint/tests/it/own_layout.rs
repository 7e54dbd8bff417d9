//! Checkpoints in the layouts of other libraries (Mistral's own, tokenizers of tiktoken) whose
//! files are missing, damaged or contradict each other: the error names the file before anything
//! is converted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use granule_checkpoint::{Checkpoint, CheckpointOptions, Error, Layout};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::folder::{self, Stored};

const PARAMS: &str = "params.json";
const WEIGHTS: &str = "consolidated.safetensors";
const TOKENIZER: &str = "tekken.json";

/// The ranks of HunYuan's tokens.
const RANKS: &str = "hy.tiktoken";

/// A checkpoint of zeros that a test may change.
struct Own(TempDir, Layout);

impl Own {
    /// One in the layout of Mistral's own library.
    fn new() -> Self {
        Self::of("params", (PARAMS, WEIGHTS), Layout::Mistral { named_template: true })
    }

    /// One whose tokenizer is a file of tiktoken.
    fn with_ranks() -> Self {
        Self::of("hunyuan-moe", ("config.json", folder::FILE), Layout::HuggingFace)
    }

    /// The checkpoint of a case, with the names of its config and weights.
    fn of(case: &str, (config, weights): (&str, &str), layout: Layout) -> Self {
        let case = format!("../../fixtures/descriptions/{case}.json");
        let case = Path::new(env!("CARGO_MANIFEST_DIR")).join(case);
        let case: Value = serde_json::from_slice(&fs::read(case).unwrap()).unwrap();
        let own = Self(tempfile::tempdir().unwrap(), layout);
        fs::write(own.path(config), case["config"].to_string()).unwrap();
        for (name, content) in case["files"].as_object().unwrap() {
            let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
            fs::write(own.path(name), text).unwrap();
        }
        let mut tensors = BTreeMap::new();
        for tensor in case["tensors"].as_array().unwrap() {
            let shape: Vec<u64> = serde_json::from_value(tensor[2].clone()).unwrap();
            let bytes = shape.iter().product::<u64>() as usize * 2;
            let name = tensor[0].as_str().unwrap().to_owned();
            tensors.insert(name, Stored::new("BF16", &shape, vec![0; bytes]));
        }
        folder::write(&own.path(weights), &tensors);
        own
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Changes a JSON file.
    fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap();
        change(&mut value);
        fs::write(self.path(name), value.to_string()).unwrap();
    }

    fn open(&self) -> Result<Checkpoint, Error> {
        let options = CheckpointOptions { layout: self.1, ..CheckpointOptions::default() };
        Checkpoint::open(self.0.path(), &options)
    }

    /// Checks that the checkpoint is refused with an error that contains all of these.
    #[track_caller]
    fn refused(&self, texts: &[&str]) {
        let error = self.open().err().unwrap_or_else(|| panic!("accepted, without {texts:?}"));
        let message = error.to_string();
        for text in texts {
            assert!(message.contains(text), "{message:?} lacks {text:?}");
        }
    }
}

#[test]
fn params_are_there_and_fit() {
    assert!(Own::new().open().is_ok());
    let own = Own::new();
    fs::remove_file(own.path(PARAMS)).unwrap();
    own.refused(&[PARAMS]);
    for text in ["", "{", "[]", "{\"dim\": 64} x", "\u{1}"] {
        let own = Own::new();
        fs::write(own.path(PARAMS), text).unwrap();
        own.refused(&[PARAMS]);
    }
    for (key, value, texts) in [
        ("n_layers", json!(3), &["layers.2."][..]),
        ("n_layers", json!(1), &["layers.1."]),
        ("n_layers", json!("two"), &[PARAMS, "two"]),
        ("n_layers", json!(1_000_000_000), &[PARAMS, "1000000000"]),
        ("dim", json!(128), &[WEIGHTS, "64]", "128]", "the config"]),
        ("n_heads", Value::Null, &[PARAMS, "n_heads"]),
        ("n_kv_heads", json!(4), &[WEIGHTS, "attention.wk.weight"]),
        ("n_kv_heads", json!(0), &[]),
        ("head_dim", json!(-32), &[PARAMS, "head_dim", "-64"]),
        ("hidden_dim", json!(97), &[WEIGHTS, "feed_forward.w"]),
        ("vocab_size", json!(291), &[WEIGHTS, "[290, 64]"]),
        ("norm_eps", json!("small"), &[PARAMS, "small"]),
    ] {
        let own = Own::new();
        own.change(PARAMS, |params| params[key] = value);
        own.refused(texts);
    }
}

#[test]
fn weights_are_complete() {
    let own = Own::new();
    fs::remove_file(own.path(WEIGHTS)).unwrap();
    own.refused(&["consolidated"]);

    let own = Own::new();
    let whole = fs::read(own.path(WEIGHTS)).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let lengths = (0..header).step_by(97).chain([header, header + 1, whole.len() - 1]);
    for length in lengths {
        fs::write(own.path(WEIGHTS), &whole[..length]).unwrap();
        own.refused(&[WEIGHTS]);
    }

    let own = Own::new();
    fs::remove_file(own.path(WEIGHTS)).unwrap();
    let index = "consolidated.safetensors.index.json";
    let missing = json!({"weight_map": {"norm.weight": "consolidated-00001-of-00002.safetensors"}});
    fs::write(own.path(index), missing.to_string()).unwrap();
    own.refused(&["consolidated-00001-of-00002.safetensors"]);

    let own = Own::new();
    fs::copy(own.path(WEIGHTS), own.path("consolidated-00002-of-00002.safetensors")).unwrap();
    own.refused(&["consolidated"]);
}

#[test]
fn the_tokenizer_is_whole() {
    let own = Own::new();
    fs::remove_file(own.path(TOKENIZER)).unwrap();
    own.refused(&[TOKENIZER, "tokenizer.model.v*"]);
    for text in ["", "{", "[]", "{}", "{\"config\": 7}"] {
        let own = Own::new();
        fs::write(own.path(TOKENIZER), text).unwrap();
        own.refused(&[TOKENIZER]);
    }
    type Change = fn(&mut Value);
    let changes: &[(Change, &[&str])] = &[
        (|file| file["config"]["version"] = Value::Null, &["version"]),
        (|file| file["config"]["default_vocab_size"] = json!(300), &["264", "274"]),
        (|file| file["config"]["default_vocab_size"] = json!(u64::MAX), &["default_vocab_size"]),
        (|file| file["config"]["default_num_special_tokens"] = json!(291), &["291", "290"]),
        (|file| file["special_tokens"][3]["rank"] = json!(26), &["26"]),
        (|file| file["special_tokens"][3] = json!({"rank": 3}), &["special token"]),
        (|file| file["special_tokens"][1]["token_str"] = json!("x"), &["\"<s>\""]),
        (|file| file["vocab"][7]["token_bytes"] = json!("~~"), &["token 7"]),
        (|file| file["vocab"][7]["token_bytes"] = json!(""), &["token 7"]),
        (|file| file["vocab"][7]["rank"] = json!(8), &["token 7"]),
        (|file| file["vocab"][263]["token_bytes"] = json!("//79/A=="), &["263"]),
    ];
    for (change, texts) in changes {
        let own = Own::new();
        own.change(TOKENIZER, change);
        own.refused(texts);
    }
    let own = Own::new();
    own.change(TOKENIZER, |file| file["vocab"][7]["token_bytes"] = json!("CA=="));
    let warnings = own.open().unwrap().warnings().join("\n");
    assert!(warnings.contains("have the same text"), "{warnings}");
}

#[test]
fn ranks_of_tiktoken_are_whole() {
    assert!(Own::with_ranks().open().is_ok());
    let own = Own::with_ranks();
    fs::remove_file(own.path(RANKS)).unwrap();
    own.refused(&["tiktoken"]);
    for (line, texts) in [
        ("QQ== 7 8", &["line 8", "is not a token and its rank"][..]),
        ("~~ 7", &["line 8", "base64"]),
        ("= 7", &["line 8", "base64"]),
        ("Bw== seven", &["line 8", "has no rank"]),
        ("Bw== 99999999", &["line 8", "has no rank"]),
        ("Bw== 8", &["two tokens have the rank 8"]),
        ("\u{e9} 7", &["line 8", "base64"]),
    ] {
        let own = Own::with_ranks();
        let text = fs::read_to_string(own.path(RANKS)).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines[7] = line;
        fs::write(own.path(RANKS), lines.join("\n")).unwrap();
        own.refused(&[&[RANKS], texts].concat());
    }
    // a rank says how many tokens there are only if it is near the others
    let own = Own::with_ranks();
    own.change("config.json", |config| drop(config.as_object_mut().unwrap().remove("vocab_size")));
    let text = fs::read_to_string(own.path(RANKS)).unwrap();
    fs::write(own.path(RANKS), text.replace("Bw== 7\n", "Bw== 99999\n")).unwrap();
    let options = CheckpointOptions { vocabulary_only: true, ..CheckpointOptions::default() };
    let error = Checkpoint::open(own.0.path(), &options).unwrap_err().to_string();
    assert!([RANKS, "99999", "vocab_size"].iter().all(|part| error.contains(part)), "{error}");
}
