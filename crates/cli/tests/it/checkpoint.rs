//! `granule convert`, from checkpoints: the files of the reference's converter, byte for byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{Folder, copy_checkpoint};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn checkpoints() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints")
}

/// Convert a checkpoint of the collection with these options.
fn convert(folder: &Folder, checkpoint: &Path, options: &[&str]) -> Output {
    folder.command("convert").arg(checkpoint).args(options).output().unwrap()
}

#[track_caller]
fn assert_ok(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every case of the collection.
#[test]
fn the_files_of_the_reference() {
    let mut done = 0;
    for entry in fs::read_dir(checkpoints()).unwrap() {
        let checkpoint = entry.unwrap().path();
        let Ok(index) = fs::read(checkpoint.join("expected/index.json")) else { continue };
        let index: Value = serde_json::from_slice(&index).unwrap();
        for case in index["cases"].as_array().unwrap() {
            let mut options: Vec<&str> = case["args"]
                .as_array()
                .unwrap()
                .iter()
                .map(|text| text.as_str().unwrap())
                .collect();
            let files = case["files"].as_array().unwrap();
            let metadata = options.iter().position(|option| *option == "--metadata");
            let path = metadata.map(|at| checkpoint.join(options[at + 1]));
            if let (Some(at), Some(path)) = (metadata, &path) {
                options[at + 1] = path.to_str().unwrap();
            }
            let folder = Folder::new();
            options.extend(["-o", ".", "--quiet"]);
            assert_ok(&convert(&folder, &checkpoint, &options));
            let names: Vec<_> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
            assert_eq!(folder.names(), names, "{options:?}");
            for (file, name) in files.iter().zip(names) {
                assert_eq!(sha256(&folder.path(name)), file["sha256"], "{name} {options:?}");
            }
            done += 1;
        }
    }
    assert!(done >= 30, "{done}");
}

/// `-t` is the converter to the checkpoint's own 16-bit type, and then the quantizer.
#[test]
fn one_step_is_two_steps() {
    let checkpoint = checkpoints().join("llama2-spm-256");
    let folder = Folder::new();
    assert_ok(&convert(&folder, &checkpoint, &["--outtype", "auto", "-o", "half.gguf"]));
    for file_type in ["Q4_K_M", "Q8_0", "IQ4_XS", "BF16"] {
        assert_ok(&convert(&folder, &checkpoint, &["-t", file_type, "-o", "one.gguf"]));
        folder.run(&format!("quantize half.gguf two.gguf {file_type} --quiet")).ok();
        assert_eq!(
            sha256(&folder.path("one.gguf")),
            sha256(&folder.path("two.gguf")),
            "{file_type}"
        );
    }
    folder.run("check one.gguf two.gguf half.gguf --strict --quiet").ok();
}

#[test]
fn named_after_the_model() {
    let checkpoint = checkpoints().join("llama2-spm-256");
    let folder = Folder::new();
    assert_ok(&convert(&folder, &checkpoint, &["-t", "Q4_K_M", "-t", "Q8_0", "-o", "."]));
    let index = fs::read(checkpoint.join("expected/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let full = index["cases"][0]["files"][0]["name"].as_str().unwrap();
    let stem = full.strip_suffix("-F32.gguf").unwrap();
    assert_eq!(folder.names(), [format!("{stem}-Q4_K_M.gguf"), format!("{stem}-Q8_0.gguf")]);
}

/// Without a type: what the reference's converter does, named as it names it.
#[test]
fn without_a_type_it_is_the_converter() {
    let folder = Folder::new();
    for name in ["llama2-spm-256", "Tiny-Llama2-SPM-110K-chat-v1.1", "mistral-fast-tok"] {
        copy_checkpoint(&folder, name, name);
        let before = names(&folder.path(name));
        let json = folder.run(&format!("convert {name} --json")).json();
        assert_eq!(json["warnings"], Value::Array(Vec::new()));
        let after = names(&folder.path(name));
        let new: Vec<_> = after.into_iter().filter(|file| !before.contains(file)).collect();
        let index = fs::read(checkpoints().join(name).join("expected/index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        // the case of the collection that says nothing of a type, if it has one
        let cases = index["cases"].as_array().unwrap();
        let auto = |case: &&Value| {
            let args: Vec<_> = case["args"].as_array().unwrap().iter().collect();
            args.is_empty() || args == ["--outtype", "auto"]
        };
        let expected = &cases.iter().find(auto).unwrap_or_else(|| panic!("{name}"))["files"][0];
        assert_eq!(new, [expected["name"].as_str().unwrap()]);
        let path = folder.path(name).join(&new[0]);
        assert_eq!(sha256(&path), expected["sha256"], "{name}");
        fs::remove_file(&path).unwrap();
        // the positions of llama-quantize without a type, and the options of the converter
        for line in
            ["x.gguf", "-o x.gguf", "--outfile x.gguf --outtype auto", "x.gguf --outtype auto"]
        {
            folder.run(&format!("convert {name} {line} --quiet")).ok();
            assert_eq!(sha256(&folder.path("x.gguf")), expected["sha256"], "{name} {line}");
            fs::remove_file(folder.path("x.gguf")).unwrap();
        }
    }
    // a slip in a type is not an output
    let message = folder.run("convert llama2-spm-256 Q4_KM").failure();
    assert!(message.contains("did you mean Q4_K_M") && message.contains("needs -o"), "{message}");
    let message = folder.run("convert llama2-spm-256 --outtype f16 Q4_KM").failure();
    assert!(message.contains("did you mean Q4_K_M"), "{message}");
    // a type after --outtype is one
    folder.run("convert llama2-spm-256 --outtype f32 x.gguf Q8_0 --quiet").ok();
    folder.run("convert llama2-spm-256 --outtype f32 -t Q8_0 -o y.gguf --quiet").ok();
    assert_eq!(sha256(&folder.path("x.gguf")), sha256(&folder.path("y.gguf")));
    // what quantizes needs a type
    for options in ["--pure", "--tensor-type attn=q8_0", "--override-kv a=int:1", "--no-fallback"] {
        let message = folder.run(&format!("convert llama2-spm-256 {options}")).failure();
        let option = options.split(' ').next().unwrap();
        assert!(message.contains(&format!("{option} needs a file type")), "{message}");
    }
}

#[test]
fn the_type_is_filled_in() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    for (options, name) in [
        ("-o m-{ftype}.gguf --outtype f16", "m-f16.gguf"),
        ("--outfile m-{FTYPE}.gguf --outtype q8_0", "m-Q8_0.gguf"),
        ("-o m-{outtype}-{OUTTYPE}.gguf -t Q4_K_M", "m-q4_k_m-Q4_K_M.gguf"),
        ("m-{ftype}.gguf -t F32", "m-f32.gguf"),
        ("-o ck/{ftype}.gguf", "ck/bf16.gguf"),
        ("-o v-{ftype}.gguf --vocab-only", "v-bf16.gguf"),
        ("-o {{ftype}}.gguf --outtype f32", "{ftype}.gguf"),
    ] {
        folder.run(&format!("convert ck {options} --quiet")).ok();
        assert!(folder.path(name).is_file(), "{options}: {:?}", folder.names());
        fs::remove_file(folder.path(name)).unwrap();
    }
    let message = folder.run("convert ck -o m-{type}.gguf").failure();
    assert!(message.contains("m-{type}.gguf") && message.contains("{ftype}"), "{message}");
    assert_eq!(folder.names(), ["ck"]);
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn failures_name_what_is_missing() {
    let folder = Folder::new();
    let copy = |leave_out: &str| {
        let from = checkpoints().join("mistral-fast-tok");
        let _ = fs::remove_dir_all(folder.path("copy"));
        fs::create_dir(folder.path("copy")).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_owned();
            if path.is_file() && name != leave_out {
                fs::copy(path, folder.path("copy").join(name)).unwrap();
            }
        }
    };
    for (leave_out, part) in [
        ("config.json", "config.json"),
        ("model.safetensors", "safetensors"),
        ("tokenizer.json", "tokenizer"),
    ] {
        copy(leave_out);
        let message = folder.run("convert copy -t Q4_0").failure();
        assert!(message.contains("copy") && message.contains(part), "{leave_out}: {message}");
        assert!(folder.names() == ["copy"], "{leave_out}");
        let left: Vec<_> = fs::read_dir(folder.path("copy")).unwrap().collect();
        assert!(!left.iter().any(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().contains("gguf")
        }));
    }
    copy("");
    let weights = folder.path("copy/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 1000]).unwrap();
    let message = folder.run("convert copy -t Q4_0").failure();
    assert!(message.contains("model.safetensors"), "{message}");
    let message = folder.run("convert copy/model.safetensors -t Q4_0").failure();
    assert!(message.contains("truncated"), "{message}");
    fs::write(folder.path("copy/notes.txt"), "no GGUF file").unwrap();
    let message = folder.run("convert copy/notes.txt --outtype f16").failure();
    assert!(message.contains("--outtype") && message.contains("folder"), "{message}");
}

/// A vocabulary with a token twice, which llama.cpp does not load.
#[test]
fn an_invalid_result_is_written_if_allowed() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    let path = folder.path("ck/tokenizer_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["added_tokens_decoder"]["500"] =
        serde_json::json!({ "content": "<s>", "special": true });
    fs::write(&path, config.to_string()).unwrap();
    for options in ["-t Q8_0", ""] {
        let line = format!("convert ck {options} -o a.gguf");
        let message = folder.run(&format!("{line} --quiet")).failure();
        assert!(message.contains("S019") && message.contains("--allow-invalid"), "{message}");
        // a warning before it says what to change
        let refused = folder.run(&line);
        assert!(refused.stderr.contains("tokens 1 and 500 have the same text"), "{refused:?}");
        assert!(refused.stderr.ends_with(&message), "{refused:?}");
        assert_eq!(folder.names(), ["ck"], "{line}");
        folder.run(&format!("{line} --allow-invalid --quiet")).ok();
        assert!(folder.run("check a.gguf").stdout.contains("S019"));
        fs::remove_file(folder.path("a.gguf")).unwrap();
    }
}
