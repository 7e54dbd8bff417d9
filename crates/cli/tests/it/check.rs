//! `granule check` and `granule explain`

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Folder, assert_golden, gguf, metadata, one_entry, write, write_split_set};
use granule_format::check::RULES;
use granule_format::{Draft, Endian, Header, Metadata};
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
    for (name, part) in [("missing.gguf", "No such file"), ("folder", "no GGUF files")] {
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
    let list = folder.run("explain --json").json();
    assert_eq!(list["rules"].as_array().unwrap().len(), RULES.len());
    let message = folder.run("explain X999").failure();
    assert!(message.contains("X999"), "{message}");
    let message = folder.run("explain D0003").failure();
    assert!(message.contains("did you mean D003"), "{message}");
    let message = folder.run("explain everything").failure();
    assert!(message.contains("`granule explain` lists them"), "{message}");
}

/// A checkpoint as a file, and that file with changes.
struct Converted {
    folder: Folder,
    file: Vec<u8>,
}

impl Converted {
    fn new() -> Self {
        let folder = Folder::new();
        let checkpoint = fixtures().join("../checkpoints/llama2-spm-256");
        let source = checkpoint.display();
        folder.run(&format!("convert {source} --outtype f16 -o good.gguf -q")).ok();
        let file = fs::read(folder.path("good.gguf")).unwrap();
        Self { folder, file }
    }

    /// Write the file with other metadata and only some of the tensors, and check it: the rules.
    fn rules(
        &self,
        change: impl FnOnce(&mut Metadata),
        keep: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        self.write("changed.gguf", change, keep);
        let json: Value =
            serde_json::from_str(&self.folder.run("check changed.gguf --json").stdout).unwrap();
        let findings = json[0]["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
    }

    fn write(&self, name: &str, change: impl FnOnce(&mut Metadata), keep: impl Fn(&str) -> bool) {
        let header = Header::parse(&self.file).unwrap();
        let mut metadata = header.metadata().clone();
        change(&mut metadata);
        let mut draft = Draft::new(metadata, Endian::Little).unwrap();
        for tensor in header.tensors().iter().filter(|tensor| keep(&tensor.name)) {
            draft.add(&tensor.name, tensor.shape, tensor.ty).unwrap();
        }
        self.folder.write(name, write(draft));
    }
}

#[test]
fn what_readers_need_to_load_a_model() {
    let model = Converted::new();
    assert_eq!(model.folder.run("check good.gguf --strict").ok(), "good.gguf: valid\n");
    let all = |_: &str| true;
    let set =
        |key: &'static str, value: u32| move |metadata: &mut Metadata| metadata.set(key, value);
    assert_eq!(model.rules(|_| {}, all), [""; 0]);
    assert_eq!(model.rules(|_| {}, |name| name != "blk.1.ffn_up.weight"), ["S023"]);
    assert_eq!(model.rules(|_| {}, |name| name != "output_norm.weight"), ["S023"]);
    assert_eq!(model.rules(|_| {}, |name| !name.ends_with("attn_v.weight")), ["S023", "S023"]);
    assert_eq!(model.rules(set("llama.block_count", 3), all), ["S024"]);
    assert_eq!(model.rules(|_| {}, |name| !name.starts_with("blk.1.")), ["S024"]);
    let heads = model.rules(set("llama.attention.head_count", 2), all);
    assert!(!heads.is_empty() && heads.iter().all(|rule| rule == "S025"), "{heads:?}");
    let tokenizer = |metadata: &mut Metadata| {
        let keys: Vec<_> = metadata.iter().map(|entry| entry.key.clone()).collect();
        for key in keys.iter().filter(|key| key.starts_with("tokenizer.")) {
            metadata.remove(key);
        }
    };
    assert_eq!(model.rules(tokenizer, all), ["S026"]);
    let bpe = |metadata: &mut Metadata| metadata.set("tokenizer.ggml.model", "gpt2");
    assert_eq!(model.rules(bpe, all), ["S020"]);
}

#[test]
fn a_file_that_lacks_tensors_is_converted_with_a_warning() {
    let model = Converted::new();
    model.write("hole.gguf", |_| {}, |name| name != "blk.1.ffn_up.weight");
    for file_type in ["Q8_0", "COPY"] {
        let ran = model.folder.run(&format!("convert hole.gguf -t {file_type} -o out.gguf"));
        assert_eq!(ran.status, 0, "{ran:?}");
        let warning = ran.stderr.lines().find(|line| line.contains("blk.1.ffn_up.weight"));
        assert!(
            warning.is_some_and(|line| line.contains("warning") && line.contains("S023")),
            "{ran:?}"
        );
    }
    let ran = model
        .folder
        .run("convert good.gguf -t Q8_0 --override-kv llama.block_count=int:3 -o no.gguf");
    let message = ran.failure();
    assert!(message.contains("llama.block_count") && message.contains("S024"), "{message}");
    assert!(!model.folder.names().contains(&"no.gguf".to_owned()));
}

#[test]
fn shards_without_their_names_and_joined_shards() {
    let folder = Folder::new();
    write_split_set(&folder, "m", 2);
    let parts = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    let parts = parts.map(|part| fs::read(folder.path(part)).unwrap());
    folder.write("cat.gguf", parts.concat());
    folder.write("sha256-0123", &parts[1]);
    for (name, words) in [
        ("cat.gguf", ["shard 1 of 2", "granule convert PART -t COPY"]),
        ("sha256-0123", ["shard 2 of 2", "NAME-00002-of-00002.gguf"]),
    ] {
        let checked = folder.run(&format!("check {name}"));
        assert_eq!(checked.status, 1, "{checked:?}");
        assert!(checked.stdout.contains("error X009"), "{checked:?}");
        let messages = [
            checked.stdout,
            folder.run(&format!("inspect {name}")).failure(),
            folder.run(&format!("convert {name} -t COPY -o out.gguf")).failure(),
        ];
        for message in messages {
            assert!(words.iter().all(|word| message.contains(word)), "{name}: {message}");
        }
        assert_eq!(folder.run(&format!("inspect {name} --alone")).status, 0);
    }
}
