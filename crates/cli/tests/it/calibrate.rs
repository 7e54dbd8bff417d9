//! `granule convert --effort 2`: codes by what the model computes.

use std::fs;

use granule_format::Metadata;

use crate::common::{Folder, Ran, copy_checkpoint, edited};
use crate::imatrix::TEXT;

/// Few tokens for a test, but more than a chunk.
fn folder(checkpoint: &str) -> Folder {
    let folder = Folder::new();
    copy_checkpoint(&folder, checkpoint, "ck");
    folder.write("text.txt", TEXT.repeat(12));
    folder
}

const OPTIONS: &str = "--effort 2 --calibrate text.txt --calibration-chunks 1 --allow-missing -q";

fn run_with(folder: &Folder, line: &str, isa: &str) -> Ran {
    let output = folder.command(line).env("GRANULE_ISA", isa).output().unwrap();
    crate::common::ran(output)
}

#[test]
fn the_same_bytes_for_threads_and_instruction_sets() {
    let folder = folder("Tiny-Llama2-SPM-110K-chat-v1.1");
    folder.run(&format!("convert ck -t Q4_0 {OPTIONS} -j 2 -o a.gguf")).ok();
    let line = format!("convert ck -t Q4_0 {OPTIONS} -j 1 --verify -o b.gguf");
    run_with(&folder, &line, "scalar").ok();
    folder.run("convert ck -t Q4_0 --effort 1 -q -o one.gguf").ok();
    let [a, b] = ["a.gguf", "b.gguf"].map(|name| fs::read(folder.path(name)).unwrap());
    assert!(a == b, "the same bytes");
    assert_eq!(folder.run("check a.gguf --strict -q").status, 0);
    let divergence = |name: &str| {
        let options = "--against ck --text text.txt -c 512 --chunks 1 --json -q";
        let json = folder.run(&format!("measure {name} {options}")).json();
        json["models"][0]["divergence"]["value"].as_f64().unwrap()
    };
    let (one, two) = (divergence("one.gguf"), divergence("a.gguf"));
    assert!(two < 0.9 * one, "{two}, with effort 1 {one}");
}

#[test]
fn statistics_of_experts_serve_other_runs() {
    let folder = folder("Mixtral-tiny-4x100K-Instruct-v0.1");
    let plan = folder.run("convert ck -t Q4_0 --effort 2 --dry-run -q").ok();
    let by_inputs = |line: &&str| line.contains("by the model's inputs");
    assert!(plan.lines().filter(by_inputs).any(|line| line.contains("ffn_down_exps")), "{plan}");
    let line = format!("convert ck -t Q4_0 {OPTIONS} --save-statistics s.gguf -o a.gguf");
    folder.run(&line).ok();
    let with = "--effort 2 --statistics s.gguf --allow-missing -q";
    folder.run(&format!("convert ck -t Q8_0 -t Q4_0 {with} -o {{ftype}}.gguf")).ok();
    let [a, b] = ["a.gguf", "q4_0.gguf"].map(|name| fs::read(folder.path(name)).unwrap());
    assert!(a == b, "the same bytes without a run");
    // so a part of the files has the same bytes, too
    for (to, part) in [("whole", ""), ("parts", "--part 2/2")] {
        fs::create_dir(folder.path(to)).unwrap();
        let split = format!("--split-max-tensors 9 {part} -o {to}/a.gguf");
        folder.run(&format!("convert ck -t Q4_0 {with} {split}")).ok();
    }
    for entry in fs::read_dir(folder.path("parts")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let [one, other] = ["whole", "parts"].map(|to| folder.path(&format!("{to}/{name}")));
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{name}");
    }
    assert_eq!(folder.run("check a.gguf --strict -q").status, 0);
    let line = "convert ck -t Q8_0 --effort 2 --statistics a.gguf --allow-missing -o d.gguf";
    let message = folder.run(line).failure();
    assert!(message.contains("no statistics of --save-statistics"), "{message}");
    copy_checkpoint(&folder, "mistral-fast-tok", "other");
    let message = folder.run(&format!("convert other -t Q8_0 {with} -o d.gguf")).failure();
    assert!(message.contains("of another model"), "{message}");
}

/// The inputs of the original can be summed on several machines.
#[test]
fn moments_in_parts_are_those_of_a_single_run() {
    let folder = folder("Mixtral-tiny-4x100K-Instruct-v0.1");
    let line = "imatrix ck --moments --text text.txt -c 16 --chunks 19 -q";
    folder.run(&format!("{line} -o whole.gguf")).ok();
    for part in 1..=3 {
        folder.run(&format!("{line} --part {part}/3 -o {part}.part")).ok();
    }
    folder.run("imatrix --merge 2.part 3.part 1.part -o merged.gguf -q").ok();
    let [a, b] = ["whole.gguf", "merged.gguf"].map(|name| fs::read(folder.path(name)).unwrap());
    assert!(a == b, "the bytes of a single run");
    let with = "--effort 2 --statistics merged.gguf --allow-missing -q";
    folder.run(&format!("convert ck -t Q4_0 {with} -o a.gguf")).ok();
    let fails = |line: &str, part: &str| {
        let message = folder.run(line).failure();
        assert!(message.contains(part), "{line}: {message}");
    };
    fails(&format!("{line} --part 4/4 -o d"), "so it has at most as many parts");
    fails("imatrix --merge 1.part 2.part -o d", "1 of 3 parts are missing");
    fails("imatrix --merge 1.part 2.part 3.part --statistics", "name it with --output");
    let part = fs::read(folder.path("1.part")).unwrap();
    folder.write("1.part", &part[..part.len() - 5]);
    fails("imatrix --merge 1.part 2.part 3.part -o d", "1.part is damaged");
    assert!(!folder.path("d").exists());
}

#[test]
fn what_cannot_be_calibrated_is_an_error() {
    let folder = folder("llama2-spm-256");
    let fails = |line: &str, part: &str| {
        let message = folder.run(line).failure();
        assert!(message.contains(part), "{line}: {message}");
        assert!(!folder.path("a.gguf").exists(), "{line}");
    };
    fails("convert ck -t Q4_0 --effort 2 -o a.gguf", "pass --calibrate");
    let line =
        "convert ck -t Q4_0 --effort 2 --calibrate text.txt --calibration-chunks 2 -o a.gguf";
    fails(line, "has 1024 tokens, so every matrix sees 1024 inputs");
    folder.write("short.txt", "a few words");
    fails("convert ck -t Q4_0 --effort 2 --calibrate short.txt -o a.gguf", "give a longer text");
    let line = "convert ck -t Q4_0 --effort 2 --prune-layers 1 --calibrate text.txt -o a.gguf";
    fails(line, "drop layers first");
    let line = "convert ck -t Q4_0 --effort 2 --calibrate text.txt --split-max-tensors 9 \
                --part 1/2 --allow-missing -q -o a.gguf";
    fails(line, "pass --statistics to every part");
    folder.run("convert ck --outtype f32 -o m.gguf -q").ok();
    let rename = |metadata: &mut Metadata| {
        metadata.set("general.architecture", "nosuch");
    };
    edited(&folder, "m.gguf", "other.gguf", rename, |_, _| {});
    let line = "convert other.gguf -t Q4_0 --effort 2 --calibrate text.txt -o a.gguf";
    fails(line, "efforts 0 and 1 need no run");
}
