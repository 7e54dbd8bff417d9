//! `granule export`: what a conversion made of a checkpoint becomes that checkpoint again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Folder, copy_checkpoint};
use serde_json::Value;

fn checkpoints() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints")
}

/// The tensors of all safetensors files in a folder: type, shape and bytes.
fn tensors(folder: &Path) -> BTreeMap<String, (String, Value, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "safetensors") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(data % 8, 0);
        let header: serde_json::Map<String, Value> =
            serde_json::from_slice(&bytes[8..data]).unwrap();
        for (name, entry) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
            let at = |i: usize| data + entry["data_offsets"][i].as_u64().unwrap() as usize;
            let dtype = entry["dtype"].as_str().unwrap().to_owned();
            let values = bytes[at(0)..at(1)].to_vec();
            assert!(all.insert(name, (dtype, entry["shape"].clone(), values)).is_none());
        }
    }
    all
}

/// Copy what the export does not write: everything but the weights, and perhaps the config.
fn copy_small_files(from: &Path, to: &Path, config: bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_file() && !name.contains(".safetensors") && (config || name != "config.json") {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[track_caller]
fn same(folder: &Folder, a: &str, b: &str) {
    assert!(
        fs::read(folder.path(a)).unwrap() == fs::read(folder.path(b)).unwrap(),
        "{a} and {b} differ"
    );
}

/// With and without `config.json`; the names of the folders are a part of the metadata.
#[test]
fn a_converted_checkpoint_comes_back() {
    for name in [
        "llama2-spm-256",
        "Tiny-Llama2-SPM-110K-chat-v1.1",
        "mistral-fast-tok",
        "Mixtral-tiny-4x100K-Instruct-v0.1",
    ] {
        let checkpoint = checkpoints().join(name);
        let folder = Folder::new();
        let convert = |from: &Path, to: &str, ty: &str| {
            let mut command = folder.command("convert --quiet --outtype");
            let output = command.arg(ty).arg(from).arg("-o").arg(to).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let f32_only = tensors(&checkpoint).values().all(|(dtype, ..)| dtype == "F32");
        let outtype = if f32_only { "f32" } else { "auto" };
        convert(&checkpoint, "a.gguf", outtype);
        for config in [true, false] {
            let parent = format!("{config}/{name}");
            copy_small_files(&checkpoint, &folder.path(&parent), config);
            folder.run(&format!("export a.gguf -o {parent} --quiet")).ok();
            assert!(tensors(&folder.path(&parent)) == tensors(&checkpoint), "{name} {config}");
            if config {
                convert(&folder.path(&parent), "b.gguf", outtype);
                same(&folder, "a.gguf", "b.gguf");
            } else {
                let read = |path: &Path| -> Value {
                    serde_json::from_slice(&fs::read(path.join("config.json")).unwrap()).unwrap()
                };
                let (made, real) = (read(&folder.path(&parent)), read(&checkpoint));
                // nothing in the file tells Mistral from Llama
                let kind = if name == "mistral-fast-tok" { "vocab_size" } else { "architectures" };
                for key in [
                    kind,
                    "vocab_size",
                    "hidden_size",
                    "intermediate_size",
                    "num_hidden_layers",
                    "num_attention_heads",
                    "num_key_value_heads",
                    "max_position_embeddings",
                    "rms_norm_eps",
                    "rope_theta",
                    "num_local_experts",
                    "num_experts_per_tok",
                    "bos_token_id",
                    "eos_token_id",
                ] {
                    let wanted = &real[key];
                    assert!(
                        made[key] == *wanted
                            || made[key].as_f64().is_some()
                                && made[key].as_f64() == wanted.as_f64()
                            || wanted.is_null(),
                        "{name} {key}: {} {wanted}",
                        made[key]
                    );
                }
            }
        }
    }
}

#[test]
fn quantized_files_are_decoded_and_come_back_in_shards() {
    let checkpoint = checkpoints().join("llama2-spm-256");
    let folder = Folder::new();
    let mut command = folder.command("convert --quiet -t Q8_0 -o q.gguf");
    assert!(command.arg(&checkpoint).status().unwrap().success());
    copy_small_files(&checkpoint, &folder.path("out"), true);
    let said = folder.run("export q.gguf -o out --max-shard-size 100K").ok();
    assert!(said.contains("mostly F16"), "{said}");
    assert!(said.contains("Tokenizer files are not written"), "{said}");
    let names: Vec<_> = tensors(&folder.path("out")).into_keys().collect();
    let wanted: Vec<_> = tensors(&checkpoint).into_keys().collect();
    assert_eq!(names, wanted);
    let index = fs::read(folder.path("out/model.safetensors.index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["weight_map"].as_object().unwrap().len(), wanted.len());
    // Q8_0 of decoded Q8_0 is the same again, in F32
    folder.run("export q.gguf -o whole/out --type F32 --config out/config.json --quiet").ok();
    copy_small_files(&checkpoint, &folder.path("whole/out"), true);
    folder.run("convert whole/out --outtype f32 -t Q8_0 -o r.gguf --quiet").ok();
    folder.run("export r.gguf -o again --type F32 --config out/config.json --quiet").ok();
    // blocks whose scale is too small for half precision become zeros of either sign
    for (name, (_, shape, found)) in tensors(&folder.path("again")) {
        let (_, expected_shape, expected) = &tensors(&folder.path("whole/out"))[&name];
        let value = |four: &[u8]| f32::from_le_bytes(four.try_into().unwrap());
        let mut values = found.chunks(4).zip(expected.chunks(4));
        assert_eq!(&shape, expected_shape, "{name}");
        assert!(values.all(|(found, expected)| value(found) == value(expected)), "{name}");
    }
    let left: Vec<_> = fs::read_dir(folder.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_written() {
    let checkpoint = checkpoints().join("llama2-spm-256");
    let folder = Folder::new();
    let mut command = folder.command("convert --quiet --fuse-qkv --outtype auto -o fused.gguf");
    assert!(command.arg(&checkpoint).status().unwrap().success());
    let said = folder.run("export fused.gguf -o out").failure();
    assert!(said.contains("attn_qkv.weight") && said.contains("--plain"), "{said}");
    assert_eq!(folder.names(), ["fused.gguf"]);

    let said = folder.run("export fused.gguf -o out --plain --type bf16").ok();
    assert!(said.contains("of the GGUF file"), "{said}");
    assert!(tensors(&folder.path("out")).contains_key("blk.0.attn_qkv.weight"));
    let said = folder.run("export fused.gguf -o out --plain").failure();
    assert!(said.contains("already has weights"), "{said}");

    let mut config: Value =
        serde_json::from_slice(&fs::read(checkpoint.join("config.json")).unwrap()).unwrap();
    config["hidden_size"] = 128.into();
    folder.write("wrong.json", config.to_string());
    let mut command = folder.command("convert --quiet --outtype auto -o a.gguf");
    assert!(command.arg(&checkpoint).status().unwrap().success());
    let said = folder.run("export a.gguf -o new --config wrong.json").failure();
    assert!(said.contains("its shape is") && said.contains("hidden_size"), "{said}");
    config["architectures"] = serde_json::json!(["Qwen3ForCausalLM"]);
    folder.write("other.json", config.to_string());
    let said = folder.run("export a.gguf -o new --config other.json").failure();
    assert!(said.contains("architecture \"qwen3\""), "{said}");
    assert!(!folder.path("new").exists());
}

/// A folder that was named where a GGUF file is wanted: what is in it decides the advice.
#[test]
fn a_folder_is_not_a_file() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    fs::create_dir(folder.path("none")).unwrap();
    fs::create_dir(folder.path("files")).unwrap();
    folder.write("files/b.gguf", "");
    folder.write("files/a.gguf", "");
    for (name, part) in [
        ("ck", "A checkpoint: make a GGUF file of it first with `granule convert ck`."),
        ("none", "There is no GGUF file in the folder."),
        ("files", "Name a GGUF file in the folder, such as files/a.gguf."),
    ] {
        for line in [format!("export {name} -o out"), format!("inspect {name}")] {
            let message = folder.run(&line).failure();
            assert!(message.contains(&format!(" {name}: ")), "{message}");
            assert!(message.contains(part), "{message}");
        }
    }
    assert!(!folder.path("out").exists());
}

#[test]
fn json_of_what_is_written() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    folder.run("convert ck -t Q8_0 -o q.gguf --quiet").ok();
    let ran = folder.run("export q.gguf -o out --dry-run --json");
    assert_eq!(ran.status, 0, "{ran:?}");
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&plan["schema"], &plan["type"]), (&1.into(), &"F16".into()));
    let embedding = plan["tensors"].as_array().unwrap().iter();
    let mut embedding = embedding.filter(|tensor| tensor["name"] == "model.embed_tokens.weight");
    assert_eq!(embedding.next().unwrap()["from"], serde_json::json!(["token_embd.weight"]));
    assert!(!folder.path("out").exists());
    let ran = folder.run("export q.gguf -o out --json");
    let done: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(done["files"], plan["files"]);
    assert_eq!(done.get("tensors"), None);
    assert_eq!(done["architecture"], "llama");
    for file in done["files"].as_array().unwrap() {
        let bytes = fs::metadata(folder.path(file["path"].as_str().unwrap())).unwrap().len();
        assert_eq!(file["bytes"], bytes);
    }
    // the warnings are in the document, and on standard error unless it is to be quiet
    let warnings = done["warnings"].as_array().unwrap();
    assert_eq!(ran.stderr.matches("granule: warning: ").count(), warnings.len());
    fs::remove_dir_all(folder.path("out")).unwrap();
    assert_eq!(folder.run("export q.gguf -o out --json --quiet").json(), done);
}
