//! `granule arch check`

use std::path::Path;

use crate::common::{Folder, copy_checkpoint};
use serde_json::json;

const GOOD: &str = r#"
name = "example"
classes = ["ExampleForCausalLM"]
use = ["attention-sizes", "embedding", "norms", "attention", "gated"]
tokenizers = ["byte-level-bpe"]
metadata = ["text-model"]
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("good.toml", GOOD);
    let bad = GOOD.replace(
        r#"["text-model"]"#,
        r#"["text-model", { key = "rope.dimension_count", u32 = "haed ?? skip" }]"#,
    );
    folder.write("bad.toml", bad.replace("\"norms\"", "\"nroms\""));
    let doubtful = GOOD.replace(
        r#"["text-model"]"#,
        r#"["text-model", { key = "attention.hed_count", u32 = 1 }]"#,
    );
    folder.write("doubtful.toml", doubtful);
    folder
}

#[test]
fn every_mistake_has_its_line_and_the_status_is_1() {
    let folder = folder();
    assert_eq!(folder.run("arch check good.toml").ok(), "good.toml: valid\n");
    let ran = folder.run("arch check bad.toml good.toml");
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""), "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "bad.toml: error: line 4: there is no group \"nroms\" to use; did you mean \"norms\"?",
            "bad.toml: error: line 6: expression \"haed ?? skip\": the name \"haed\" is unknown; \
             did you mean \"head\"?",
            "bad.toml: invalid: 2 errors",
            "good.toml: valid",
        ]
    );
    let quiet = folder.run("arch check bad.toml --quiet");
    assert_eq!((quiet.status, quiet.stdout.as_str()), (1, ""));
}

#[test]
fn doubts_are_warnings() {
    let folder = folder();
    let ran = folder.run("arch check doubtful.toml");
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.starts_with("doubtful.toml: warning: line 6: "), "{ran:?}");
    assert!(ran.stdout.contains("did you mean \"attention.head_count\"?"), "{ran:?}");
    assert!(ran.stdout.ends_with("doubtful.toml: valid, 1 warning\n"), "{ran:?}");
    assert_eq!(folder.run("arch check doubtful.toml --strict").status, 1);
}

#[test]
fn json_has_the_same() {
    let folder = folder();
    let ran = folder.run("arch check good.toml bad.toml --json");
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""), "{ran:?}");
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found[0], json!({"schema": 1, "path": "good.toml", "valid": true, "findings": []}));
    assert_eq!(found[1]["valid"], false);
    assert_eq!(found[1]["findings"][0]["line"], 4);
    assert_eq!(found[1]["findings"][1]["severity"], "error");
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure_and_the_others_are_checked() {
    let folder = folder();
    let ran = folder.run("arch check absent.toml good.toml");
    assert_eq!((ran.status, ran.stdout.as_str()), (2, "good.toml: valid\n"), "{ran:?}");
    assert!(ran.stderr.starts_with("granule: error: cannot read"), "{ran:?}");
    assert!(ran.stderr.contains("absent.toml: "), "{ran:?}");
    assert_eq!(folder.run("arch check").status, 2);
    assert_eq!(folder.run("arch").status, 2);
}

/// A conversion says the first mistake, and how to see the others.
#[test]
fn a_conversion_refuses_a_misspelt_description() {
    let folder = folder();
    let checkpoint =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints/llama2-spm-256");
    let ran = folder.command("convert").arg(checkpoint).args(["--arch", "bad.toml"]).output();
    let ran = ran.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert!(said.contains("bad.toml") && said.contains("line 4"), "{said}");
    assert!(said.contains("1 more") && said.contains("granule arch check"), "{said}");
}

/// A class that no description has is compared with those that are known, and a description can be
/// tried on it.
#[test]
fn an_unknown_class_is_converted_like_its_relative() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    let expected = folder.run("convert ck --outtype f16 -o known.gguf").ok();
    let config = std::fs::read_to_string(folder.path("ck/config.json")).unwrap();
    let config = config.replace("LlamaForCausalLM", "MyLlamaForCausalLM");
    folder.write("ck/config.json", config);
    let said = folder.run("convert ck --outtype f16 -o new.gguf").failure();
    for part in ["\"MyLlamaForCausalLM\" is unknown, but it looks like ", "`--arch "] {
        assert!(said.contains(part), "{part} in {said}");
    }
    folder.run("convert ck --outtype f16 -o new.gguf --arch llama").ok();
    let bytes = |name: &str| std::fs::read(folder.path(name)).unwrap();
    assert!(bytes("known.gguf") == bytes("new.gguf"), "{expected}");
    // without a class, too
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path("ck/config.json")).unwrap()).unwrap();
    config.as_object_mut().unwrap().remove("architectures");
    folder.write("ck/config.json", config.to_string());
    let said = folder.run("convert ck --outtype f16 -o bare.gguf").failure();
    assert!(said.contains("no \"architectures\" with the model's class, but it looks"), "{said}");
    folder.run("convert ck --outtype f16 -o bare.gguf --arch llama").ok();
    assert!(bytes("known.gguf") == bytes("bare.gguf"));
    let said = folder.run("convert ck -o other.gguf --arch lama").failure();
    assert!(said.contains("\"lama\"; did you mean \"llama\"?"), "{said}");
    let said = folder.run("convert ck -o other.gguf --arch lama.toml").failure();
    assert!(said.contains("lama.toml: "), "{said}");
}
