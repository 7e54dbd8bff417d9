//! `granule check`
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Folder, gguf, metadata, one_entry};
use granule_format::container::Endian;

fn good() -> Vec<u8> {
    gguf(one_entry("general.architecture", "llama"), Endian::Little, false)
}

#[test]
fn status_0_without_findings_and_1_with() {
    let folder = Folder::new();
    folder.write("good.gguf", good());
    folder.write("cut.gguf", &good()[..500]);
    assert_eq!(folder.run("check good.gguf").status, 0);
    let ran = folder.run("check cut.gguf");
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stdout.contains("cut.gguf") && ran.stdout.contains("token_embd.weight"), "{ran:?}");
    // all files are checked, whatever the first gave
    let both = folder.run("check cut.gguf good.gguf");
    assert_eq!(both.status, 1);
    assert!(both.stdout.contains("good.gguf"), "{both:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure() {
    let folder = Folder::new();
    folder.write("good.gguf", good());
    let message = folder.run("check missing.gguf").failure();
    assert!(message.contains("missing.gguf") && message.contains("No such file"), "{message}");
}

#[test]
fn json_has_a_report_for_each_file() {
    let folder = Folder::new();
    folder.write("good.gguf", good());
    folder.write("noise.gguf", "noise");
    let ran = folder.run("check good.gguf noise.gguf --json");
    assert_eq!(ran.status, 1);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json[0]["path"], "good.gguf");
    assert_eq!(json[0]["findings"].as_array().unwrap().len(), 0);
    assert_eq!(json[1]["findings"][0]["offset"], 0);
}

#[test]
fn nothing_from_the_file_acts_on_the_terminal() {
    let folder = Folder::new();
    let file = gguf(metadata(), Endian::Little, false);
    folder.write("cut.gguf", &file[..file.len() - 900]);
    let text = folder.run("check cut.gguf").stdout;
    assert!(!text.is_empty() && text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}
