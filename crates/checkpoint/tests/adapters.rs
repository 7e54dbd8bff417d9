//! Adapters (LoRA) of a base model, as PEFT saves them.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its fixture has failed")]

#[path = "common/folder.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod folder;

use std::fs;
use std::path::PathBuf;

use folder::{Copy, SINGLE, Stored, Tensors, content, write};
use granule_checkpoint::{Checkpoint, CheckpointOptions, Error, OutType};
use granule_format::{BlockType, Value as Meta};
use serde_json::{Map, Value, json};

const LAYER: &str = "base_model.model.model.layers.0.";

/// An adapter for a copy of a checkpoint.
struct Adapter {
    base: Copy,
    folder: PathBuf,
    /// The base model's config.
    config: Map<String, Value>,
}

impl Adapter {
    /// An adapter with these tensors and the usual description of itself.
    fn new(tensors: impl FnOnce(&Self) -> Tensors) -> Self {
        let base = Copy::of(SINGLE);
        let config = serde_json::from_slice(&fs::read(base.path("config.json")).unwrap()).unwrap();
        let folder = base.root().join("adapter");
        fs::create_dir(&folder).unwrap();
        let adapter = Self { base, folder, config };
        adapter.about(json!({"peft_type": "LORA", "lora_alpha": 16, "r": 2}));
        write(&adapter.folder.join("adapter_model.safetensors"), &tensors(&adapter));
        adapter
    }

    fn about(&self, about: Value) {
        fs::write(self.folder.join("adapter_config.json"), about.to_string()).unwrap();
    }

    fn number(&self, key: &str) -> u64 {
        self.config[key].as_u64().unwrap()
    }

    /// The two matrices for a matrix of this size, with values that rise.
    fn pair(name: &str, rows: u64, columns: u64) -> [(String, Stored); 2] {
        let rising = |rows: u64, columns: u64| {
            let values: Vec<f32> = (0..rows * columns).map(|value| value as f32).collect();
            Stored::f32(&[rows, columns], &values)
        };
        [
            (format!("{LAYER}{name}.lora_A.weight"), rising(2, columns)),
            (format!("{LAYER}{name}.lora_B.weight"), rising(rows, 2)),
        ]
    }

    fn open(&self) -> Result<Checkpoint, Error> {
        let options = CheckpointOptions {
            base: Some(self.base.folder.clone()),
            out_type: OutType::from_name("f32").unwrap(),
            ..CheckpointOptions::default()
        };
        Checkpoint::open(&self.folder, &options)
    }

    #[track_caller]
    fn refused(&self, texts: &[&str]) {
        let error = self.open().map(|_| ()).unwrap_err().to_string();
        for text in texts {
            assert!(error.contains(text), "{error:?} lacks {text:?}");
        }
    }
}

#[test]
fn matrices_follow_those_of_the_base_model() {
    let adapter = Adapter::new(|adapter| {
        let width = adapter.number("hidden_size");
        Adapter::pair("self_attn.q_proj", width, width).into()
    });
    let checkpoint = adapter.open().unwrap();
    let ((metadata, tensors), warnings) = content(&checkpoint);
    assert_eq!(warnings, [""; 0]);
    for (key, value) in [
        ("general.type", Meta::from("adapter")),
        ("adapter.type", Meta::from("lora")),
        ("adapter.lora.alpha", Meta::from(16.0_f32)),
    ] {
        assert_eq!(metadata.get(key), Some(&value), "{key}");
    }
    assert!(checkpoint.file_stem().ends_with("-F32-LoRA"), "{}", checkpoint.file_stem());
    let names: Vec<&str> = tensors.iter().map(|(tensor, _)| tensor.name.as_str()).collect();
    assert_eq!(names, ["blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"]);
    let values = |index: usize| Stored::new("F32", &[], tensors[index].1.clone()).values();
    let width = adapter.number("hidden_size") as usize;
    // A stays; the rows of B are interleaved like those of the queries
    assert_eq!(values(0), (0..2 * width).map(|value| value as f32).collect::<Vec<_>>());
    let head = width / adapter.number("num_attention_heads") as usize;
    let rows: Vec<f32> = values(1).chunks(2).map(|row| row[0] / 2.0).collect();
    let expected: Vec<f32> = (0..width)
        .map(|row| (row / head * head + row % 2 * (head / 2) + row % head / 2) as f32)
        .collect();
    assert_eq!(rows, expected);
    assert!(tensors.iter().all(|(tensor, _)| tensor.ty == BlockType::F32.into()));
}

#[test]
fn an_embedding_has_a_row_for_each_token() {
    let adapter = Adapter::new(|adapter| {
        let (width, tokens) = (adapter.number("hidden_size"), adapter.number("vocab_size"));
        let name = |end: &str| format!("base_model.model.model.embed_tokens.lora_embedding_{end}");
        let values: Vec<f32> = (0..2 * tokens).map(|value| value as f32).collect();
        let zeros = vec![0.0; 2 * width as usize];
        [
            (name("A"), Stored::f32(&[2, tokens], &values)),
            (name("B"), Stored::f32(&[width, 2], &zeros)),
        ]
        .into()
    });
    let ((_, tensors), _) = content(&adapter.open().unwrap());
    let tokens = adapter.number("vocab_size");
    assert_eq!(tensors[0].0.shape.dimensions(), [2, tokens]);
    let first = Stored::new("F32", &[], tensors[0].1.clone()).values();
    assert_eq!(first[..4], [0.0, tokens as f32, 1.0, tokens as f32 + 1.0]);
}

#[test]
fn what_fits_no_base_model_is_refused_by_name() {
    let with = |name: &str, rows: u64, columns: u64| {
        Adapter::new(|_| Adapter::pair(name, rows, columns).into())
    };
    with("self_attn.q_proj", 8, 8).refused(&["q_proj.lora_B.weight", "[8, 8]"]);
    with("self_attn.z_proj", 8, 8).refused(&["z_proj.lora_B.weight"]);
    let half = Adapter::new(|adapter| {
        let width = adapter.number("hidden_size");
        Adapter::pair("self_attn.q_proj", width, width).into_iter().take(1).collect()
    });
    half.refused(&["q_proj.lora_A.weight", "lora_A and lora_B"]);
    let full = Adapter::new(|_| {
        let name = "base_model.model.lm_head.modules_to_save.weight".to_owned();
        [(name, Stored::f32(&[1], &[0.0]))].into()
    });
    full.refused(&["lm_head.modules_to_save.weight", "merge"]);
    let empty = Adapter::new(|_| Tensors::new());
    empty.refused(&["no matrices"]);
    empty.about(json!({"peft_type": "IA3", "lora_alpha": 16}));
    empty.refused(&["adapter_config.json", "IA3"]);
    empty.about(json!({"peft_type": "LORA"}));
    empty.refused(&["lora_alpha"]);
    fs::remove_file(empty.folder.join("adapter_model.safetensors")).unwrap();
    empty.about(json!({"peft_type": "LORA", "lora_alpha": 16}));
    empty.refused(&["adapter_model.safetensors"]);
}

#[test]
fn a_scale_that_the_file_cannot_say_is_told() {
    let adapter = Adapter::new(|adapter| {
        let width = adapter.number("hidden_size");
        Adapter::pair("self_attn.q_proj", width, width).into()
    });
    adapter.about(json!({"lora_alpha": 8, "use_rslora": true, "alpha_pattern": {"q_proj": 4}}));
    let checkpoint = adapter.open().unwrap();
    let warnings = checkpoint.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("alpha_pattern") && warnings[1].contains("use_rslora"));
}

#[test]
fn a_folder_without_an_adapter_is_said() {
    let base = Copy::of(SINGLE);
    let options = CheckpointOptions { base: Some(base.root().into()), ..Default::default() };
    let error = Checkpoint::open(base.root(), &options).unwrap_err().to_string();
    assert!(error.contains("there is no adapter_config.json: --base is for"), "{error}");
}
