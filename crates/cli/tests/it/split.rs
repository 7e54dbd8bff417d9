//! `granule split` and `granule join`.

use std::fs;
use std::process::Stdio;

use sha2::{Digest, Sha256};

use crate::common::{Folder, model, write_split_set};

fn sha256(folder: &Folder, name: &str) -> String {
    format!("{:x}", Sha256::digest(fs::read(folder.path(name)).unwrap()))
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("model.gguf", model());
    folder
}

#[test]
fn the_bytes_of_the_reference() {
    let folder = folder();
    for (options, files, joined) in REFERENCE {
        let said = folder.run(&format!("split model.gguf out {options}")).ok();
        assert_eq!(said.lines().count(), files.len(), "{said}");
        for (index, expected) in files.iter().enumerate() {
            let name = format!("out-{:05}-of-{:05}.gguf", index + 1, files.len());
            assert_eq!(sha256(&folder, &name), *expected, "{options} {name}");
        }
        let last = format!("out-{0:05}-of-{0:05}.gguf", files.len());
        folder.run(&format!("join {last} joined.gguf --quiet")).ok();
        assert_eq!(sha256(&folder, "joined.gguf"), *joined, "{options}");
        folder.run(&format!("join {last} -o same.gguf --without-split-keys --quiet")).ok();
        assert!(fs::read(folder.path("same.gguf")).unwrap() == model(), "{options}");
    }
}

/// SHA-256 of what llama-gguf-split makes of `model()`: options, files, and the file that it joins
/// them to.
const REFERENCE: &[(&str, &[&str], &str)] = &[
    (
        "--split-max-tensors 2",
        &[
            "6aee3be739e9eb188f57575f175f23ecae3a03c136c4b0eab0e8b99e25cc358e",
            "6b0c391ffead568d8b19fff85101c80b2abc3dd36ad0bff678ab1be26b4c95f4",
            "95afe8794e14a09701faa5975494bbc999d05e3897a537996272bf37d793b32f",
        ],
        JOINED,
    ),
    (
        "--split-max-tensors 4 --no-tensor-first-split",
        &[
            "12536ae49d43b977dea1a925e39cf4be6201405f20915c5924a4afc7864e5a3a",
            "74d5f70592c086aa15ffe97d42218378c258e546d258f5dfbf4ffc4fd587dbad",
            "95afe8794e14a09701faa5975494bbc999d05e3897a537996272bf37d793b32f",
        ],
        JOINED,
    ),
    (
        "--split-max-size 1M",
        &["ecf7edbce0980be6dc53b934334d0b8cb61f93589280a22ce84d01aa82a6f222"],
        JOINED,
    ),
];

const JOINED: &str = "27bd9f5f661596600ad326df2f27090249314b6422dc399505d0d2074ac410be";

#[test]
fn where_a_file_is_split() {
    let folder = folder();
    let tensors = |line: &str| -> Vec<u64> {
        let json = folder.run(&format!("split model.gguf {line} --dry-run --json -q")).json();
        let files = json["files"].as_array().unwrap().iter();
        files.map(|file| file["tensors"].as_u64().unwrap()).collect()
    };
    assert_eq!(tensors(""), [6]);
    assert_eq!(tensors("--max-tensors 4"), [4, 2]);
    assert_eq!(tensors("--max-layers 1"), [6]);
    assert_eq!(tensors("--max-layers 1 --no-tensor-first"), [0, 6]);
    assert_eq!(tensors("--max-size 300K"), [2, 1, 1, 1, 1]);
    let ran = folder.run("split model.gguf --max-size 50K --dry-run");
    assert!(ran.stderr.contains("3 files will be larger than --max-size"), "{ran:?}");
}

#[test]
fn a_split_set_is_split_anew_and_joined_into_a_pipe() {
    let folder = folder();
    write_split_set(&folder, "set", 100);
    folder.run("join set-00007-of-00100.gguf --quiet").ok();
    let whole = fs::read(folder.path("set.gguf")).unwrap();
    let mut command = folder.command("join set-00001-of-00100.gguf -o -");
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert!(output.stdout == whole && output.stderr.is_empty());
    folder.run("split set-00050-of-00100.gguf less --max-tensors 40 --quiet").ok();
    folder.run("join less-00001-of-00003.gguf --quiet").ok();
    assert!(fs::read(folder.path("less.gguf")).unwrap() == whole);
    assert_eq!(folder.run("join set-00001-of-00100.gguf a.gguf --consume --quiet").ok(), "");
    assert!(fs::read(folder.path("a.gguf")).unwrap() == whole);
    assert!(folder.names().iter().all(|name| !name.starts_with("set-")), "{:?}", folder.names());
}

#[test]
fn what_cannot_be_split_or_joined() {
    let folder = folder();
    write_split_set(&folder, "set", 3);
    folder.write("named-00001-of-00001.gguf", model());
    for (line, part) in [
        ("split none.gguf", "none.gguf"),
        ("split model.gguf no/such", "no does not exist"),
        ("join model.gguf", "name one of the files to join"),
        ("join named-00001-of-00001.gguf", "lack split.count"),
        ("join set-00001-of-00003.gguf -o set-00002-of-00003.gguf", "is also an input"),
        ("join set-00001-of-00003.gguf -o - --consume", "--consume deletes parts only when"),
        ("join set-00001-of-00003.gguf -o - --json", "--json"),
    ] {
        let message = folder.run(line).failure();
        assert!(message.contains(part), "{line}: {message}");
    }
    fs::remove_file(folder.path("set-00002-of-00003.gguf")).unwrap();
    for more in ["", "--consume"] {
        let message = folder.run(&format!("join set-00001-of-00003.gguf {more}")).failure();
        assert!(message.contains("set-00002-of-00003.gguf"), "{message}");
        assert!(
            folder.path("set-00001-of-00003.gguf").exists() && !folder.path("set.gguf").exists()
        );
    }
}
