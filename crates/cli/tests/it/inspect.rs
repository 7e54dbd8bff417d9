//! `granule inspect`

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::common::{Folder, assert_golden, gguf, metadata, one_entry, version_1, write_split_set};
use granule_format::Endian;
use serde_json::json;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("tiny.gguf", gguf(metadata(), Endian::Little, false));
    folder
}

#[test]
fn everything_as_text() {
    assert_golden("inspect.txt", &folder().run("inspect tiny.gguf").ok());
}

#[test]
fn everything_as_json() {
    assert_golden("inspect.json", &folder().run("inspect tiny.gguf --json").ok());
}

#[test]
fn sections_and_filter() {
    let folder = folder();
    let text = folder.run("inspect tiny.gguf --tensors --filter norm").ok();
    assert_golden("inspect_filter.txt", &text);
    let totals = folder.run("inspect tiny.gguf --totals --filter norm --json").json();
    assert_eq!(totals["totals"]["tensors"], 2);
    assert_eq!(totals["totals"]["values"], 71);
    assert_eq!(totals["totals"]["bits_per_weight"], 32.0);
    assert_eq!(totals.get("tensors"), None);
    assert_eq!(totals.get("metadata"), None);
}

/// The filter is the regular expression of `--tensor-type`.
#[test]
fn the_filter_is_a_regular_expression() {
    let folder = folder();
    let names = |filter: &str| {
        let mut command = folder.command("inspect tiny.gguf --tensors --json --filter");
        let output = command.arg(filter).output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json["tensors"].as_array().unwrap().len()
    };
    let found: Vec<_> = ["norm", "^output", r"blk\.\d", "norm$", "", "(q|embd)"].map(names).into();
    assert_eq!(found, [2, 1, 2, 0, 4, 2]);
    let message = folder.run("inspect tiny.gguf --filter blk(").failure();
    assert!(message.contains("--filter: \"blk(\"") && message.contains("unclosed"), "{message}");
}

#[test]
fn a_filter_that_matches_nothing_says_so() {
    let folder = folder();
    for (options, part) in [
        ("", "no key and no tensor name matches --filter \"nosuch\""),
        ("--json", "no key and no tensor name"),
        ("--tensors", "no tensor name matches"),
        ("--metadata", "no key matches"),
        ("--totals", "no tensor name matches"),
    ] {
        let ran = folder.run(&format!("inspect tiny.gguf --filter nosuch {options}"));
        assert_eq!(ran.status, 1, "{ran:?}");
        assert!(ran.stderr.contains(part), "{ran:?}");
        assert!(ran.stderr.starts_with("granule: warning: "), "{ran:?}");
    }
    folder.run("inspect tiny.gguf --filter general").ok();
    assert_eq!(folder.run("inspect tiny.gguf --tensors --filter general").status, 1);
    folder.write("other.gguf", version_1());
    folder.run("inspect tiny.gguf other.gguf --filter output").ok();
}

#[test]
fn several_files() {
    let folder = folder();
    folder.write("one.gguf", version_1());
    let text = folder.run("inspect tiny.gguf one.gguf --totals").ok();
    let parts = ["tiny.gguf", "one.gguf"]
        .map(|name| (name, folder.run(&format!("inspect {name} --totals")).ok()))
        .map(|(name, text)| format!("==> {name} <==\n{text}"));
    assert_eq!(text, parts.join("\n"));
    let json = folder.run("inspect tiny.gguf one.gguf --json").json();
    for (json, name) in json.as_array().unwrap().iter().zip(["tiny.gguf", "one.gguf"]) {
        assert_eq!(*json, folder.run(&format!("inspect {name} --json")).json());
    }
    // one that fails does not hide the others
    folder.write("noise.gguf", "noise and more noise");
    for names in ["noise.gguf one.gguf", "one.gguf noise.gguf", "one.gguf none.gguf"] {
        let ran = folder.run(&format!("inspect {names}"));
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(
            ran.stdout.contains("==> one.gguf <==") && ran.stdout.contains("Totals"),
            "{ran:?}"
        );
        assert!(ran.stderr.starts_with("granule: error: cannot "), "{ran:?}");
        let ran = folder.run(&format!("inspect {names} --json"));
        assert_eq!(ran.status, 2, "{ran:?}");
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(json.as_array().unwrap().len(), 2);
        let failed =
            json.as_array().unwrap().iter().find(|one| one.get("error").is_some()).unwrap();
        assert!(failed["path"].as_str().unwrap().starts_with("no"), "{failed}");
    }
}

/// A pattern of the shell names every file of a set.
#[test]
fn a_split_set_is_shown_once() {
    let folder = Folder::new();
    write_split_set(&folder, "model", 3);
    let all = folder.names().join(" ");
    let text = folder.run(&format!("inspect {all}")).ok();
    assert_eq!(text.matches("Totals").count(), 1, "{text}");
    let json = folder.run(&format!("inspect {all} --json")).json();
    assert_eq!(json.as_array().unwrap().len(), 1);
    let json = folder.run(&format!("inspect {all} --alone --json")).json();
    assert_eq!(json.as_array().unwrap().len(), 3);
}

#[test]
fn full_shows_arrays_and_texts_whole() {
    let folder = folder();
    let text = folder.run("inspect tiny.gguf --metadata --full").ok();
    assert!(text.contains("\"token 299\"]"), "{text}");
    assert!(text.contains(&"long ".repeat(40).trim_end().to_owned()), "{text}");
    let json = folder.run("inspect tiny.gguf --metadata --full --json").json();
    let tokens = json["metadata"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["key"] == "tokenizer.ggml.tokens")
        .unwrap();
    assert_eq!(tokens["value"].as_array().unwrap().len(), 300);
    assert_eq!(tokens["value"][3], json!({ "bytes": "fffe" }));
}

#[test]
fn nothing_from_the_file_acts_on_the_terminal() {
    for flags in ["", "--full"] {
        let text = folder().run(&format!("inspect tiny.gguf {flags}")).ok();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}

#[test]
fn a_type_of_tomorrow() {
    let folder = Folder::new();
    folder.write("new.gguf", gguf(metadata(), Endian::Little, true));
    assert_golden("inspect_unknown.txt", &folder.run("inspect new.gguf --tensors --totals").ok());
    let json = folder.run("inspect new.gguf --json").json();
    assert_eq!(json["tensors"][0]["type_id"], 999);
    assert_eq!(json["tensors"][0]["bytes"], json!(null));
    assert_eq!(json["totals"]["bytes"], json!(null));
}

#[test]
fn big_endian_and_version_1() {
    let folder = Folder::new();
    folder.write("big.gguf", gguf(metadata(), Endian::Big, false));
    folder.write("one.gguf", version_1());
    folder.write("little.gguf", gguf(metadata(), Endian::Little, false));
    let [mut big, mut little] =
        ["big", "little"].map(|name| folder.run(&format!("inspect {name}.gguf --json")).json());
    assert_eq!(big["files"][0]["byte_order"], "big-endian");
    for json in [&mut big, &mut little] {
        json.as_object_mut().unwrap().remove("files");
    }
    assert_eq!(big, little);
    let one = folder.run("inspect one.gguf --json").json();
    assert_eq!(one["files"][0]["version"], 1);
    assert_eq!(one["tensors"][0]["shape"], json!([8]));
}

#[test]
fn a_split_set_by_any_of_its_files() {
    let folder = Folder::new();
    write_split_set(&folder, "model", 3);
    let whole = folder.run("inspect model-00001-of-00003.gguf").ok();
    assert_golden("inspect_split.txt", &whole);
    for number in 2..=3 {
        assert_eq!(folder.run(&format!("inspect model-0000{number}-of-00003.gguf")).ok(), whole);
    }
    let alone = folder.run("inspect model-00002-of-00003.gguf --alone --json").json();
    assert_eq!(alone["files"].as_array().unwrap().len(), 1);
    assert_eq!(alone["tensors"].as_array().unwrap().len(), 1);
    assert_eq!(alone["tensors"][0]["name"], "blk.1.attn_norm.weight");

    fs::remove_file(folder.path("model-00003-of-00003.gguf")).unwrap();
    let message = folder.run("inspect model-00001-of-00003.gguf").failure();
    assert!(message.contains("model-00003-of-00003.gguf"), "{message}");
    folder.run("inspect model-00001-of-00003.gguf --alone").ok();
}

#[test]
fn no_metadata_and_no_tensors() {
    let folder = Folder::new();
    folder.write("empty.gguf", [&b"GGUF\x03\0\0\0"[..], &[0; 16]].concat());
    let text = folder.run("inspect empty.gguf").ok();
    assert!(text.contains("Metadata: 0\n") && text.contains("Tensors: 0\n"), "{text}");
    folder.run("inspect empty.gguf --json").json();
}

#[test]
fn failures_name_the_file_and_the_fault() {
    let folder = Folder::new();
    let good = gguf(one_entry("general.architecture", "llama"), Endian::Little, false);
    folder.write("cut.gguf", &good[..good.len() - 8]);
    folder.write("short.gguf", &good[..30]);
    folder.write("empty.gguf", "");
    folder.write("pointer.gguf", "version https://git-lfs.github.com/spec/v1\n");
    folder.write("page.gguf", "<!DOCTYPE html>");
    folder.write("zip.gguf", "PK\x03\x04....");
    folder.write("noise.gguf", "noise and more noise");
    fs::create_dir(folder.path("folder")).unwrap();
    for (name, parts) in [
        ("missing.gguf", &["missing.gguf", "No such file"][..]),
        ("folder", &["folder", "directory"]),
        ("cut.gguf", &["cut.gguf", "output_norm.weight", "would lie at bytes", "the file has"]),
        ("short.gguf", &["short.gguf", "4 tensors need at least 96 bytes"]),
        ("empty.gguf", &["empty.gguf", "the file ends too early", "at byte 0"]),
        ("pointer.gguf", &["pointer.gguf", "git lfs pull"]),
        ("page.gguf", &["page.gguf", "web page"]),
        ("zip.gguf", &["zip.gguf", "ZIP"]),
        ("noise.gguf", &["noise.gguf", "6e, 6f, 69, 73", "expected 47 47 55 46"]),
    ] {
        let message = folder.run(&format!("inspect {name}")).failure();
        for part in parts {
            assert!(message.contains(part), "{part:?} in {message:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_success() {
    let folder = Folder::new();
    let mut metadata = metadata();
    let texts = (0..100_000).map(|i| format!("a text that fills the pipe {i}"));
    metadata.set("texts", granule_format::Array::String(texts.collect()));
    folder.write("long.gguf", gguf(metadata, Endian::Little, false));
    for flags in ["--full", "--full --json"] {
        let mut child = folder
            .command(&format!("inspect long.gguf {flags}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        let read = child.stdout.take().unwrap().read(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!((output.status.code(), read), (Some(0), first.len()));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_a_failure() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = folder().command("inspect tiny.gguf").stdout(full).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("standard output") && message.contains("No space left"), "{message}");
}

/// As published files of video models have them.
#[test]
fn five_dimensions_and_long_names() {
    let folder = Folder::new();
    let long = "a".repeat(90);
    folder.write("wan.gguf", wide(&[("patch.weight", &[2, 2, 1, 4, 2]), (&long, &[8])]));
    let text = folder.run("inspect wan.gguf").ok();
    assert!(text.contains("2 x 2 x 1 x 4 x 2") && text.contains(&long), "{text}");
    let json = folder.run("inspect wan.gguf --json").json();
    assert_eq!(json["tensors"][0]["shape"], json!([2, 2, 1, 4, 2]));
    assert_eq!(json["totals"]["values"], 40);

    folder.write("wan.gguf", wide(&[("patch.weight", &[2, 2, 1, 4, 2]), ("b", &[8])]));
    let checked = folder.run("check wan.gguf");
    assert_eq!(checked.status, 1);
    assert_eq!(checked.stdout.lines().count(), 2, "{checked:?}");
    assert!(checked.stdout.contains("error T006"), "{checked:?}");
    let message = folder.run("convert wan.gguf -t Q8_0 -o out.gguf").failure();
    assert!(message.contains("\"patch.weight\"") && message.contains("5 dimensions"), "{message}");
    assert_eq!(folder.names(), ["wan.gguf"]);
}

/// A file with these tensors of F32, whatever their dimensions.
fn wide(tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3_u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend(1_u64.to_le_bytes());
    let string = |file: &mut Vec<u8>, text: &str| {
        file.extend((text.len() as u64).to_le_bytes());
        file.extend(text.as_bytes());
    };
    string(&mut file, "general.architecture");
    file.extend(8_u32.to_le_bytes());
    string(&mut file, "wan");
    let mut data = 0_u64;
    for (name, dimensions) in tensors {
        string(&mut file, name);
        file.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|dimension| file.extend(dimension.to_le_bytes()));
        file.extend(0_u32.to_le_bytes());
        file.extend(data.to_le_bytes());
        data += (4 * dimensions.iter().product::<u64>()).next_multiple_of(32);
    }
    file.resize(file.len().next_multiple_of(32) + data as usize, 0);
    file
}
