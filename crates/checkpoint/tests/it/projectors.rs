//! Projectors: which tensors and keys make one, and what is said if they do not match.

use std::fs;
use std::path::Path;

use granule_checkpoint::{Checkpoint, CheckpointOptions};
use granule_format::Value as Meta;
use granule_reader::Source;
use serde_json::{Map, Value, json};

/// A model that hears, with one layer.
fn config() -> Value {
    json!({
        "architectures": ["VoxtralForConditionalGeneration"], "model_type": "voxtral",
        "text_config": {"model_type": "llama", "hidden_size": 8},
        "audio_config": {
            "model_type": "voxtral_encoder", "hidden_size": 4, "intermediate_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_mel_bins": 3,
        },
    })
}

fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![
        ("audio_tower.conv1.weight".to_owned(), vec![4, 3, 3]),
        ("audio_tower.conv1.bias".to_owned(), vec![4]),
        ("audio_tower.conv2.weight".to_owned(), vec![4, 4, 3]),
        ("audio_tower.conv2.bias".to_owned(), vec![4]),
        ("audio_tower.layer_norm.weight".to_owned(), vec![4]),
        ("audio_tower.layer_norm.bias".to_owned(), vec![4]),
        ("multi_modal_projector.linear_1.weight".to_owned(), vec![8, 16]),
        ("multi_modal_projector.linear_2.weight".to_owned(), vec![8, 8]),
        ("language_model.model.norm.weight".to_owned(), vec![8]),
    ];
    for (part, shape, bias) in [
        ("self_attn_layer_norm", vec![4], Some(4)),
        ("final_layer_norm", vec![4], Some(4)),
        ("self_attn.q_proj", vec![4, 4], Some(4)),
        ("self_attn.k_proj", vec![4, 4], None),
        ("self_attn.v_proj", vec![4, 4], Some(4)),
        ("self_attn.out_proj", vec![4, 4], Some(4)),
        ("fc1", vec![16, 4], Some(16)),
        ("fc2", vec![4, 16], Some(4)),
    ] {
        tensors.push((format!("audio_tower.layers.0.{part}.weight"), shape));
        if let Some(rows) = bias {
            tensors.push((format!("audio_tower.layers.0.{part}.bias"), vec![rows]));
        }
    }
    tensors
}

fn write(folder: &Path, config: &Value, tensors: &[(String, Vec<usize>)]) {
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in tensors {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    file.resize(file.len() + end, 0);
    fs::write(folder.join("model.safetensors"), file).unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

fn open(config: &Value, tensors: &[(String, Vec<usize>)]) -> Result<Checkpoint, String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), config, tensors);
    let options = CheckpointOptions { projector: true, ..CheckpointOptions::default() };
    Checkpoint::open(folder.path(), &options).map_err(|error| error.to_string())
}

#[test]
fn only_tensors_of_the_projector_are_written() {
    let projector = open(&config(), &tensors()).unwrap();
    let metadata = projector.metadata();
    let text = |key| match metadata.get(key) {
        Some(Meta::String(text)) => text.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(text("general.architecture"), "clip");
    assert_eq!(text("general.type"), "mmproj");
    assert_eq!(text("clip.projector_type"), "voxtral");
    assert_eq!(metadata.get("clip.audio.projection_dim"), Some(&Meta::U32(8)));
    assert!(projector.tensors().iter().all(|tensor| tensor.name != "output_norm.weight"));
    assert_eq!(projector.tensors().len(), tensors().len() - 1);
    assert!(projector.file_stem().starts_with("mmproj-"), "{}", projector.file_stem());
    assert_eq!(projector.warnings(), [""; 0]);
}

#[test]
fn what_does_not_match_is_named() {
    let without = |name: &str| {
        let mut rest = tensors();
        rest.retain(|(other, _)| other != name);
        rest
    };
    let name = "audio_tower.layers.0.fc1.weight";
    let error = open(&config(), &without(name)).unwrap_err();
    assert!(error.contains(name), "{error}");

    let mut wrong = without(name);
    wrong.push((name.to_owned(), vec![15, 4]));
    let error = open(&config(), &wrong).unwrap_err();
    assert!(error.contains(name) && error.contains("[15, 4]"), "{error}");

    let mut more = tensors();
    more.push(("audio_tower.layers.1.fc1.weight".to_owned(), vec![16, 4]));
    let error = open(&config(), &more).unwrap_err();
    assert!(error.contains("audio_tower.layers.1.fc1.weight"), "{error}");

    let mut other = config();
    other["architectures"] = json!(["LlamaForCausalLM"]);
    let error = open(&other, &tensors()).unwrap_err();
    assert!(error.contains("no projector") && error.contains("LlamaForCausalLM"), "{error}");

    for (part, value) in [("audio_config", json!(7)), ("text_config", json!({"hidden_size": "8"}))]
    {
        let mut odd = config();
        odd[part] = value;
        assert!(open(&odd, &tensors()).is_err(), "{part}");
    }
}

#[test]
fn a_missing_file_about_images_is_named() {
    let config = json!({
        "architectures": ["Qwen3_5ForConditionalGeneration"],
        "model_type": "qwen3_5",
        "text_config": {"hidden_size": 8},
        "vision_config": {
            "hidden_size": 4, "intermediate_size": 8, "depth": 0, "num_heads": 1, "patch_size": 2,
            "num_position_embeddings": 4,
        },
    });
    let mut tensors = vec![
        ("model.visual.patch_embed.proj.weight".to_owned(), vec![4, 3, 2, 2, 2]),
        ("model.visual.patch_embed.proj.bias".to_owned(), vec![4]),
        ("model.visual.pos_embed.weight".to_owned(), vec![4, 4]),
    ];
    for (part, rows, columns) in
        [("norm", 4, None), ("linear_fc1", 16, Some(16)), ("linear_fc2", 8, Some(16))]
    {
        let shape = std::iter::once(rows).chain(columns).collect();
        tensors.push((format!("model.visual.merger.{part}.weight"), shape));
        tensors.push((format!("model.visual.merger.{part}.bias"), vec![rows]));
    }
    let error = open(&config, &tensors).unwrap_err();
    for text in ["preprocessor_config.json", "no such file", "image_mean", "download"] {
        assert!(error.contains(text), "{error:?} lacks {text:?}");
    }
}
