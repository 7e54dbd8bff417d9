//! Tests names that lack their optional prefix.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use granule_format::BlockType;
use serde_json::{Map, Value, json};

use super::super::rows;
use super::*;
use crate::arch::{self, Config, Rope, Stored};
use crate::folder::Nowhere;
use crate::stored::Data;
use crate::{Directory, OutType};

/// Returns the config of a model small enough to write its tensors.
fn numbers() -> Map<String, Value> {
    let numbers: Value = serde_json::from_str(
        r#"{
        "vocab_size": 24, "hidden_size": 32, "d_model": 32, "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 64,
        "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "num_experts": 2,
        "num_local_experts": 2, "n_routed_experts": 2, "n_shared_experts": 1,
        "num_experts_per_tok": 1,
        "first_k_dense_replace": 1, "kv_lora_rank": 8, "q_lora_rank": 8, "qk_nope_head_dim": 4,
        "qk_rope_head_dim": 4, "v_head_dim": 4, "ffn_hidden_size": 48, "num_kv_heads": 1,
        "conv_L_cache": 3, "moe_ffn_hidden_size": 16,
        "block_auto_adjust_ff_dim": false, "layer_types": ["conv", "full_attention"],
        "state_size": 4,
        "conv_kernel": 3, "time_step_rank": 2, "num_heads": 4, "n_groups": 1, "expand": 2,
        "rope_theta": 10000.0, "tie_word_embeddings": false, "attention_bias": false,
        "use_bias": true,
        "target_layer_ids": [0, 1], "target_hidden_size": 8,
        "mamba_d_ssm": 64, "attention_in_multiplier": 2, "attention_out_multiplier": 2,
        "key_multiplier": 2, "ssm_in_multiplier": 2, "ssm_out_multiplier": 2,
        "mlp_multipliers": [2, 2], "ssm_multipliers": [2, 2, 2, 2, 2], "embedding_multiplier": 2,
        "lm_head_multiplier": 2, "hybrid_override_pattern": "M*",
        "block_configs": [{"block_type": "mamba"}, {"block_type": "attention"}],
        "linear_attn_config": {
            "full_attn_layers": [2], "head_dim": 8, "num_heads": 4, "short_conv_kernel_size": 3
        },
        "num_shared_experts": 1, "layer_group_size": 2, "short_conv_kernel_size": 3,
        "moe_shared_expert_intermediate_size": 16, "hc_mult": 2, "attn_type_list": [0, 1],
        "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 4,
        "linear_value_head_dim": 4, "linear_conv_kernel_dim": 3,
        "index_head_dim": 4, "index_n_heads": 2, "index_kpool": 2,
        "interleave_moe_layer_step": 2, "intermediate_size_mlp": 64, "num_dense_layers": 1,
        "moe_layer_freq": [0, 1], "dense_intermediate_size": 64,
        "sparse_attention_config": {"sparse_num_index_heads": 2, "sparse_index_dim": 8},
        "moe_num_experts": 2, "moe_num_shared_experts": 1, "sliding_window": 8,
        "moe_layer_start_index": 1, "moe_layer_interval": 1, "output_size": 8,
        "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 20, "laurel_rank": 4,
        "num_kv_shared_layers": 0, "altup_num_inputs": 4, "global_head_dim": 16,
        "backbone_hidden_size": 16, "projection_head_dim": null, "num_adapters": 1,
        "max_lora_rank": 4, "num_global_key_value_heads": 1, "num_attention_groups": 2,
        "share_expert_dim": 16,
        "shared_intermediate_size": 16, "qk_scale_factor": 2.0, "num_shared_expert": 1,
        "swa_kv_lora_rank": 8, "swa_num_attention_heads": 4, "swa_qk_nope_head_dim": 4,
        "swa_v_head_dim": 4, "expert_intermediate_size": 16,
        "rope_parameters": {"full_attention": {"partial_rotary_factor": 0.5}}
    }"#,
    )
    .unwrap();
    numbers.as_object().cloned().unwrap_or_default()
}

/// Writes F32 tensors of these shapes. Their values follow from their names without the prefix.
fn write(folder: &Path, prefix: &str, tensors: &BTreeMap<String, Vec<u64>>) {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in tensors {
        let start = data.len();
        let seed: u64 = name.strip_prefix(prefix).unwrap_or(name).bytes().map(u64::from).sum();
        let values = (0..shape.iter().product::<u64>()).map(|i| (i + 1000 * seed) as f32);
        data.extend(values.flat_map(f32::to_le_bytes));
        header.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}),
        );
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    file.extend(data);
    fs::write(folder.join("model.safetensors"), file).unwrap();
}

/// Returns the names and shapes that the rules of an architecture need.
fn needed(arch: &Arch, scope: Scope<'_>) -> BTreeMap<String, Vec<u64>> {
    let mut tensors = BTreeMap::new();
    for active in arch.active(&scope).unwrap() {
        let rule = active.rule;
        for (source, layer) in
            rule.sources.iter().flat_map(|it| active.layers().map(move |n| (it, n)))
        {
            let scope = scope.at(layer);
            if !scope.holds(&rule.needed).unwrap() {
                continue;
            }
            // Where any length will do, it is 64.
            let size = |size| match scope.value(size) {
                Ok(None | Some(Value::Null)) => 64,
                _ => scope.unsigned(size).unwrap(),
            };
            let shape: Vec<u64> = rule.shape.iter().map(size).collect();
            let experts = match active.experts(layer) {
                Some(count) => (0..count).map(Some).collect(),
                None => vec![None],
            };
            for expert in experts {
                tensors.insert(
                    active.fill(source, Place { layer, expert, number: None }),
                    shape.clone(),
                );
            }
        }
    }
    tensors
}

/// Maps the tensors: returns name, shape, type and values.
fn mapped(arch: &Arch, scope: Scope<'_>, folder: &Path) -> Vec<(SourceTensor, Vec<u8>)> {
    let mut warnings = Vec::new();
    let weights = Weights::open(&Directory::new(folder), &mut warnings).unwrap();
    let out_type = OutType::Auto.resolve(&weights);
    let mapped = map(arch, scope, &weights, (out_type, FurtherTokens::Keep), &mut warnings);
    let mapped = mapped.unwrap_or_else(|why| panic!("{}: {why}", arch.name));
    let mut all = Vec::new();
    for (tensor, from) in mapped.tensors {
        let mut values = Vec::new();
        let rows = 0..tensor.shape.rows().unwrap();
        let to = rows::To { ty: BlockType::F32, encoder: None, exact: false };
        rows::read(&weights, &from, tensor.shape, to, rows, &mut values).unwrap();
        all.push((tensor, values));
    }
    all.sort_unstable_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    all
}

#[test]
fn every_architecture_knows_tensors_without_their_prefix() {
    let mut seen = 0;
    // A size that only a tensor states.
    let stored = [StoredTensor {
        name: "markov_head.markov_w1.weight".to_owned(),
        ty: DataType::F32,
        shape: vec![1, 4],
        file: 0,
        data: Data::Range(0),
    }];
    // Of one, names without the prefix are another part's.
    let other = |arch: &Arch| arch.left_out.iter().any(|it| it.fits("norm.weight", Some(2)));
    let all = arch::all().iter().filter(|arch| arch.optional_prefix.is_some() && !other(arch));
    for arch in all {
        let prefix = arch.optional_prefix.as_deref().unwrap();
        let mut config = numbers();
        config.insert("architectures".to_owned(), json!([arch.classes[0]]));
        if let Some(ty) = arch.defaults.first() {
            config.insert("model_type".to_owned(), ty.name.as_str().into());
        }
        let config = Config::of(config.into());
        let rope = Rope::new(&config);
        let scope = config
            .scope(&Nowhere, arch, Some(&rope))
            .with_stored(Stored { tensors: &stored, ..Stored::default() });
        let tensors = needed(arch, scope);
        let bare: BTreeMap<_, _> = tensors
            .iter()
            .map(|(name, shape)| {
                (name.strip_prefix(prefix).unwrap_or(name).to_owned(), shape.clone())
            })
            .collect();
        assert_ne!(tensors, bare, "{}", arch.name);

        let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(with.path(), prefix, &tensors);
        write(without.path(), prefix, &bare);
        let found = mapped(arch, scope, without.path());
        assert!(!found.is_empty() && found == mapped(arch, scope, with.path()), "{}", arch.name);
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}

/// Zeros around a tensor's rows, whatever the range that is read, and computed tensors in layers.
#[test]
fn rows_of_zeros_and_computed_tensors() {
    let arch = arch::Arch::of_text(
        r#"
        name = "x"
        classes = ["X"]
        tokenizers = ["unigram"]
        keys = ["scale"]
        [tensors.""]
        "a -> a.weight" = { shape = "2, 3", rows = "4" }
        "b -> b.weight" = { shape = "2, 1, 3", zeros-before = 1, rearrange = "a 1 c -> a c" }
        "{layer}.c -> blk.{layer}.c.weight" = "1"
        [computed."blk.{layer}.d.weight"]
        values = "join(repeat(scale, 2), [layer])"
        before = "blk.{layer}.c.weight"
        [computed."first.weight"]
        values = "[1]"
        "#,
    );
    let config = Config::of(json!({"num_hidden_layers": 2, "scale": 0.5}));
    let scope = config.scope(&Nowhere, &arch, None);
    let shapes = [("0.c", vec![1]), ("1.c", vec![1]), ("a", vec![2, 3]), ("b", vec![2, 1, 3])];
    let shapes = shapes.map(|(name, shape)| (name.to_owned(), shape));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "", &BTreeMap::from(shapes));
    let weights = Weights::open(&Directory::new(folder.path()), &mut Vec::new()).unwrap();
    let out_type = OutType::Auto.resolve(&weights);
    let further = FurtherTokens::Keep;
    let found = map(&arch, scope, &weights, (out_type, further), &mut Vec::new());
    let found = found.unwrap().tensors;
    let names: Vec<_> = found.iter().map(|(tensor, _)| tensor.name.as_str()).collect();
    let layers = ["blk.0.d", "blk.0.c", "blk.1.d", "blk.1.c"];
    let expected = ["first"].into_iter().chain(layers).chain(["a", "b"]);
    assert_eq!(names, expected.map(|name| format!("{name}.weight")).collect::<Vec<_>>());
    let read = |index: usize, rows| {
        let (tensor, from): &Mapped = &found[index];
        let mut out = Vec::new();
        let to = rows::To { ty: BlockType::F32, encoder: None, exact: false };
        rows::read(&weights, from, tensor.shape, to, rows, &mut out).unwrap();
        let values = out.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        values.collect::<Vec<_>>()
    };
    assert_eq!(read(3, 0..1), [0.5, 0.5, 1.0]);
    for (index, lead) in [(5, 0), (6, 1)] {
        let all = read(index, 0..found[index].0.shape.rows().unwrap());
        assert_eq!(all.len(), if index == 5 { 12 } else { 9 });
        let is_zero = |row: usize| all[3 * row..][..3].iter().all(|value| *value == 0.0);
        let rows = (all.len() / 3) as u64;
        for start in 0..rows {
            let inside = (lead..lead + 2).contains(&(start as usize));
            assert_eq!(is_zero(start as usize), !inside, "{index} {start}");
            for end in start..=rows {
                let part = &all[3 * start as usize..3 * end as usize];
                assert_eq!(read(index, start..end), part);
            }
        }
    }
}

/// Parts of different lengths, rows of zeros as numbers, and vectors calculated from others.
#[test]
fn parts_are_joined_and_vectors_calculated() {
    let arch = arch::Arch::of_text(
        r#"
        name = "x"
        classes = ["X"]
        tokenizers = ["unigram"]
        keys = ["untrained"]
        metadata = [{ key = "a", u32 = "zeros" }]
        [tensors.""]
        "part.{expert:3} -> joined.weight" = { shape = "null, 2", joined = true }
        "left + right" = { shape = "2", any-shape = true, into = [
            { to = "product.weight", calculation = "product" },
        ] }
        [tensors."".'embedding -> token_embd.weight']
        shape = "3, 1"
        zero-rows = { number = "zeros", from = "0" }
        "#,
    );
    let config = Config::of(json!({}));
    let scope = config.scope(&Nowhere, &arch, None);
    let mapped = |right: Vec<u64>| {
        let shapes = [
            ("part.0", vec![1, 2]),
            ("part.1", vec![3, 2]),
            ("part.2", vec![2, 2]),
            ("embedding", vec![3, 1]),
            ("left", vec![2]),
            ("right", right),
        ];
        let shapes = shapes.map(|(name, shape)| (name.to_owned(), shape));
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "", &BTreeMap::from(shapes));
        let weights = Weights::open(&Directory::new(folder.path()), &mut Vec::new()).unwrap();
        let out_type = OutType::Auto.resolve(&weights);
        map(&arch, scope, &weights, (out_type, FurtherTokens::Keep), &mut Vec::new())
    };
    let found = mapped(vec![1, 2]).unwrap();
    let shape = |name: &str| {
        let found = found.tensors.iter().find(|(tensor, _)| tensor.name == name).unwrap();
        (found.0.shape.dimensions().to_vec(), &found.1)
    };
    assert_eq!(shape("joined.weight").0, [2, 6]);
    let (dimensions, Assembled::Computed(values)) = shape("product.weight") else { panic!() };
    assert_eq!((dimensions, values.len()), (vec![2], 2));
    assert_eq!(found.numbers["zeros"], json!([]));
    let error = mapped(vec![3]).unwrap_err().to_string();
    assert!(error.contains("\"right\""), "{error}");
}

/// A tensor under both names is a duplicate; a missing one is reported in the form of the others.
#[test]
fn mixed_names_and_missing_tensors_are_named() {
    let arch = arch::all().iter().find(|arch| arch.name == "qwen3").unwrap();
    let mut config = numbers();
    config.insert("architectures".to_owned(), json!(["Qwen3ForCausalLM"]));
    config.insert("model_type".to_owned(), "qwen3".into());
    let config = Config::of(config.into());
    let scope = config.scope(&Nowhere, arch, None);
    let mut tensors: BTreeMap<_, _> = needed(arch, scope)
        .into_iter()
        .map(|(name, shape)| (name.replace("model.", ""), shape))
        .collect();
    let fail = |tensors: &BTreeMap<String, Vec<u64>>| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "", tensors);
        let weights = Weights::open(&Directory::new(folder.path()), &mut Vec::new()).unwrap();
        let out_type = OutType::Auto.resolve(&weights);
        map(arch, scope, &weights, (out_type, FurtherTokens::Keep), &mut Vec::new())
            .unwrap_err()
            .to_string()
    };
    tensors.insert("model.norm.weight".to_owned(), vec![32]);
    let error = fail(&tensors);
    assert!(error.contains("\"norm.weight\"") && error.contains("same tensor"), "{error}");
    tensors.remove("model.norm.weight");
    tensors.remove("layers.1.mlp.up_proj.weight");
    let error = fail(&tensors);
    assert!(error.contains("\"layers.1.mlp.up_proj.weight\""), "{error}");
}
