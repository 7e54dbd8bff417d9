//! `granule check` and `granule explain`
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Folder, assert_golden, gguf, metadata, one_entry, write_split_set};
use granule_format::check::RULES;
use granule_format::container::Endian;
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/files")
}

fn good() -> Vec<u8> {
    let mut metadata = one_entry("general.architecture", "llama");
    metadata.set("general.quantization_version", 2_u32);
    gguf(metadata, Endian::Little, false)
}

#[test]
fn status_0_for_valid_files_and_1_for_others() {
    let folder = Folder::new();
    folder.write("good.gguf", good());
    folder.write("cut.gguf", &good()[..500]);
    assert_eq!(folder.run("check good.gguf").ok(), "good.gguf: valid\n");
    let ran = folder.run("check cut.gguf good.gguf");
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""), "{ran:?}");
    assert_golden("check.txt", &ran.stdout);
    assert_eq!(folder.run("check good.gguf cut.gguf --quiet").stdout, "");
    assert_eq!(folder.run("check good.gguf cut.gguf --quiet").status, 1);
}

/// Every file of the collection by the program, as it is by the library.
#[test]
fn the_whole_collection() {
    let folder = Folder::new();
    for (name, status, strict) in [("valid", 0, 0), ("warned", 0, 1), ("invalid", 1, 1)] {
        let mut files: Vec<PathBuf> = fs::read_dir(fixtures().join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.retain(|path| path.is_file());
        files.sort();
        assert!(files.len() > 10, "{name}: {files:?}");
        let run = |flags: &str, files: &[PathBuf]| {
            let output = folder.command(&format!("check {flags}")).args(files).output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let (found, json) = run("--json", &files);
        assert_eq!(found, Some(status), "{name}");
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json.as_array().unwrap().len(), files.len());
        for report in json.as_array().unwrap() {
            assert_eq!(report["valid"], status == 0, "{report}");
        }
        assert_eq!(run("--strict --quiet", &files).0, Some(strict), "{name}");
    }
}

#[test]
fn structure_only_leaves_the_blocks_alone() {
    let folder = Folder::new();
    fs::copy(fixtures().join("invalid/bad_e8m0_ff.gguf"), folder.path("bad.gguf")).unwrap();
    assert_eq!(folder.run("check bad.gguf").status, 1);
    let json = folder.run("check bad.gguf --structure-only --json").json();
    assert_eq!((&json[0]["valid"], &json[0]["blocks_checked"]), (&true.into(), &false.into()));
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure_and_the_others_are_checked() {
    let folder = Folder::new();
    folder.write("good.gguf", good());
    fs::create_dir(folder.path("folder")).unwrap();
    for (name, part) in [("missing.gguf", "No such file"), ("folder", "is a directory")] {
        let ran = folder.run(&format!("check {name} good.gguf"));
        assert_eq!((ran.status, ran.stdout.as_str()), (2, "good.gguf: valid\n"), "{ran:?}");
        assert!(ran.stderr.contains(name) && ran.stderr.contains(part), "{ran:?}");
    }
}

#[test]
fn other_kinds_of_files_are_named() {
    let folder = Folder::new();
    for (name, bytes, part) in [
        ("empty", "", "An empty file"),
        ("pointer", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("page", "<!DOCTYPE html><html>", "web page"),
    ] {
        folder.write(name, bytes);
        let ran = folder.run(&format!("check {name}"));
        assert_eq!(ran.status, 1, "{ran:?}");
        assert!(ran.stdout.contains(part), "{ran:?}");
    }
}

#[test]
fn a_set_with_a_missing_shard() {
    let folder = Folder::new();
    write_split_set(&folder, "model", 3);
    let names: Vec<String> = folder.names();
    assert_eq!(folder.run(&format!("check {}", names.join(" "))).status, 0);
    fs::remove_file(folder.path(&names[1])).unwrap();
    let json: Value =
        serde_json::from_str(&folder.run(&format!("check {} --json", names[0])).stdout).unwrap();
    let rules: Vec<&Value> =
        json[0]["findings"].as_array().unwrap().iter().map(|finding| &finding["rule"]).collect();
    assert!(rules.contains(&&"X005".into()), "{rules:?}");
}

#[test]
fn nothing_from_the_file_acts_on_the_terminal() {
    let folder = Folder::new();
    let file = gguf(metadata(), Endian::Little, false);
    folder.write("cut.gguf", &file[..file.len() - 900]);
    let text = folder.run("check cut.gguf").stdout;
    assert!(!text.is_empty() && text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn every_rule_is_explained() {
    let folder = Folder::new();
    let list = folder.run("explain").ok();
    assert_eq!(list.lines().count(), RULES.len() + 1);
    for rule in RULES.iter().step_by(10) {
        assert!(list.contains(rule.id), "{}", rule.id);
        let page = folder.run(&format!("explain {}", rule.id.to_lowercase())).ok();
        assert!(page.starts_with(rule.id) && page.contains(rule.page.trim()), "{page}");
    }
    let json = folder.run("explain D003 --json").json();
    assert_eq!((&json["rule"], &json["severity"]), (&"D003".into(), &"error".into()));
    assert!(json["page"].as_str().unwrap().contains("How to fix"));
    assert_eq!(folder.run("explain --json").json().as_array().unwrap().len(), RULES.len());
    let message = folder.run("explain X999").failure();
    assert!(message.contains("X999") && message.contains("granule explain"), "{message}");
}
