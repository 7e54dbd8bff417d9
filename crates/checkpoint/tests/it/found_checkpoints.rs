//! Checkpoints as users have them: named by a file, saved inside a wrapper, with overlays and byte
//! order marks. Also folders that hold something else.

use crate::common::folder;
use std::fs;

use crate::common::folder::{
    Copy, FILE, INDEX, SHARDED, SINGLE, Stored, Tensors, content, read, refused, write,
};
use granule_checkpoint::{Checkpoint, CheckpointOptions};
use serde_json::json;

const NORM: &str = "model.norm.weight";

fn renamed(tensors: &mut Tensors, rename: impl Fn(&str) -> String) {
    let old = std::mem::take(tensors);
    tensors.extend(old.into_iter().map(|(name, tensor)| (rename(&name), tensor)));
}

#[test]
fn names_of_wrappers_are_left_out() {
    let plain = Copy::of(SINGLE).content();
    assert_eq!(plain.1, [""; 0]);
    type Rename = fn(&str) -> String;
    let renames: [(Rename, &[&str]); 6] = [
        (|name| format!("_orig_mod.{name}"), &["torch.compile"]),
        (|name| format!("module.{name}"), &["data-parallel"]),
        (|name| format!("base_model.model.{name}"), &["PEFT"]),
        (|name| format!("module._orig_mod.{name}"), &["data-parallel", "torch.compile"]),
        (|name| name.replace("layers.1.", "layers.1._orig_mod."), &["torch.compile"]),
        (|name| format!("model.{name}"), &["twice"]),
    ];
    for (rename, said) in renames {
        let copy = Copy::of(SINGLE);
        copy.tensors(|tensors| renamed(tensors, rename));
        let (content, warnings) = copy.content();
        assert_eq!(content, plain.0);
        assert_eq!(warnings.len(), said.len(), "{warnings:?}");
        let warnings = warnings.concat();
        assert!(said.iter().all(|text| warnings.contains(text)), "{warnings}");
    }

    // Also with an index, but not if only some names have the prefix.
    let plain = Copy::of(SHARDED).content().0;
    let copy = Copy::of(SHARDED);
    let shards = |copy: &Copy, change: &dyn Fn(&mut Tensors)| {
        for number in 1..=5 {
            let path = copy.path(&format!("model-{number:05}-of-00005.safetensors"));
            let mut tensors = read(&path);
            change(&mut tensors);
            write(&path, &tensors);
        }
    };
    shards(&copy, &|tensors| renamed(tensors, |name| format!("module.{name}")));
    copy.json(INDEX, |index| {
        let map = index["weight_map"].as_object_mut().unwrap();
        let old = std::mem::take(map);
        map.extend(old.into_iter().map(|(name, file)| (format!("module.{name}"), file)));
    });
    assert_eq!(copy.content().0, plain);
    let copy = Copy::of(SINGLE);
    copy.tensors(|tensors| {
        let norm = tensors.remove(NORM).unwrap();
        tensors.insert(format!("module.{NORM}"), norm);
    });
    copy.refused(&[FILE, "module.model.norm.weight"]);
}

#[test]
fn an_adapter_that_is_not_merged_is_named() {
    let query = "model.layers.0.self_attn.q_proj";
    let copy = Copy::of(SINGLE);
    copy.tensors(|tensors| {
        let weight = tensors.remove(&format!("{query}.weight")).unwrap();
        tensors.insert(format!("{query}.base_layer.weight"), weight);
        for part in ["lora_A", "lora_B"] {
            tensors.insert(format!("{query}.{part}.default.weight"), Stored::f32(&[1], &[0.0]));
        }
    });
    copy.refused(&[FILE, query, "LoRA", "not merged", "merge_and_unload()"]);
    let copy = Copy::of(SINGLE);
    copy.tensors(|tensors| {
        let head = tensors[NORM].clone();
        tensors.insert("lm_head.modules_to_save.default.weight".to_owned(), head.clone());
        tensors.insert("lm_head.original_module.weight".to_owned(), head);
    });
    copy.refused(&[FILE, "lm_head", "merge_and_unload()"]);
}

#[test]
fn a_file_of_a_checkpoint_stands_for_its_folder() {
    for (name, files) in [
        (SINGLE, &[FILE, "config.json", "tokenizer.json", "tokenizer.model"][..]),
        (SHARDED, &["model-00003-of-00005.safetensors", INDEX, "generation_config.json"]),
    ] {
        let copy = Copy::of(name);
        let expected = copy.content().0;
        for file in files {
            let path = copy.path(file);
            assert!(Checkpoint::has_file(&path), "{file}");
            let opened = Checkpoint::open(&path, &CheckpointOptions::default()).unwrap();
            let (content, warnings) = content(&opened);
            assert_eq!(content, expected, "{file}");
            let folder = copy.folder.display().to_string();
            assert!(warnings.len() == 1 && warnings[0].contains(&folder), "{warnings:?}");
        }
    }

    let copy = Copy::of(SINGLE);
    fs::copy(copy.path(FILE), copy.path("other.safetensors")).unwrap();
    refused(&copy.path("other.safetensors"), &["other.safetensors", FILE, "name the folder"]);
    copy.write("adapter_config.json", r#"{"base_model_name_or_path": "org/base"}"#);
    fs::copy(copy.path(FILE), copy.path("adapter_model.safetensors")).unwrap();
    refused(&copy.path("adapter_model.safetensors"), &["adapter", "org/base"]);
    let warnings = copy.content().1;
    assert!(warnings.len() == 1 && warnings[0].contains("adapter_model"), "{warnings:?}");

    fs::remove_file(copy.path("config.json")).unwrap();
    refused(&copy.path(FILE), &[FILE, "config.json", "tokenizer"]);
    refused(&copy.path("tokenizer.json"), &["tokenizer.json", "config.json"]);

    copy.write("a.gguf", "GGUF\x03\0\0\0");
    copy.write("a.txt", "text");
    for file in ["a.gguf", "a.txt", "absent.safetensors"] {
        assert!(!Checkpoint::has_file(&copy.path(file)), "{file}");
    }
    assert!(!Checkpoint::has_file(&copy.folder));
}

#[test]
fn folders_that_are_something_else_are_named() {
    let adapter = r#"{"peft_type": "LORA", "base_model_name_or_path": "org/base"}"#;
    let snapshot = "snapshots/0123abcd/config.json";
    /// Files with their content, and strings that the error must contain.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (&[], &["empty"]),
        (&[("model.safetensors", "")], &["weights (model.safetensors) alone", "tokenizer"]),
        (
            &[("adapter_config.json", adapter), ("adapter_model.safetensors", "")],
            &["adapter (LORA)", "org/base", "--lora"],
        ),
        (&[("adapter_config.json", "?"), ("config.json", "{}")], &["adapter", "--lora"]),
        (&[(snapshot, "{}"), ("blobs/1", "")], &["cache", "snapshots/0123abcd"]),
        (&[("a.gguf", "GGUF"), ("b.gguf", "GGUF")], &["GGUF files (a.gguf)", "name the file"]),
        (&[("params.json", "{}"), ("consolidated.safetensors", "")], &["Mistral's own layout"]),
        (&[("params.json", "{}"), ("consolidated.00.pth", "")], &["Llama's own code"]),
        (&[("model_index.json", "{}"), ("unet/config.json", "{}")], &["diffusers"]),
        (&[("global_step10/mp_rank_00_model_states.pt", "")], &["DeepSpeed", "zero_to_fp32.py"]),
        (&[("zero_pp_rank_0_mp_rank_00_optim_states.pt", "")], &["DeepSpeed"]),
        (&[("pytorch_model_fsdp_0/__0_0.distcp", "")], &["FSDP", "merge-weights"]),
        (&[("__0_0.distcp", ""), (".metadata", "")], &["FSDP"]),
        (&[("tf_model.h5", "")], &["TensorFlow", "from_tf"]),
        (&[("flax_model.msgpack", "")], &["Flax", "from_flax"]),
        (&[("model.onnx", "")], &["ONNX"]),
        (&[("openvino_model.xml", ""), ("openvino_model.bin", "")], &["OpenVINO"]),
        (&[("weights.npz", "")], &["MLX"]),
        (&[("model-00001-of-00002.safetensors.incomplete", "")], &["has not finished"]),
        (
            &[
                ("checkpoint-10/config.json", "{}"),
                ("checkpoint-20/config.json", "{}"),
                ("a.gguf", "GGUF"),
            ],
            &["in its subfolders", "\"checkpoint-10\", \"checkpoint-20\""],
        ),
        (&[("notes.txt", "")], &["not the folder of a checkpoint"]),
    ];
    for (files, texts) in cases {
        // Both without a config, and with a config but no supported weights.
        for config in [false, true] {
            let copy = Copy::of(SINGLE);
            let folder = copy.root().join("models--org--name");
            fs::create_dir(&folder).unwrap();
            for (file, text) in *files {
                let path = folder.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            let has_config = files.iter().any(|(name, _)| *name == "config.json");
            let only_without = matches!(files, [] | [("model.safetensors" | "notes.txt", _), ..]);
            if config && only_without {
                continue;
            }
            if config || has_config {
                fs::copy(copy.path("config.json"), folder.join("config.json")).unwrap();
            }
            let path = folder.display().to_string();
            refused(&folder, &[&[&*path][..], texts].concat());
            let lacks = if config || has_config { "no model*.safetensors" } else { "config.json" };
            refused(&folder, &[lacks]);
        }
    }
    let copy = Copy::of(SINGLE);
    fs::rename(copy.path(FILE), copy.path("weights.safetensors")).unwrap();
    copy.refused(&["weights.safetensors", "rename"]);
    refused(copy.root(), &["in its subfolders", SINGLE]);
    refused(&copy.path("absent"), &["absent"]);
}

#[cfg(unix)]
#[test]
fn links_of_the_cache_are_followed_and_broken_ones_named() {
    use std::os::unix::fs::symlink;

    let copy = Copy::of(SINGLE);
    fs::rename(copy.path("config.json"), copy.root().join("blob")).unwrap();
    symlink("../blob", copy.path("config.json")).unwrap();
    let name = "general.name";
    let named = |checkpoint: Checkpoint| content(&checkpoint).0.0.get(name).cloned();
    let own = named(copy.open().unwrap());
    // As in the reference, the name comes from the path that the user gave.
    let link = copy.root().join("another-name");
    symlink(&copy.folder, &link).unwrap();
    let linked = named(Checkpoint::open(&link, &CheckpointOptions::default()).unwrap());
    assert_ne!(own, linked);

    fs::rename(copy.path(FILE), copy.root().join("data")).unwrap();
    symlink("../../blobs/absent", copy.path(FILE)).unwrap();
    copy.refused(&[FILE, "absent"]);
    fs::remove_file(copy.root().join("blob")).unwrap();
    copy.refused(&["config.json"]);
}

#[test]
fn paths_in_errors_are_those_that_were_given() {
    let copy = Copy::of(SINGLE);
    let given = copy.root().join(SINGLE).join("..").join(SINGLE);
    copy.json("config.json", |config| drop(config.insert("vocab_size".to_owned(), json!(511))));
    let file = given.join(FILE).display().to_string();
    refused(&given, &[&file]);
    fs::remove_file(copy.path("config.json")).unwrap();
    refused(&given, &[&given.display().to_string(), "no config.json"]);
}

#[test]
fn the_index_decides_between_two_files() {
    let plain = Copy::of(SHARDED);
    let shard = "model-00005-of-00005.safetensors";
    let changed = "model.layers.0.input_layernorm.weight";
    let all = |copy: &Copy| -> Vec<(String, String)> {
        let index: serde_json::Value =
            serde_json::from_slice(&fs::read(copy.path(INDEX)).unwrap()).unwrap();
        let map = index["weight_map"].as_object().unwrap();
        map.iter().map(|(n, file)| (n.clone(), file.as_str().unwrap().to_owned())).collect()
    };
    let home = all(&plain).into_iter().find(|(name, _)| name == changed).unwrap().1;
    let new = |tensors: &Tensors| {
        let mut tensor = tensors[changed].clone();
        tensor.data.fill(0x3c);
        tensor
    };
    // The expected result: the tensor itself is changed.
    let path = plain.path(&home);
    let mut tensors = read(&path);
    let tensor = new(&tensors);
    let old = tensors.insert(changed.to_owned(), tensor.clone()).unwrap();
    write(&path, &tensors);
    let expected = plain.content().0;

    // By its name, the overlay comes before or after the other files.
    for overlay in ["model-overlay.safetensors", "a-repair.safetensors"] {
        let copy = Copy::of(SHARDED);
        write(&copy.path(overlay), &Tensors::from([(changed.to_owned(), tensor.clone())]));
        copy.json(INDEX, |index| index["weight_map"][changed] = json!(overlay));
        let (found, warnings) = copy.content();
        let sorted = |content: folder::Content| {
            let mut tensors = content.1;
            tensors.sort_by(|a, b| a.0.name.cmp(&b.0.name));
            (content.0, tensors)
        };
        // If its name comes first, it changes the position of the tensor.
        if overlay > &*home {
            assert_eq!(found, expected);
        }
        assert_eq!(sorted(found), sorted(expected.clone()));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let texts = [changed, overlay, &home, INDEX];
        assert!(texts.iter().all(|text| warnings[0].contains(text)), "{warnings:?}");
    }

    // Two files hold the tensor, and the index names the original one.
    let copy = Copy::of(SHARDED);
    let path = copy.path(shard);
    let mut tensors = read(&path);
    tensors.insert(changed.to_owned(), tensor);
    write(&path, &tensors);
    let found = copy.content().0.1;
    let name = "blk.0.attn_norm.weight";
    let found = found.into_iter().find(|(tensor, _)| tensor.name == name).unwrap();
    let values: Vec<u8> = old.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(found.1, values);
    // Without an index, the order is undecided.
    fs::remove_file(copy.path(INDEX)).unwrap();
    copy.refused(&[changed, shard, "also holds"]);
}

#[test]
fn json_may_have_a_byte_order_mark() {
    for name in [SINGLE, SHARDED] {
        let plain = Copy::of(name).content();
        for utf16 in [false, true] {
            let copy = Copy::of(name);
            let mut changed = 0;
            for entry in fs::read_dir(&copy.folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|end| end == "json") {
                    let text = fs::read_to_string(&path).unwrap();
                    let marked = format!("\u{feff}{text}");
                    let utf16_bytes = || marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
                    let bytes = if utf16 { utf16_bytes() } else { marked.clone().into_bytes() };
                    fs::write(&path, bytes).unwrap();
                    changed += 1;
                }
            }
            assert!(changed >= 4);
            assert_eq!(copy.content(), plain, "{name}, UTF-16: {utf16}");
        }
    }
    let copy = Copy::of(SINGLE);
    copy.write("overrides.json", "\u{feff}{\"general.author\": \"A. N. Other\"}");
    let metadata = Some(copy.path("overrides.json"));
    let options = CheckpointOptions { metadata, ..CheckpointOptions::default() };
    let content = content(&Checkpoint::open(&copy.folder, &options).unwrap()).0;
    assert_eq!(content.0.text("general.author").unwrap(), Some("A. N. Other"));
}

#[test]
fn what_only_describes_the_model_does_not_stop_the_conversion() {
    let copy = Copy::of(SINGLE);
    let (plain, none) = copy.content();
    assert_eq!(none, [""; 0]);
    for (card, place) in [
        ("---\nlicense: other\nlicense_name: acme: community\n---\n# Tiny\n", "line 3, column 19"),
        ("---\r\na: b\r\nb: [c\r\n---\r\n", "line "),
        ("---\na: b\na: c\n---\n", "line "),
    ] {
        copy.write("README.md", card);
        let (content, warnings) = copy.content();
        assert_eq!(content, plain);
        let said = warnings.len() == 1 && warnings[0].contains("README.md");
        assert!(said && warnings[0].contains(place), "{warnings:?}");
    }
    copy.write("README.md", "# No front matter");
    copy.write("generation_config.json", "{\"top_k\": ");
    let warnings = copy.content().1;
    assert!(warnings.len() == 1 && warnings[0].contains("generation_config.json"), "{warnings:?}");
}
