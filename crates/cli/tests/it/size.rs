//! Types for a size, the memory that a model needs, and pages about files.

use std::fs;

use crate::common::{Folder, model};
use crate::imatrix::folder;

fn size_of(folder: &Folder, name: &str) -> u64 {
    fs::metadata(folder.path(name)).unwrap().len()
}

#[test]
fn a_size_is_reached_and_its_plan_gives_the_same_bytes() {
    let folder = folder();
    folder.run("convert ck -t Q4_K_S -o named.gguf --quiet").ok();
    let line = "convert ck --like named.gguf --no-calibrate --quiet";
    folder.run(&format!("{line} -o a.gguf")).ok();
    let (found, limit) = (size_of(&folder, "a.gguf"), size_of(&folder, "named.gguf"));
    assert!(found <= limit && found as f64 > 0.9 * limit as f64, "{found} {limit}");
    folder.write("p.json", folder.run(&format!("{line} --dry-run --json")).ok());
    folder.run("convert ck --plan p.json -o b.gguf --quiet").ok();
    assert!(fs::read(folder.path("a.gguf")).unwrap() == fs::read(folder.path("b.gguf")).unwrap());
    // a name of its own says the size
    folder.run("convert ck --target-size 6bpw --no-calibrate --quiet").ok();
    let named = fs::read_dir(folder.path("ck")).unwrap().map(|entry| entry.unwrap().file_name());
    let named = named.filter(|name| name.to_string_lossy().ends_with("-6bpw.gguf")).count();
    assert_eq!(named, 1);
}

#[test]
fn bounds_patterns_and_sizes_that_are_impossible() {
    let folder = folder();
    let line = "convert ck --no-calibrate --quiet";
    folder.run(&format!("{line} --target-size 6bpw --tensor-type attn_v=F16 -o a.gguf")).ok();
    let inspected = folder.run("inspect a.gguf --json").json();
    let tensors = inspected["tensors"].as_array().unwrap();
    for tensor in tensors.iter().filter(|it| it["name"].as_str().unwrap().contains("attn_v")) {
        assert_eq!(tensor["type"], "F16");
    }
    let bits = inspected["totals"]["bits_per_weight"].as_f64().unwrap();
    assert!(bits <= 6.0 && bits > 5.0, "{bits}");

    let message = folder.run("convert ck --target-size 1bpw --no-calibrate").failure();
    assert!(message.contains("1bpw is too small") && message.contains("bytes ("), "{message}");
    let least: u64 =
        message.split(" has ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    folder.run(&format!("{line} --target-size {least}B -o least.gguf")).ok();
    assert_eq!(size_of(&folder, "least.gguf"), least);
    let message =
        folder.run("convert ck --target-size 5bpw --min-type Q8_0 --max-type Q4_0").failure();
    assert!(message.contains("no type is between them"), "{message}");
    let message = folder.run("convert ck --target-size 5bpw --min-type Q8_0 --no-calibrate");
    assert!(message.failure().contains("a lower --min-type allows for less"));
    let message = folder.run("convert ck --target-size 5bpw --calibrate text.txt").failure();
    assert!(message.contains("a chunk 512: give a longer text"), "{message}");
    let message = folder.run("convert ck --target-size huge").failure();
    assert!(message.contains("is not a size such as 4.2GB"), "{message}");
}

/// What cannot be run follows the rules of the named mixtures, and says so.
#[test]
fn without_a_run_rules_are_scaled() {
    let folder = Folder::new();
    folder.write("model.gguf", model());
    let ran = folder.run("convert model.gguf --target-size 12bpw -o a.gguf");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("the model is not run ("), "{ran:?}");
    assert!(folder.path("a.gguf").exists());
}

#[test]
fn memory_grows_with_the_text_and_shrinks_with_the_cache() {
    let folder = folder();
    folder.run("convert ck -t Q8_0 -o q.gguf --quiet").ok();
    let json = folder.run("size q.gguf --context 256 4096 --json").json();
    let of = |row: usize, key: &str| json["estimates"][row][key].as_u64().unwrap();
    assert_eq!(of(1, "cache"), 16 * of(0, "cache"));
    let sum: u64 =
        ["weights", "cache", "states", "compute", "output"].iter().map(|k| of(1, k)).sum();
    assert_eq!(of(1, "total"), sum);
    let text = folder.run("size q.gguf").ok();
    assert!(text.contains("keys and values") && text.contains("4096"), "{text}");
    let small = folder.run("size q.gguf --cache-type-k q4_0 --cache-type-v q8_0 --json").json();
    let small = small["estimates"][0]["cache"].as_u64().unwrap();
    assert_eq!(small * 64, of(1, "cache") / 2 * (18 + 34), "18 and 34 bytes instead of 64");
    // a checkpoint is the file that it would become
    folder.run("convert ck -o own.gguf --quiet").ok();
    let [folders, files] =
        ["ck", "own.gguf"].map(|name| folder.run(&format!("size {name} --json")).json());
    assert_eq!(folders["estimates"], files["estimates"]);
    let message = folder.run("size q.gguf --cache-type-k q4_k").failure();
    assert!(message.contains("is not a type for keys and values"), "{message}");
}

#[test]
fn pages_about_files() {
    let folder = folder();
    let line = "convert ck -t Q4_K_M -o q.gguf --report made.html --quiet";
    folder.run(line).ok();
    folder.run("report q.gguf").ok();
    for (page, parts) in [
        ("made.html", &["Errors of the tensors", "one dimension", "<svg class=\"grid\""][..]),
        ("q.html", &["Memory", "Tokenizer", "No rule of <code>granule check</code>"][..]),
    ] {
        let page = fs::read_to_string(folder.path(page)).unwrap();
        for part in parts {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("<script") && !page.contains("http"), "{page}");
    }
    let json = folder.run("report q.gguf --json --context 256").json();
    assert_eq!((&json["schema"], &json["memory"][0]["context"]), (&1.into(), &256.into()));
    let message = folder.run("report q.gguf -o q.gguf").failure();
    assert!(message.contains("q.gguf"), "{message}");
    let message = folder.run("convert ck -t Q4_0 -t Q8_0 --report both.html").failure();
    assert!(message.contains("a page is about one result"), "{message}");
}
