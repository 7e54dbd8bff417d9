//! The program as a whole, and `granule types`.

use std::fs;

use crate::common::{Folder, assert_golden, copy_checkpoint, matrix, model};
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
    for line in ["", "fly", "inspect", "inspect a --fly", "types a", "check"] {
        let ran = folder.run(line);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{line}: {ran:?}");
        assert!(ran.stderr.contains("Usage: granule"), "{line}: {ran:?}");
    }
}

/// One form from the first to the last: what `clap` finds wrong looks like everything else.
#[test]
fn messages_have_one_form() {
    let folder = Folder::new();
    folder.write("bad.txt", "attn_q=q8_0 attn_v=q9");
    let mut said = String::new();
    for line in [
        "inspcet a.gguf",
        "fly",
        "dump a.gguf",
        "inspect",
        "inspect a.gguf --metdata",
        "inspect a.gguf --no-tensors",
        "inspect a.gguf --filter a(",
        "types a",
        "check a.gguf --json --quiet",
        "explain T12",
        "export a.gguf -o d -t F8",
        "export a.gguf -o d --outtype f16",
        "convert",
        "convert a.gguf -t Q4_K_X",
        "convert a.gguf -t best",
        "convert a.gguf --outtype f61",
        "convert a.gguf --outtype q4_k_m",
        "convert a.gguf --remote",
        "convert a.gguf --custom-q attn=q8_0",
        "convert a.gguf -t Q4_0 --tensor-type attn",
        "convert a.gguf -t Q4_0 --tensor-type attn=q4k",
        "convert a.gguf -t Q4_0 --override-kv a=u32:1",
        "convert a.gguf -t Q4_0 --override-kv a",
        "convert a.gguf -t Q4_0 --prune-layers 1-2",
        "convert a.gguf -t Q4_0 --split-max-size 5GB",
        "convert a.gguf -t Q4_0 -j many",
        "convert a.gguf -t Q4_0 -o",
        "quantize --tensor-type-file nosuch a b Q4_K_M",
        "quantize --tensor-type-file bad.txt a b Q4_K_M",
        "convert a.gguf -t Q4_0",
        "convert a.gguf",
    ] {
        let message = folder.run(line).failure();
        assert!(!message.contains("error: error") && !message.contains("For more"), "{message}");
        said += &format!("$ granule {line}\n{message}\n");
    }
    assert_golden("messages.txt", &said);
    let missing = folder.run("convert a.gguf -t Q4_0 --imatrix").failure();
    assert!(missing.contains("Usage: granule convert "), "{missing}");
}

/// Colours only where they are wanted; the tests' standard error is no terminal.
#[test]
fn messages_have_colours_on_terminals_alone() {
    let folder = Folder::new();
    for line in ["convert a.gguf --remote", "inspect a.gguf"] {
        for (force, no_color, coloured) in
            [(None, None, false), (Some("1"), None, true), (Some("1"), Some("1"), false)]
        {
            let mut command = folder.command(line);
            for (name, value) in [("CLICOLOR_FORCE", force), ("NO_COLOR", no_color)] {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            let message = String::from_utf8(command.output().unwrap().stderr).unwrap();
            assert_eq!(message.contains('\x1b'), coloured, "{line} {force:?}: {message:?}");
            assert!(message.starts_with("granule: "), "{message:?}");
        }
    }
}

/// Every command has `--json`, as `docs/program.md` says, but the one that prints scripts.
#[test]
fn every_command_has_json_with_a_schema() {
    let folder = Folder::new();
    let help = folder.run("--help").ok();
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let commands: Vec<&str> =
        commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for command in commands.into_iter().filter(|it| !["help", "completions"].contains(it)) {
        let command = if command == "arch" { "arch check" } else { command };
        let help = folder.run(&format!("{command} --help")).ok();
        assert!(help.contains("--json"), "{command}");
    }
    folder.write("a.gguf", model());
    let description =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../checkpoint/src/arch/models/llama.toml");
    folder.write("llama.toml", fs::read(description).unwrap());
    folder.write("b.gguf", model());
    folder.write("a.dat", matrix(&[("a", 4, 1.0)]));
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    // `measure` has tests of its own
    for (line, schema) in [
        ("arch check llama.toml --json", "/0/schema"),
        ("check a.gguf --json", "/0/schema"),
        ("convert a.gguf -t Q8_0 -o c.gguf --json", "/schema"),
        ("convert a.gguf -t Q8_0 --dry-run --json", "/granule_plan"),
        ("convert --print-supported-models --json", "/schema"),
        ("diff a.gguf b.gguf --json", "/schema"),
        ("edit a.gguf --general-name N -o f.gguf --json", "/schema"),
        ("explain --json", "/schema"),
        ("explain D003 --json", "/schema"),
        ("generate ck --prompt a -n 2 --json", "/schema"),
        ("export a.gguf -o d --plain --json", "/schema"),
        ("export a.gguf -o e --plain --json --dry-run", "/schema"),
        ("hash a.gguf --json", "/schema"),
        ("split a.gguf part --max-tensors 3 --json", "/schema"),
        ("join part-00001-of-00002.gguf --json", "/schema"),
        ("imatrix --merge a.dat -o b.dat --json", "/schema"),
        ("inspect a.gguf --json", "/schema"),
        ("inspect a.gguf b.gguf --json", "/1/schema"),
        ("report a.gguf --json", "/schema"),
        ("size a.gguf --json", "/schema"),
        ("types --json", "/schema"),
    ] {
        let json = folder.run(line).json();
        assert_eq!(json.pointer(schema), Some(&1.into()), "{line}: {json}");
    }
    // errors stay text
    folder.run("inspect none.gguf --json").failure();
    folder.run("convert none.gguf -t Q8_0 --json").failure();
    let models = folder.run("convert --print-supported-models --json").json();
    let models_of = "Llama 1 to 3, Mistral, Mixtral";
    let llama = serde_json::json!({
        "models": models_of, "kind": "text", "class": "LlamaForCausalLM", "architecture": "llama"
    });
    assert!(models["models"].as_array().unwrap().contains(&llama));
}

/// Options of the reference's programs, from their own lists: each is an option here, or has an
/// answer of its own.
#[test]
fn options_of_the_reference_are_known_or_answered() {
    let folder = Folder::new();
    for (command, options) in [
        (
            "convert",
            "--vocab-only --outfile --outtype --bigendian --use-temp-file --no-lazy --model-name \
             --metadata --split-max-tensors --split-max-size --no-tensor-first-split --dry-run \
             --print-supported-models --verbose --remote --mmproj --mtp --no-mtp --no-nextn \
             --dspark \
             --mistral-format --disable-mistral-community-chat-template \
             --sentence-transformers-dense-modules --fuse-gate-up-exps --fuse-qkv --fp8-as-q8 \
             --target-model-dir --allow-requantize --leave-output-tensor --pure --imatrix \
             --include-weights --exclude-weights --output-tensor-type --token-embedding-type \
             --tensor-type --tensor-type-file --prune-layers --keep-split --override-kv \
             --max-buffer-size --hide-imatrix --ignore-imatrix-rules \
             --per-layer-token-embedding-type --extra-output-tensor --ffn-gate-inp-type --custom-q \
             --repack --repack-pattern --symmetric-q40 --slow-iq2ks --attn-q-type --attn-k-type \
             --attn-v-type --attn-qkv-type --attn-output-type --ffn-gate-type --ffn-down-type \
             --ffn-up-type --partial-requant --split --merge --delete-splits --force \
             --general-name \
             --general-description --chat-template --chat-template-config --chat-template-file \
             --pre-tokenizer --remove-metadata --special-token --special-token-by-id",
        ),
        (
            "inspect",
            "--no-tensors --json --json-array --data-offset --data-alignment --markdown --xxh64 \
             --sha1 \
             --sha256 --uuid --all --no-layer -c --verbose",
        ),
        (
            "edit",
            "--dry-run --force --general-name --general-description --chat-template \
             --chat-template-config --chat-template-file --pre-tokenizer --remove-metadata \
             --special-token --special-token-by-id --verbose",
        ),
        (
            "hash",
            "--xxh64 --sha1 --sha256 --uuid --all --no-layer -c --check --manifest --progressbar",
        ),
        (
            "split",
            "--split --merge --split-max-tensors --split-max-size --no-tensor-first-split \
             --dry-run --delete-splits",
        ),
        ("join", "--merge --split --delete-splits --dry-run"),
    ] {
        for option in options.split_whitespace() {
            let ran = folder.run(&format!("{command} none.gguf {option}"));
            let said = &ran.stderr;
            assert!(!said.contains("did you mean"), "{option}: {said}");
            assert!(!said.contains("unknown option"), "{option}: {said}");
        }
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
    let rows = json["types"].as_array().unwrap();
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
