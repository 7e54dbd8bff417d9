//! `granule generate`.

use crate::common::{Folder, copy_checkpoint};

/// A checkpoint and the file of it are continued alike, and as often as it is done.
#[test]
fn a_checkpoint_and_its_file_say_the_same() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    folder.run("convert ck -t F32 -o f32.gguf --quiet").ok();
    let line = |source: &str| format!("generate {source} --prompt ab --exact -n 6 --json");
    let from_file = folder.run(&line("f32.gguf")).ok();
    assert_eq!(folder.run(&line("ck")).ok(), from_file);
    assert_eq!(folder.run(&format!("{} -j 1", line("f32.gguf"))).ok(), from_file);
    let json: serde_json::Value = serde_json::from_str(&from_file).unwrap();
    assert!(!json["prompt"].as_array().unwrap().is_empty());
    assert!(json["tokens"].as_array().unwrap().len() <= 6);
    assert!(!json["text"].as_str().unwrap().is_empty());
}

#[test]
fn sampling_follows_the_seed() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    let run = |seed: u32| {
        let line =
            format!("generate ck --prompt a -n 12 --temp 2 --top-k 200 --seed {seed} --json");
        folder.run(&line).ok()
    };
    assert_eq!(run(1), run(1));
    assert!((2..6).any(|seed| run(seed) != run(1)), "another seed, other tokens");
}

#[test]
fn what_cannot_be_continued_is_named() {
    let folder = Folder::new();
    folder.write("empty.gguf", crate::common::model());
    let message = folder.run("generate empty.gguf --prompt a").failure();
    assert!(message.contains("empty.gguf"), "{message}");
    let message = folder.run("generate no.gguf --prompt a").failure();
    assert!(message.contains("no.gguf"), "{message}");
}
