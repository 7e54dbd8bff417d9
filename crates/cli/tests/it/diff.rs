//! `granule diff`.

use granule_format::Array;

use crate::common::{Folder, assert_golden, copy_checkpoint, edited, model};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("a.gguf", model());
    folder
}

#[test]
fn the_same_model_in_other_files() {
    let folder = folder();
    folder.run("split a.gguf part --max-tensors 2 --quiet").ok();
    let said = folder.run("diff a.gguf a.gguf").ok();
    assert_eq!(said, "metadata: no difference\ntensors: no difference, 6 are the same\n");
    let said = folder.run("diff a.gguf part-00003-of-00003.gguf --tensors").ok();
    assert_eq!(said, "tensors: no difference, 6 are the same\n");
    let ran = folder.run("diff a.gguf part-00003-of-00003.gguf --metadata");
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("metadata: 3 keys differ\n  + split.no: 0\n"), "{ran:?}");
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    folder.run("convert ck -o ck.gguf --quiet").ok();
    folder.run("diff ck ck.gguf").ok();
}

#[test]
fn differences() {
    let folder = folder();
    edited(
        &folder,
        "a.gguf",
        "b.gguf",
        |metadata| {
            metadata.set("general.name", "Other \x1b name");
            metadata.remove("llama.context_length");
            metadata.set("llama.block_count", 1_u64);
            metadata.set("tokenizer.ggml.tokens", Array::String(["a", "b"].iter().collect()));
        },
        |name, bytes| match name {
            "blk.0.attn_q.weight" => bytes[3] ^= 0x80,
            "output.weight" => bytes.iter_mut().skip(3).step_by(4).for_each(|byte| *byte ^= 0x80),
            _ => {}
        },
    );
    let ran = folder.run("diff a.gguf b.gguf");
    assert_eq!((ran.status, ran.stderr.as_str()), (1, ""), "{ran:?}");
    assert_golden("diff.txt", &ran.stdout);
    edited(
        &folder,
        "b.gguf",
        "c.gguf",
        |metadata| {
            metadata.set("tokenizer.ggml.tokens", Array::String(["a", "c", "d"].iter().collect()));
        },
        |_, _| {},
    );
    let ran = folder.run("diff b.gguf c.gguf --json");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.status, &json["same"]), (1, &false.into()), "{ran:?}");
    let tokens = &json["metadata"][0];
    assert_eq!(
        (&tokens["key"], &tokens["differing_elements"]),
        (&"tokenizer.ggml.tokens".into(), &2.into())
    );
    assert_eq!(
        tokens["first_differing"][1],
        serde_json::json!({"index": 2, "before": null, "after": "d"})
    );
    assert_eq!(json["tensors"]["same"], 6);
}

#[test]
fn types_names_and_shapes() {
    let folder = folder();
    folder.run("convert a.gguf -t Q8_0 -o q.gguf --quiet").ok();
    let ran = folder.run("diff a.gguf q.gguf --tensors --json");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let differences = json["tensors"]["differences"].as_array().unwrap();
    assert_eq!((ran.status, differences.len()), (1, 5), "{ran:?}");
    let relative = |i: usize| differences[i]["errors"]["relative"].as_f64().unwrap();
    assert!((0..4).all(|i| relative(i) >= relative(i + 1)), "the worst first: {json}");
    assert!(relative(0) < 0.01 && relative(4) > 0.001, "{json}");
    folder
        .run("edit a.gguf --rename-tensors ^output=other --set general.name=B -o r.gguf --quiet")
        .ok();
    let ran = folder.run("diff a.gguf r.gguf --filter output|other");
    assert_eq!(
        ran.stdout,
        "metadata: no difference\n\
         tensors: 1 differ, 0 are the same\n  output.weight -> other.weight\n"
    );
    let said = folder.run("diff a.gguf r.gguf --filter attn").ok();
    assert_eq!(said, "metadata: no difference\ntensors: no difference, 3 are the same\n");
    assert_eq!(folder.run("diff a.gguf r.gguf --quiet").stdout, "");
    for (line, part) in [
        ("diff a.gguf none.gguf", "none.gguf"),
        ("diff a.gguf r.gguf --filter nosuch", "no name matches --filter \"nosuch\""),
        ("diff a.gguf r.gguf --filter (", "is not a regular expression"),
    ] {
        let message = folder.run(line).failure();
        assert!(message.contains(part), "{line}: {message}");
    }
}
