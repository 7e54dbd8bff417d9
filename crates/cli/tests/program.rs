//! The program as a whole, and `granule types`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::Folder;
use granule_format::BlockType;
use granule_reader::isa::Isa;

#[test]
fn help_and_version_succeed() {
    let folder = Folder::new();
    for line in
        ["--help", "-h", "help", "types --help", "inspect --help", "check --help", "explain --help"]
    {
        assert!(folder.run(line).ok().contains("Usage: granule"), "{line}");
    }
    assert_eq!(folder.run("--version").ok(), concat!("granule ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_usage_has_status_2() {
    let folder = Folder::new();
    for line in ["", "fly", "inspect", "inspect a b", "inspect a --fly", "types a", "check"] {
        let ran = folder.run(line);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{line}: {ran:?}");
        assert!(ran.stderr.contains("Usage: granule"), "{line}: {ran:?}");
    }
}

#[test]
fn an_instruction_set_that_is_not_there_is_said_and_listed() {
    let folder = Folder::new();
    let run = |name: &str| {
        let output = folder.command("types").env("GRANULE_ISA", name).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), output.stdout.is_empty(), stderr)
    };
    let available: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
    let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
    for name in ["avx5l2", "AVX2 ", "best", foreign] {
        let (status, is_silent, stderr) = run(name);
        assert_eq!((status, is_silent), (Some(2), true), "{name}: {stderr}");
        assert!(stderr.contains("GRANULE_ISA") && stderr.contains(name), "{stderr}");
        assert!(stderr.contains(&available.join(", ")), "{stderr}");
    }
    for name in ["", "scalar", "SCALAR", available[available.len() - 1]] {
        let (status, is_silent, stderr) = run(name);
        assert_eq!((status, is_silent, stderr.as_str()), (Some(0), false, ""), "{name}");
    }
}

#[test]
fn types_has_a_row_for_each_type() {
    let text = Folder::new().run("types").ok();
    assert_eq!(text.lines().count(), BlockType::ALL.len() + 1, "{text}");
    for (ty, line) in BlockType::ALL.iter().zip(text.lines().skip(1)) {
        let cells: Vec<_> = line.split_whitespace().collect();
        assert_eq!(cells[0], ty.name());
        assert_eq!(cells[1], ty.id().to_string());
        assert_eq!(cells[2], ty.block_values().to_string());
        assert_eq!(cells[3], ty.block_bytes().to_string());
        assert_eq!(cells[4], ty.bits_per_value().to_string());
    }
}

#[test]
fn types_as_json() {
    let json = Folder::new().run("types --json").json();
    let rows = json.as_array().unwrap();
    assert_eq!(rows.len(), BlockType::ALL.len());
    let row = rows.iter().find(|row| row["name"] == "Q4_K").unwrap();
    assert_eq!(row["id"], 12);
    assert_eq!(row["block_values"], 256);
    assert_eq!(row["block_bytes"], 144);
    assert_eq!(row["bits_per_value"], 4.5);
    assert_eq!(row["decode"], true);
    let row = rows.iter().find(|row| row["name"] == "I64").unwrap();
    assert_eq!((&row["encode"], &row["importance"]), (&false.into(), &serde_json::Value::Null));
}
