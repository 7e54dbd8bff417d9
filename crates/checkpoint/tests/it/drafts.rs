//! Draft models, which take their tokenizer and facts from the folder of their target.

use crate::common::folder;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::folder::{Copy, FILE, SINGLE, Stored, Tensors, content, write};
use granule_checkpoint::{Checkpoint, CheckpointOptions, Error};
use granule_format::{BlockType, Value as Meta};
use granule_reader::Source;
use serde_json::{Value, json};

/// A draft model of EAGLE-3 for a copy of a checkpoint.
struct Draft {
    target: Copy,
    folder: PathBuf,
}

impl Draft {
    fn new(table: &[i64]) -> Self {
        let target = Copy::of(SINGLE);
        let folder = target.root().join("draft");
        fs::create_dir(&folder).unwrap();
        let config = json!({
            "architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "hidden_size": 32,
            "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1,
            "num_hidden_layers": 1, "draft_vocab_size": 4, "vocab_size": 512,
            "target_hidden_size": 8,
        });
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let mut tensors = Tensors::new();
        let mut add = |name: &str, shape: &[u64]| {
            let count = shape.iter().product::<u64>() as usize;
            tensors.insert(name.to_owned(), Stored::f32(shape, &vec![0.5; count]));
        };
        add("fc.weight", &[32, 24]);
        add("norm.weight", &[32]);
        add("lm_head.weight", &[4, 32]);
        for norm in ["hidden_norm", "input_layernorm", "post_attention_layernorm"] {
            add(&format!("midlayer.{norm}.weight"), &[32]);
        }
        for (name, rows, columns) in [("q", 32, 64), ("k", 16, 64), ("v", 16, 64), ("o", 32, 32)] {
            add(&format!("midlayer.self_attn.{name}_proj.weight"), &[rows, columns]);
        }
        for name in ["gate", "up", "down"] {
            add(&format!("midlayer.mlp.{name}_proj.weight"), &[32, 32]);
        }
        let bytes = table.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.insert("d2t".to_owned(), Stored::new("I64", &[4], bytes));
        write(&folder.join(FILE), &tensors);
        Self { target, folder }
    }

    fn open(&self, target: Option<&Path>) -> Result<Checkpoint, Error> {
        let target = target.map(Path::to_owned);
        let options = CheckpointOptions { target, ..CheckpointOptions::default() };
        Checkpoint::open(&self.folder, &options)
    }

    fn refused(&self, target: Option<&Path>, text: &str) {
        let error = self.open(target).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn a_draft_has_the_tokens_of_its_target() {
    let draft = Draft::new(&[0, 4, 4, 9]);
    let checkpoint = draft.open(Some(&draft.target.folder)).unwrap();
    let ((metadata, tensors), warnings) = content(&checkpoint);
    assert_eq!(warnings, [""; 0]);
    let own = draft.target.open().unwrap();
    for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.eos_token_id"] {
        assert!(metadata.get(key).is_some(), "{key}");
        assert_eq!(metadata.get(key), own.metadata().get(key), "{key}");
    }
    assert_eq!(metadata.get("eagle3.target_hidden_size"), Some(&Meta::U32(8)));
    // the table comes last, with the ids themselves
    let (last, bytes) = tensors.last().unwrap();
    assert_eq!((last.name.as_str(), last.ty), ("d2t", BlockType::I64.into()));
    let ids = [0_i64, 5, 6, 12];
    assert_eq!(*bytes, ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>());
    // no file of the target may be an output
    let inputs = checkpoint.inputs();
    assert!(inputs.contains(&draft.target.path("tokenizer.model")), "{inputs:?}");
}

#[test]
fn what_is_wrong_is_said_before_any_work() {
    let good = Draft::new(&[0, 4, 4, 9]);
    good.refused(None, "--target-model-dir");
    good.refused(Some(&good.folder.join("none")), "config.json");
    let target = |draft: &Draft| draft.target.folder.clone();
    for (table, text) in [
        ([0, 4, 4, 600], "\"d2t\": entry 3 stands for token 603, but there are 512 tokens"),
        ([-1, 4, 4, 9], "entry 0 stands for token -1"),
        ([1, 0, 4, 9], "entry 1 stands for token 1, as does an entry before it"),
        ([i64::MAX; 4], "entry 0 stands for token 9223372036854775807"),
    ] {
        let draft = Draft::new(&table);
        draft.refused(Some(&target(&draft)), text);
    }
    let strange = Draft::new(&[0, 4, 4, 9]);
    let mut tensors = folder::read(&strange.folder.join(FILE));
    tensors.insert("d2t".to_owned(), Stored::f32(&[4], &[0.0; 4]));
    write(&strange.folder.join(FILE), &tensors);
    strange.refused(Some(&target(&strange)), "\"d2t\": its type is F32");
    // a model that is no draft has no use for a target
    let copy = Copy::of(SINGLE);
    let options =
        CheckpointOptions { target: Some(copy.folder.clone()), ..CheckpointOptions::default() };
    let checkpoint = Checkpoint::open(&copy.folder, &options).unwrap();
    assert!(checkpoint.warnings()[0].contains("--target-model-dir has no effect"));
}

#[test]
fn facts_of_the_target_reach_the_metadata() {
    let draft = Draft::new(&[0, 4, 4, 9]);
    let checkpoint = draft.open(Some(&draft.target.folder)).unwrap();
    let config = fs::read(draft.target.path("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let layers = config["num_hidden_layers"].as_i64().unwrap() as i32;
    let found = checkpoint.metadata().get("eagle3.target_layers").unwrap();
    let expected: Meta = granule_format::Array::I32([2, layers / 2, layers - 3].to_vec()).into();
    assert_eq!(*found, expected);
}
