//! `granule edit`.

use std::fs;

use granule_format::{Array, Metadata, Value};
use granule_reader::Model;

use crate::common::{Folder, copy_checkpoint, edited, model};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("plain.gguf", model());
    edited(
        &folder,
        "plain.gguf",
        "a.gguf",
        |metadata| {
            let tokens = (0..40).map(|i| format!("t{i}"));
            metadata.set("tokenizer.ggml.model", "gpt2");
            metadata.set("tokenizer.ggml.tokens", Array::String(tokens.collect()));
            metadata.set("tokenizer.ggml.merges", Array::String(["t 1"].iter().collect()));
            metadata.set("tokenizer.ggml.token_type", Array::I32(vec![1; 40]));
            metadata.set("tokenizer.chat_template", "{{ old }}");
        },
        |_, _| {},
    );
    folder
}

fn metadata(folder: &Folder, name: &str) -> Metadata {
    Model::open(folder.path(name)).unwrap().metadata().clone()
}

/// The data of all tensors is that of `model()`.
#[track_caller]
fn same_data(folder: &Folder, name: &str) {
    folder.run(&format!("diff plain.gguf {name} --tensors --quiet")).ok();
    folder.run(&format!("check {name}")).ok();
}

#[test]
fn a_value_of_the_same_length_is_written_over() {
    let folder = folder();
    let before = fs::read(folder.path("a.gguf")).unwrap();
    let said = folder.run("edit a.gguf --set llama.context_length=128").ok();
    let expected = "  ~ llama.context_length: 64 -> 128\n\
                    a.gguf: edited in place, 1 B of the header\n";
    assert_eq!(said, expected);
    let after = fs::read(folder.path("a.gguf")).unwrap();
    let differing = before.iter().zip(&after).filter(|(old, new)| old != new).count();
    assert_eq!((before.len(), differing), (after.len(), 1));
    assert_eq!(folder.names(), ["a.gguf", "plain.gguf"]);
    same_data(&folder, "a.gguf");
    let said = folder.run("edit a.gguf --set llama.context_length=128").ok();
    assert_eq!(said, "a.gguf: nothing to change\n");
    // what is removed leaves room, which a later edit uses
    let said = folder.run("edit a.gguf --remove llama.context_length").ok();
    assert!(said.contains("edited in place"), "{said}");
    same_data(&folder, "a.gguf");
    folder.run("edit a.gguf --set llama.context_length=u32:128 --quiet").ok();
    assert_eq!(fs::read(folder.path("a.gguf")).unwrap().len(), after.len());
    folder.run("diff a.gguf a.gguf --metadata").ok();
    assert_eq!(metadata(&folder, "a.gguf").get("llama.context_length"), Some(&128_u32.into()));
}

#[test]
fn room_is_reserved_and_used() {
    let folder = folder();
    let said = folder.run("edit a.gguf --reserve 4K").ok();
    assert!(said.starts_with("a.gguf: written, ") && said.contains("; room for "), "{said}");
    let bytes = fs::metadata(folder.path("a.gguf")).unwrap().len();
    let template = "{% for m in messages %}{{ m }}{% endfor %}\n".repeat(50);
    folder.write("new.jinja", &template);
    let said = folder.run("edit a.gguf --chat-template new.jinja").ok();
    assert!(said.contains("a.gguf: edited in place"), "{said}");
    assert_eq!(fs::metadata(folder.path("a.gguf")).unwrap().len(), bytes);
    let found = metadata(&folder, "a.gguf");
    assert_eq!(found.text("tokenizer.chat_template").unwrap(), Some(template.as_str()));
    same_data(&folder, "a.gguf");
    // more than there is room for
    folder.write("large.jinja", template.repeat(4));
    let said = folder.run("edit a.gguf --set-from tokenizer.chat_template=large.jinja").ok();
    assert!(said.contains("a.gguf: written"), "{said}");
    same_data(&folder, "a.gguf");
    let said = folder.run("edit a.gguf --copy").ok();
    assert!(said.starts_with("a.gguf: written"), "{said}");
    assert_eq!(metadata(&folder, "a.gguf").get("granule.room"), None);
}

#[test]
fn everything_that_can_be_set() {
    let folder = folder();
    folder.write("types.txt", "1\n".repeat(39) + "3\n");
    let tokens: Vec<String> = (0..40).map(|i| format!("x{i}")).collect();
    folder.write("tokens.json", serde_json::to_string(&tokens).unwrap());
    let config = r#"{"chat_template": [{"name": "default", "template": "d"},
                                       {"name": "tool_use", "template": "t"}]}"#;
    folder.write("tokenizer_config.json", config);
    folder
        .run(
            "edit a.gguf -o b.gguf --general-name New --general-description Text \
             --pre-tokenizer default --special-token eos=t7 --rename general.name=general.basename \
             --set a.b=f32:0.5 --set a.c=bool:true --set a.d=i32[]:[1,-2] \
             --set tokenizer.ggml.tokens[3]=other --set-from tokenizer.ggml.token_type=types.txt \
             --chat-template tokenizer_config.json --set a.e=u8:7 --quiet",
        )
        .ok();
    let found = metadata(&folder, "b.gguf");
    for (key, value) in [
        ("general.basename", Value::from("Tiny")),
        ("general.name", "New".into()),
        ("general.description", "Text".into()),
        ("tokenizer.ggml.pre", "default".into()),
        ("tokenizer.ggml.eos_token_id", 7_u32.into()),
        ("a.b", 0.5_f32.into()),
        ("a.c", true.into()),
        ("a.d", Array::I32(vec![1, -2]).into()),
        ("a.e", 7_u8.into()),
        ("tokenizer.chat_template", "d".into()),
        ("tokenizer.chat_template.tool_use", "t".into()),
    ] {
        assert_eq!(found.get(key), Some(&value), "{key}");
    }
    let tokens = found.strings("tokenizer.ggml.tokens").unwrap().unwrap();
    assert_eq!(tokens.get_str(3), Some("other"));
    let Some(Value::Array(Array::I32(types))) = found.get("tokenizer.ggml.token_type") else {
        panic!("{found:?}");
    };
    assert_eq!((types.len(), types[39]), (40, 3));
    same_data(&folder, "b.gguf");
    folder.run("edit b.gguf --set-from tokenizer.ggml.tokens=tokens.json --quiet").ok();
    // an alignment moves every tensor
    folder.run("edit b.gguf --set general.alignment=u32:64 --quiet").ok();
    same_data(&folder, "b.gguf");
    let json =
        folder.run("edit b.gguf --rename-tensors ^output\\.=out. --remove a.b --dry-run --json");
    let json = json.json();
    assert_eq!(json["renamed_tensors"][0]["after"], "out.weight");
    assert_eq!(json["metadata"][0]["key"], "a.b");
    same_data(&folder, "b.gguf");
}

#[test]
fn what_is_refused() {
    let folder = folder();
    let before = fs::read(folder.path("a.gguf")).unwrap();
    for (line, part) in [
        ("--set llama.block_cont=2", "did you mean llama.block_count?"),
        ("--set llama.block_count=x", "\"x\" is not an integer of 32 bits without a sign"),
        ("--set block", "is not of the form KEY=VALUE"),
        ("--remove nosuch", "no key \"nosuch\""),
        ("--rename nosuch=x", "no key \"nosuch\""),
        ("--rename general.name=llama.block_count", "already has a key"),
        ("--rename-tensors nosuch=x", "no tensor name matches \"nosuch\""),
        ("--rename-tensors attn_.=x", "two tensors would be called"),
        ("--special-token eos=nosuch", "no token \"nosuch\""),
        ("--special-token end=t1", "it can be bos, eos"),
        ("--set general.alignment=u32:3", "alignment"),
        ("--set tokenizer.ggml.eos_token_id=u32:99", "the file would be invalid"),
        ("--set general.architecture=u32:1", "the file would be invalid"),
        ("--set-from general.name=none.txt", "none.txt"),
        ("--chat-template none.txt", "none.txt"),
        ("-o a.gguf", "is also an input"),
    ] {
        let message = folder.run(&format!("edit a.gguf {line}")).failure();
        assert!(message.contains(part), "{line}: {message}");
    }
    assert!(fs::read(folder.path("a.gguf")).unwrap() == before);
    folder.write("text.gguf", "text");
    assert!(folder.run("edit text.gguf").failure().contains("text.gguf"));
}

/// Which tensors a model needs is looked up if an edit can change what is found.
#[test]
fn a_tensor_that_is_needed_stays() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    folder.run("convert ck -o a.gguf --quiet").ok();
    let refused = "tensor \"output_norm.weight\": found nothing";
    let rename = "--rename-tensors ^output_norm=x";
    assert!(folder.run(&format!("edit a.gguf {rename}")).failure().contains(refused));
    // an adapter needs none
    let line = format!("edit a.gguf -o b.gguf {rename} --set general.type=str:adapter --quiet");
    folder.run(&line).ok();
    assert!(folder.run("edit b.gguf --set general.type=str:model").failure().contains(refused));
    folder.run("edit b.gguf --general-name Other --quiet").ok();
}

/// A file with the record of an edit is not read before it is put right.
#[test]
fn an_edit_that_was_interrupted_is_noticed() {
    let folder = folder();
    folder.write(".a.gguf.undo", "nothing that an edit has left");
    for line in ["inspect", "check", "hash", "edit --dry-run", "split", "convert -t Q8_0"] {
        let (command, more) = line.split_once(' ').unwrap_or((line, ""));
        let message = folder.run(&format!("{command} a.gguf {more}")).failure();
        assert!(message.contains("`granule edit a.gguf` puts it right"), "{line}: {message}");
    }
    let message = folder.run("edit a.gguf").failure();
    assert!(message.contains(".a.gguf.undo is no record of an edit"), "{message}");
    fs::remove_file(folder.path(".a.gguf.undo")).unwrap();
    assert_eq!(folder.run("edit a.gguf").ok(), "a.gguf: nothing to change\n");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_kept() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    fs::create_dir(folder.path("disk")).unwrap();
    fs::rename(folder.path("a.gguf"), folder.path("disk/real.gguf")).unwrap();
    symlink("disk/real.gguf", folder.path("a.gguf")).unwrap();
    for line in ["--set llama.context_length=99", "--set a.b=str:text"] {
        folder.run(&format!("edit a.gguf {line} --quiet")).ok();
        assert!(fs::symlink_metadata(folder.path("a.gguf")).unwrap().is_symlink());
    }
    folder.write("disk/.real.gguf.undo", "");
    assert!(folder.run("inspect a.gguf").failure().contains("`granule edit a.gguf`"));
}
