//! Adapters (LoRA) of a base model, as PEFT saves them.

use std::fs;
use std::path::PathBuf;

use crate::common::folder::{Copy, SINGLE, Stored, Tensors, content, write};
use granule_checkpoint::{Adapter as MergedAdapter, Checkpoint, CheckpointOptions, Error, OutType};
use granule_format::{BlockType, Value as Meta};
use granule_reader::{Source, SourceTensor};
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

/// The tensors of the base model, as F32, with adapters merged into them.
fn merged(base: &Copy, adapters: &[(&PathBuf, f32)]) -> Result<(Vec<Merged>, Vec<String>), Error> {
    let adapter = |(folder, scale): &(&PathBuf, f32)| MergedAdapter {
        folder: (*folder).clone(),
        scale: *scale,
    };
    let options = CheckpointOptions {
        adapters: adapters.iter().map(adapter).collect(),
        out_type: OutType::from_name("f32").unwrap(),
        ..CheckpointOptions::default()
    };
    let ((_, tensors), warnings) = content(&Checkpoint::open(&base.folder, &options)?);
    let values = |bytes: Vec<u8>| Stored::new("F32", &[], bytes).values();
    Ok((
        tensors.into_iter().map(|(tensor, bytes)| (tensor.name, values(bytes))).collect(),
        warnings,
    ))
}

type Merged = (String, Vec<f32>);

fn find<'m>(tensors: &'m [Merged], name: &str) -> &'m [f32] {
    &tensors.iter().find(|(tensor, _)| tensor == name).unwrap().1
}

/// Numbers that look random, between -1 and 1.
fn noise(seed: u64, count: u64) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

/// An adapter of rank 5 for the queries and the down projection of the first layer.
fn noisy(adapter: &Adapter) -> Tensors {
    let (width, inner) = (adapter.number("hidden_size"), adapter.number("intermediate_size"));
    let mut tensors = Tensors::new();
    for (name, rows, columns) in
        [("mlp.down_proj", width, inner), ("self_attn.q_proj", width, width)]
    {
        let a = Stored::f32(&[5, columns], &noise(columns, 5 * columns));
        let b = Stored::f32(&[rows, 5], &noise(rows + 1, rows * 5));
        tensors.insert(format!("{LAYER}{name}.lora_A.weight"), a);
        tensors.insert(format!("{LAYER}{name}.lora_B.weight"), b);
    }
    tensors
}

/// `W + scale * B * A` in double precision.
fn sum(weights: &[f32], a: &[f32], b: &[f32], scale: f64) -> Vec<f64> {
    let rank = 5;
    let columns = a.len() / rank;
    let value = |(index, weight): (usize, &f32)| {
        let (row, column) = (index / columns, index % columns);
        let product = |k: usize| f64::from(b[row * rank + k]) * f64::from(a[k * columns + column]);
        f64::from(*weight) + scale * (0..rank).map(product).sum::<f64>()
    };
    weights.iter().enumerate().map(value).collect()
}

const DOWN: &str = "blk.0.ffn_down.weight";

#[test]
fn a_merge_is_the_sum_rounded_once() {
    let adapter = Adapter::new(noisy);
    adapter.about(json!({"lora_alpha": 10, "r": 5}));
    let (plain, _) = merged(&adapter.base, &[]).unwrap();
    let tensors = noisy(&adapter);
    let part = |end: &str| tensors[&format!("{LAYER}mlp.down_proj.lora_{end}.weight")].values();
    for (about, factor, scale) in [
        (json!({"lora_alpha": 10, "r": 5}), 1.0, 2.0),
        (json!({"lora_alpha": 10, "r": 5}), -0.25, -0.5),
        (json!({"lora_alpha": 10, "use_rslora": true}), 1.0, 10.0 / 5_f64.sqrt()),
        (json!({"lora_alpha": 10, "alpha_pattern": {"mlp.down_proj": 1}}), 1.0, 0.2),
    ] {
        adapter.about(about);
        let (found, warnings) = merged(&adapter.base, &[(&adapter.folder, factor)]).unwrap();
        assert_eq!(warnings, [""; 0]);
        let expected = sum(find(&plain, DOWN), &part("A"), &part("B"), scale);
        let expected: Vec<f32> = expected.iter().map(|value| *value as f32).collect();
        assert_eq!(find(&found, DOWN), expected);
        for ((name, before), (_, after)) in plain.iter().zip(&found) {
            let changed = [DOWN, "blk.0.attn_q.weight"].contains(&name.as_str());
            assert_eq!(before != after, changed, "{name}");
        }
    }
}

#[test]
fn rows_can_be_read_one_by_one_and_are_part_of_the_fingerprint() {
    let adapter = Adapter::new(noisy);
    let open = |scale: f32| {
        let merge = MergedAdapter { folder: adapter.folder.clone(), scale };
        let options = CheckpointOptions { adapters: vec![merge], ..CheckpointOptions::default() };
        Checkpoint::open(&adapter.base.folder, &options).unwrap()
    };
    let checkpoint = open(1.0);
    let place = |tensor: &SourceTensor| tensor.name == "blk.0.attn_q.weight";
    let index = checkpoint.tensors().iter().position(place).unwrap();
    let read = |rows: std::ops::Range<u64>| {
        let mut bytes = Vec::new();
        checkpoint.read_rows(index, rows, &mut bytes).unwrap();
        bytes
    };
    let rows = checkpoint.tensors()[index].shape.rows().unwrap();
    let each: Vec<u8> = (0..rows).flat_map(|row| read(row..row + 1)).collect();
    assert_eq!(each, read(0..rows));
    let fingerprint = |checkpoint: &Checkpoint| {
        let mut hasher = std::hash::DefaultHasher::new();
        checkpoint.fingerprint(index, &mut hasher);
        std::hash::Hasher::finish(&hasher)
    };
    assert_eq!(fingerprint(&checkpoint), fingerprint(&open(1.0)));
    assert_ne!(fingerprint(&checkpoint), fingerprint(&open(0.5)));
    assert!(checkpoint.inputs().contains(&adapter.folder.join("adapter_config.json")));
    assert!(checkpoint.files().contains(&&*adapter.folder.join("adapter_model.safetensors")));
}

#[test]
fn adapters_are_merged_in_their_order() {
    let first = Adapter::new(noisy);
    first.about(json!({"lora_alpha": 10, "r": 5}));
    let second = Adapter::new(|adapter| {
        let width = adapter.number("hidden_size");
        let full = noise(7, width * adapter.number("intermediate_size"));
        let shape = [width, adapter.number("intermediate_size")];
        let name = format!("{LAYER}mlp.down_proj.base_layer.weight");
        let mut tensors: Tensors = [(name, Stored::f32(&shape, &full))].into();
        tensors.insert("base_model.model.model.norm.weight".into(), {
            Stored::f32(&[width], &noise(9, width))
        });
        tensors
    });
    let base = &first.base;
    let both = |factor: f32| {
        let adapters = [(&first.folder, 1.0), (&second.folder, factor)];
        merged(base, &adapters).unwrap().0
    };
    let width = second.number("hidden_size");
    let full = noise(7, width * second.number("intermediate_size"));
    // what an adapter has in full replaces what came before; a scale goes a part of the way
    assert_eq!(find(&both(1.0), DOWN), full);
    assert_eq!(find(&both(1.0), "output_norm.weight"), noise(9, width));
    let (before, _) = merged(base, &[(&first.folder, 1.0)]).unwrap();
    let half = both(0.5);
    for ((before, full), half) in find(&before, DOWN).iter().zip(&full).zip(find(&half, DOWN)) {
        assert!(((before + full) / 2.0 - half).abs() <= before.abs().max(1.0) * f32::EPSILON);
    }
}

#[test]
fn lengths_of_outputs_are_those_of_the_magnitudes() {
    let adapter = Adapter::new(|adapter| {
        let mut tensors = noisy(adapter);
        let width = adapter.number("hidden_size");
        let lengths: Vec<f32> = (1..=width).map(|length| length as f32).collect();
        let name = format!("{LAYER}mlp.down_proj.lora_magnitude_vector");
        tensors.insert(name, Stored::f32(&[width], &lengths));
        tensors
    });
    let (found, _) = merged(&adapter.base, &[(&adapter.folder, 1.0)]).unwrap();
    let columns = adapter.number("intermediate_size") as usize;
    for (row, values) in find(&found, DOWN).chunks(columns).enumerate() {
        let length = values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        let expected = (row + 1) as f64;
        assert!((length / expected - 1.0).abs() < 1e-6, "row {row}: {length}");
    }
}

#[test]
fn embeddings_biases_and_transposed_matrices_are_merged() {
    let adapter = Adapter::new(|adapter| {
        let (width, tokens) = (adapter.number("hidden_size"), adapter.number("vocab_size"));
        let name = |end: &str| format!("base_model.model.model.embed_tokens.lora_embedding_{end}");
        [
            (name("A"), Stored::f32(&[5, tokens], &noise(1, 5 * tokens))),
            (name("B"), Stored::f32(&[width, 5], &noise(2, 5 * width))),
        ]
        .into()
    });
    adapter.about(json!({"lora_alpha": 5}));
    let (plain, _) = merged(&adapter.base, &[]).unwrap();
    let (found, _) = merged(&adapter.base, &[(&adapter.folder, 1.0)]).unwrap();
    let (width, tokens) = (adapter.number("hidden_size"), adapter.number("vocab_size"));
    let turned = |values: Vec<f32>, columns: u64| -> Vec<f32> {
        let column = |at: u64| values.iter().skip(at as usize).step_by(columns as usize).copied();
        (0..columns).flat_map(column).collect()
    };
    // rows are tokens: those of the second matrix, transposed, come first
    let (a, b) = (noise(1, 5 * tokens), noise(2, 5 * width));
    let name = "token_embd.weight";
    let expected = sum(find(&plain, name), &turned(b, 5), &turned(a, tokens), 1.0);
    let expected: Vec<f32> = expected.iter().map(|value| *value as f32).collect();
    assert_eq!(find(&found, name), expected);
}

#[test]
fn an_adapter_for_another_model_is_refused_before_any_work() {
    let refused = |adapter: &Adapter, texts: &[&str]| {
        let error = merged(&adapter.base, &[(&adapter.folder, 1.0)]).unwrap_err().to_string();
        for text in texts {
            assert!(error.contains(text), "{error:?} lacks {text:?}");
        }
    };
    let with = |name: &str, rows: u64, columns: u64| {
        Adapter::new(|_| Adapter::pair(name, rows, columns).into())
    };
    let file = "adapter_model.safetensors";
    refused(&with("self_attn.q_proj", 8, 8), &[file, "q_proj.lora_B", "8 rows of 8", "another"]);
    refused(&with("self_attn.z_proj", 8, 8), &[file, "z_proj.lora_B", "no tensor", "another"]);
    let one = |name: &'static str, stored: Stored| Adapter::new(|_| [(name.into(), stored)].into());
    let norm = "base_model.model.model.norm.weight";
    refused(&one(norm, Stored::f32(&[3], &[0.0; 3])), &[norm, "[3]", "another model"]);
    refused(&one("a.lora_E", Stored::f32(&[1], &[0.0])), &["a.lora_E", "no such tensor"]);
    refused(&one("a.lora_B.weight", Stored::f32(&[1, 1], &[0.0])), &["a.lora_B", "both"]);
    let width = with("self_attn.q_proj", 8, 8).number("hidden_size");
    let broken = Adapter::new(|_| {
        let mut tensors: Tensors = Adapter::pair("self_attn.q_proj", width, width).into();
        let mut values = vec![0.0; 2 * width as usize];
        values[3] = f32::NAN;
        let name = format!("{LAYER}self_attn.q_proj.lora_A.weight");
        tensors.insert(name, Stored::f32(&[2, width], &values));
        tensors
    });
    refused(&broken, &["q_proj.lora_A.weight", "value 3 is NaN"]);
    broken.about(json!({"lora_alpha": 1, "init_lora_weights": "pissa"}));
    refused(&broken, &["adapter_config.json", "pissa"]);
    fs::remove_file(broken.folder.join("adapter_config.json")).unwrap();
    refused(&broken, &["no adapter_config.json: --lora"]);
    fs::remove_dir_all(&broken.folder).unwrap();
    refused(&broken, &["cannot read", "adapter"]);
}
