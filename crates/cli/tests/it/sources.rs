//! What `granule convert` accepts as a checkpoint, and what it says about everything else.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Folder;

const NAME: &str = "llama2-spm-256";

/// A copy of a checkpoint in a folder.
fn copy(folder: &Folder) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints").join(NAME);
    fs::create_dir(folder.path(NAME)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, folder.path(NAME).join(path.file_name().unwrap())).unwrap();
        }
    }
    folder.path(NAME)
}

#[test]
fn a_file_of_the_checkpoint_may_be_named() {
    let folder = Folder::new();
    copy(&folder);
    let run = |source: &str, output: &str| {
        let ran = folder.run(&format!("convert {source} -t Q8_0 -o {output}"));
        assert_eq!(ran.status, 0, "{ran:?}");
        (fs::read(folder.path(output)).unwrap(), ran.stderr)
    };
    let (whole, _) = run(NAME, "whole.gguf");
    for file in ["model.safetensors", "config.json", "tokenizer.model", "tokenizer_config.json"] {
        let source = format!("{NAME}/{file}");
        let (found, warning) = run(&source, "found.gguf");
        assert!(found == whole, "{file}");
        let as_typed =
            warning.contains(&format!(" {source} is one file of the checkpoint in {NAME}:"));
        assert!(warning.starts_with("granule: warning: ") && as_typed, "{warning}");
    }
}

#[test]
fn advice_is_not_what_was_just_done() {
    let folder = Folder::new();
    let copy = copy(&folder);
    fs::remove_file(copy.join("config.json")).unwrap();
    let zip = b"PK\x03\x04....";
    let header = [&[2, 0, 0, 0, 0, 0, 0, 0][..], b"{}"].concat();
    for (name, bytes) in [
        ("a.safetensors", &header[..]),
        ("a", &header),
        ("pytorch_model.bin", zip),
        ("a.zip", zip),
        ("a.pt", b"\x80\x02}q\x00."),
        ("a.json", b"{\"error\": 404}"),
        ("model.safetensors.index.json", b"{}"),
    ] {
        folder.write(name, bytes);
        let error = folder.run(&format!("convert {name} -t Q8_0 -o o.gguf")).failure();
        assert!(error.contains(name) && !error.contains("convert it"), "{error}");
    }
    let error = folder.run("convert a.safetensors -t Q8_0").failure();
    assert!(error.contains("config.json") && error.contains("tokenizer"), "{error}");
    let error = folder.run(&format!("convert {NAME} -t Q8_0")).failure();
    let text = format!("granule: error: {NAME}: no config.json: not the folder of a checkpoint");
    assert!(error.starts_with(&text), "{error}");
    let error = folder.run("inspect a.safetensors").failure();
    assert!(error.contains("`granule convert` accepts the folder"), "{error}");
}

#[test]
fn a_plan_may_have_a_byte_order_mark() {
    let folder = Folder::new();
    copy(&folder);
    let plan = folder.run(&format!("convert {NAME} -t Q8_0 --dry-run --json")).ok();
    folder.write("plan.json", format!("\u{feff}{plan}"));
    folder.run(&format!("convert {NAME} --plan plan.json -o o.gguf --quiet")).ok();
}
