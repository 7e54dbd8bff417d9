//! `granule hash`.

use std::fs;

use sha2::{Digest, Sha256};

use crate::common::{Folder, copy_checkpoint, model};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("model.gguf", model());
    folder
}

/// The lines of the hash are those of llama-gguf-hash for the same file.
#[test]
fn the_lines_of_the_reference() {
    let folder = folder();
    let found = folder.run("hash model.gguf --xxh64 --sha1 --sha256 --uuid").ok();
    assert_eq!(format!("{:x}", Sha256::digest(&found)), REFERENCE, "{found}");
    assert!(found.ends_with("  model.gguf\n"), "{found}");
}

/// SHA-256 of what `llama-gguf-hash --all --uuid model.gguf` prints.
const REFERENCE: &str = "183970a91d3e39b1efe370992b18b1f2177d8563cc62ef102ad971b851658ba2";

#[test]
fn a_split_set_has_the_hashes_of_the_file() {
    let folder = folder();
    folder.run("split model.gguf part --max-tensors 2 --quiet").ok();
    folder.run("hash model.gguf --all -o manifest").ok();
    let manifest = fs::read_to_string(folder.path("manifest")).unwrap();
    assert_eq!(manifest.lines().count(), 4 * 7);
    for file in ["model.gguf", "part-00002-of-00003.gguf"] {
        for option in ["", "--xxh64", "--sha1", "--blake3", "--all", "--no-layer"] {
            let said = folder.run(&format!("hash {file} -c manifest {option}")).ok();
            assert!(said.contains(": as in the manifest"), "{said}");
            let lines = if option == "--all" { 28 } else { 7 };
            let lines = if option == "--no-layer" { 1 } else { lines };
            assert_eq!(said.matches("  -  Ok").count(), lines, "{said}");
        }
    }
    let json = folder.run("hash part-00001-of-00003.gguf --check manifest --json").json();
    assert_eq!((&json["same"], &json["compared"][0]["outcome"]), (&true.into(), &"same".into()));
}

#[test]
fn what_differs_is_said() {
    let folder = folder();
    folder.run("hash model.gguf -o manifest").ok();
    let mut bytes = model();
    *bytes.last_mut().unwrap() ^= 1;
    folder.write("model.gguf", &bytes);
    let ran = folder.run("hash model.gguf --check manifest --quiet");
    assert_eq!(ran.status, 1, "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with("model.gguf:output.weight  -  Mismatch"), "{lines:?}");
    assert!(lines[1].ends_with("model.gguf  -  Mismatch"), "{lines:?}");
    folder.write("nothing", "nothing\n");
    folder.write("others", "sha256 00 a\nsha256 00 b\n");
    for (line, part) in [
        ("hash model.gguf --check none", "none"),
        ("hash model.gguf --check nothing", "no line of the manifest is a hash"),
        ("hash model.gguf --check others", "no line for \"model.gguf\""),
        ("hash none.gguf", "none.gguf"),
        ("hash model.gguf -o model.gguf", "is also an input"),
    ] {
        let message = folder.run(line).failure();
        assert!(message.contains(part), "{line}: {message}");
    }
    let ran = folder.run("hash model.gguf --check manifest --uuid");
    assert!(ran.status == 1 && ran.stdout.contains("no hash is in the manifest"), "{ran:?}");
}

#[test]
fn a_checkpoint_has_the_hashes_of_its_file() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    folder.run("convert ck -o file.gguf --quiet").ok();
    let hash = |name: &str| folder.run(&format!("hash {name} --no-layer --json")).json();
    assert_eq!(hash("ck")["hashes"], hash("file.gguf")["hashes"]);
}
