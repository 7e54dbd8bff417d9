//! Tests weights of every kind: compares them with the reference's values, and damages them in
//! every way.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::data_type::to_bf16;
use super::weights::Weights;
use crate::Error;
use crate::folder::{Directory, Nowhere, at};
use crate::json::read_json;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sources").join(name)
}

/// Returns the fixture folders that have a file of this name.
fn cases(with: &str) -> Vec<PathBuf> {
    let folders = fs::read_dir(fixture("")).unwrap().map(|entry| entry.unwrap().path());
    folders.filter(|folder| folder.join(with).is_file()).collect()
}

fn open(folder: &Path) -> Result<Weights, Error> {
    let mut weights = Weights::open(&Directory::new(folder), &mut Vec::new())?;
    let path = folder.join("config.json");
    let config = if path.is_file() { read_json(&at(&path))? } else { Value::Null };
    weights.join_quantized(
        (config.as_object().unwrap_or(&Map::new()), &path),
        &Directory::new(folder),
        (false, &|_| false),
        &mut Vec::new(),
    )?;
    Ok(weights)
}

/// Reads the data of a tensor in pieces of `piece` numbers or blocks.
fn data(weights: &Weights, index: usize, piece: u64) -> Result<Vec<u8>, Error> {
    let tensor = &weights.tensors()[index];
    let all = tensor.values() / tensor.ty.values();
    let size = tensor.ty.bytes();
    let mut bytes = Vec::new();
    for start in (0..all).step_by(piece as usize) {
        let count = piece.min(all - start);
        weights.read(tensor, start * size, (count * size) as usize, &mut bytes)?;
    }
    Ok(bytes)
}

/// Returns values, rounded to a type if there is one, as bytes of `f32`.
fn bytes_of(values: &[f32], rounded: &Value) -> Vec<u8> {
    let round = |value: &f32| match rounded.as_str() {
        Some("BF16") => f32::from_bits(u32::from(to_bf16(*value)) << 16),
        Some("F16") => half::f16::from_f32(*value).to_f32(),
        _ => *value,
    };
    values.iter().map(round).flat_map(f32::to_le_bytes).collect()
}

#[test]
fn tensors_are_those_of_the_reference() {
    let cases = cases("expected.json");
    assert!(cases.len() >= 30);
    for folder in cases {
        let expected = read_json(&at(&folder.join("expected.json"))).unwrap();
        let expected = expected.as_array().unwrap();
        let weights = open(&folder).unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<&str> = weights.tensors().iter().map(|tensor| &*tensor.name).collect();
        let expected_names: Vec<&str> =
            expected.iter().map(|tensor| tensor["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected_names, "{}", folder.display());
        for (index, (tensor, expected)) in weights.tensors().iter().zip(expected).enumerate() {
            let place = format!("{} of {}", tensor.name, folder.display());
            assert_eq!(tensor.ty.name(), expected["type"], "{place}");
            assert_eq!(Value::from(tensor.shape.clone()), expected["shape"], "{place}");
            for piece in [1, 7, 1 << 20] {
                let data = data(&weights, index, piece).unwrap();
                let (bytes, key) = match tensor.ty {
                    ty if ty.copied().is_some() => (data, "bytes"),
                    ty => (bytes_of(&ty.widen(&data), &expected["rounded"]), "f32"),
                };
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let expected = expected[key].as_str().unwrap();
                let same = hex.bytes().zip(expected.bytes()).position(|(a, b)| a != b);
                assert_eq!((hex.len(), same), (expected.len(), None), "{place} by {piece}");
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let cases = cases("refused.json");
    assert!(cases.len() >= 6);
    for folder in cases {
        let error = open(&folder).map(drop).expect_err(&folder.display().to_string()).to_string();
        for text in read_json(&at(&folder.join("refused.json"))).unwrap().as_array().unwrap() {
            let text = text.as_str().unwrap();
            assert!(error.contains(text), "{error:?} lacks {text:?}");
        }
    }
}

/// Makes a folder with copies of fixture files.
fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (from, to) in files {
        fs::copy(fixture(from), folder.path().join(to)).unwrap();
    }
    folder
}

const SAFETENSORS: &str = "types/model.safetensors";
const OTHER_SAFETENSORS: &str = "fp8-channels/model.safetensors";
const TORCH: &str = "torch/pytorch_model.bin";

#[test]
fn two_checkpoints_in_a_folder_are_refused() {
    let refused = |files: &[(&str, &str)], texts: &[&str]| {
        let folder = folder_of(files);
        let error = Weights::open(&Directory::new(folder.path()), &mut Vec::new())
            .map(drop)
            .unwrap_err()
            .to_string();
        for text in texts {
            assert!(error.contains(text), "{error:?} lacks {text:?}");
        }
    };
    let two = (SAFETENSORS, "model-00001-of-00002.safetensors");
    refused(
        &[(OTHER_SAFETENSORS, "model.safetensors"), two],
        &["two checkpoints", "\"model.safetensors\"", two.1],
    );
    let three = (OTHER_SAFETENSORS, "model-00002-of-00003.safetensors");
    refused(&[three, two], &["two checkpoints", two.1, three.1]);
    refused(&[two], &[two.1, "model-00002-of-00002.safetensors", "missing"]);
    refused(
        &[(TORCH, "pytorch_model-00002-of-00002.bin")],
        &["pytorch_model-00001-of-00002.bin", "missing"],
    );
    refused(
        &[(TORCH, "pytorch_model-00001-of-00002.bin"), (TORCH, "pytorch_model-00002-of-00002.bin")],
        &["pytorch_model-00002-of-00002.bin", "weight", "pytorch_model-00001-of-00002.bin"],
    );
    refused(&[(SAFETENSORS, "consolidated.safetensors")], &["consolidated.safetensors", "layout"]);
    refused(&[(SAFETENSORS, "pytorch_model.bin")], &["pytorch_model.bin", "not a zip archive"]);

    // With an index.
    let folder = folder_of(&[(SAFETENSORS, "a.safetensors"), (SAFETENSORS, "model.safetensors")]);
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(index, r#"{"weight_map": {"u8": "a.safetensors"}}"#).unwrap();
    let error = Weights::open(&Directory::new(folder.path()), &mut Vec::new())
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(error.contains("two checkpoints") && error.contains("index.json"), "{error}");

    let two = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let folder = folder_of(&two.map(|name| (SAFETENSORS, name)));
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(index, format!(r#"{{"weight_map": {{"u8": "{}"}}}}"#, two[0])).unwrap();
    let error = Weights::open(&Directory::new(folder.path()), &mut Vec::new())
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(error.contains(two[1]) && error.contains("index.json"), "{error}");
}

#[test]
fn files_that_are_not_read_are_named() {
    let folder = folder_of(&[
        (SAFETENSORS, "model.safetensors"),
        (OTHER_SAFETENSORS, "consolidated.safetensors"),
        (TORCH, "pytorch_model.bin"),
    ]);
    let mut warnings = Vec::new();
    Weights::open(&Directory::new(folder.path()), &mut warnings).unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("pytorch_model.bin"), "{warnings:?}");
}

#[test]
fn scales_and_numbers_that_do_not_fit_are_named() {
    let refused = |from: &str, config: Value, texts: &[&str]| {
        let folder = folder_of(&[(from, "model.safetensors")]);
        let mut weights = Weights::open(&Directory::new(folder.path()), &mut Vec::new()).unwrap();
        let config = serde_json::json!({ "quantization_config": config });
        let config = config.as_object().unwrap();
        let error = weights
            .join_quantized(
                (config, Path::new("config.json")),
                &Nowhere,
                (false, &|_| false),
                &mut Vec::new(),
            )
            .unwrap_err();
        for text in texts {
            assert!(error.to_string().contains(text), "{error} lacks {text:?}");
        }
    };
    let blocks =
        |block: Value| serde_json::json!({"quant_method": "fp8", "weight_block_size": block});
    let file = "fp8-blocks/model.safetensors";
    refused(
        file,
        blocks([8, 8].into()),
        &["model.safetensors", "model.a.weight_scale_inv", "[20, 40]"],
    );
    refused(file, blocks(Value::Null), &["model.a.weight_scale_inv", "[3, 3]"]);
    refused(file, blocks("8x8".into()), &["config.json", "weight_block_size"]);
    let file = "gptq-4/model.safetensors";
    refused(
        file,
        serde_json::json!({"quant_method": "awq"}),
        &["model.safetensors", "gptq", "\"awq\"", "layers.0.a.qweight"],
    );
    let gptq = |bits: u32| serde_json::json!({"quant_method": "gptq", "bits": bits});
    refused(file, gptq(5), &["config.json", "gptq, 5 bits"]);
    refused(
        file,
        gptq(8),
        &["model.safetensors", "\"layers.0.a.qweight\"", "layers.0.a.qzeros", "8-bit"],
    );
    let file = "packed-4/model.safetensors";
    let weights =
        serde_json::json!({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 4});
    let groups = serde_json::json!({"group_0": {"weights": weights}});
    let mut config = serde_json::json!({"quant_method": "compressed-tensors",
        "format": "pack-quantized", "config_groups": groups});
    refused(file, config.clone(), &["\"layers.0.a.weight_packed\"", "layers.0.a.weight_scale"]);
    config["format"] = "marlin-24".into();
    refused(file, config, &["config.json", "marlin-24"]);
}

#[test]
fn the_producer_names_the_method_where_the_config_does_not() {
    let folder = folder_of(&[("fp8-modelopt/model.safetensors", "model.safetensors")]);
    let types = || {
        let weights = open(folder.path()).unwrap();
        weights.tensors().iter().map(|tensor| tensor.ty.name()).collect::<Vec<_>>()
    };
    assert_eq!(types(), ["F32", "F32", "BF16"], "the tensors say enough");
    let producer = r#"{"producer": {"name": "ModelOpt", "version": "0.29"}, "quantization": {}}"#;
    fs::write(folder.path().join("hf_quant_config.json"), producer).unwrap();
    assert_eq!(types(), ["F32", "F32", "BF16"]);

    // An unsupported method.
    let folder = folder_of(&[("gptq-4/model.safetensors", "model.safetensors")]);
    let producer = r#"{"producer": {"name": "Other"}}"#;
    fs::write(folder.path().join("hf_quant_config.json"), producer).unwrap();
    let error = open(folder.path()).map(drop).unwrap_err().to_string();
    assert!(error.contains("hf_quant_config.json") && error.contains("by other"), "{error}");
}

/// Opens a damaged copy of a fixture file and reads everything that can be read.
fn survives(fixture_name: &str, file: &str, bytes: &[u8]) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(file), bytes).unwrap();
    let _ = fs::copy(fixture(fixture_name).join("config.json"), folder.path().join("config.json"));
    if let Ok(weights) = open(folder.path()) {
        for index in 0..weights.tensors().len() {
            let _ = data(&weights, index, 1 << 10);
        }
    }
}

/// Fixtures to damage; the first is listed twice so that it comes up twice as often.
const DAMAGED: &[&str] =
    &["torch", "torch", "types", "mxfp4", "fp8-blocks", "gptq-4", "packed-4", "bitnet"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None,
        ..ProptestConfig::with_cases(800) })]

    #[test]
    fn no_damage_to_a_file_panics(
        name in prop::sample::select(DAMAGED),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        end in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let file = if name == "torch" { "pytorch_model.bin" } else { "model.safetensors" };
        let mut bytes = fs::read(fixture(name).join(file)).unwrap();
        // Most changes hit the header rather than the numbers.
        for (index, byte) in changes {
            let length = bytes.len();
            let at = if byte % 4 == 0 { index.index(length) } else {
                index.index(length.min(2500))
            };
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        survives(name, file, &bytes);
    }
}
