//! `granule measure`: perplexity and divergence.

use granule_format::{Array, Metadata};

use crate::common::{Folder, edited};
use crate::imatrix::{TEXT, folder};

fn measured(folder: &Folder, line: &str) -> serde_json::Value {
    folder.run(&format!("measure {line} --json")).json()
}

fn number(json: &serde_json::Value, pointer: &str) -> f64 {
    json.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap_or_else(|| {
        panic!("{pointer} in {json}");
    })
}

#[test]
fn quantizing_costs_and_less_bits_cost_more() {
    let folder = folder();
    for ty in ["Q8_0", "Q2_K"] {
        folder.run(&format!("convert ck -t {ty} -o {ty}.gguf --quiet")).ok();
    }
    let options = "--text text.txt -c 32 --chunks 3";
    let json =
        measured(&folder, &format!("ck Q8_0.gguf Q2_K.gguf --against ck {options} --weights"));
    let divergence = |model| number(&json, &format!("/models/{model}/divergence/value"));
    let [same, q8, q2] = [0, 1, 2].map(divergence);
    assert!(same.abs() < 1e-6 && q8 > same && q2 > 10.0 * q8, "{same} {q8} {q2}");
    assert_eq!(number(&json, "/models/0/same_top/value"), 1.0);
    let ppl = [
        "/original/perplexity/value",
        "/models/0/perplexity/value",
        "/models/2/base_perplexity/value",
    ];
    let ppl = ppl.map(|of| number(&json, of));
    assert!(ppl.iter().all(|other| (other - ppl[0]).abs() < 1e-4 * ppl[0]), "{ppl:?}");
    // Q8_0 against Q2_K: the whole interval is below zero
    let pair = json["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|pair| pair["first"] == "Q8_0.gguf" && pair["second"] == "Q2_K.gguf");
    let pair = pair.unwrap();
    assert!(number(pair, "/interval/1") < 0.0 && number(pair, "/first_smaller") > 0.9, "{pair}");
    let error = |model, tensor: &str| {
        let tensors = json["models"][model]["tensors"].as_array().unwrap();
        let tensor = tensors.iter().find(|of| of["name"] == tensor).unwrap();
        tensor["relative_error"].as_f64().unwrap()
    };
    let name = "blk.0.attn_q.weight";
    assert_eq!(error(0, name), 0.0);
    assert!(error(1, name) > 0.001 && error(2, name) > 0.1);
    let text = folder.run(&format!("measure Q8_0.gguf Q2_K.gguf --against ck {options}")).ok();
    for part in ["perplexity of the base", "99.9 %", "same top token", "95 % interval"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_base_serves_many_models_in_both_forms() {
    let folder = folder();
    folder.run("convert ck -t Q4_0 -o q.gguf --quiet").ok();
    let options = "--text text.txt -c 32 --chunks 3";
    let live = measured(&folder, &format!("q.gguf --against ck {options}"));
    let live = number(&live, "/models/0/divergence/value");
    for (form, most) in [("sparse", 1e-9), ("llama", 1e-4)] {
        let line = format!("ck --save-base {form}.base --base-form {form} {options}");
        let original = measured(&folder, &line);
        assert!(original["models"][0]["divergence"].is_null(), "{original}");
        for texts in ["", options] {
            let found = measured(&folder, &format!("q.gguf --base {form}.base {texts}"));
            let found = number(&found, "/models/0/divergence/value");
            assert!((found - live).abs() <= most, "{form}: {found} {live}");
        }
    }
    folder.write("other.txt", TEXT.to_uppercase());
    let line = "measure q.gguf --base llama.base --text other.txt -c 32 --chunks 3";
    let message = folder.run(line).failure();
    assert!(message.contains("measure with the text that the base was made with"), "{message}");
    let whole = std::fs::read(folder.path("llama.base")).unwrap();
    folder.write("cut.base", &whole[..whole.len() - 1]);
    let message = folder.run("measure q.gguf --base cut.base").failure();
    assert!(message.contains("cut.base: the file has"), "{message}");
}

/// What the parts of a run say together is what a single run says.
#[test]
fn parts_say_what_a_single_run_says() {
    let folder = folder();
    folder.run("convert ck -t Q4_0 -o q.gguf --quiet").ok();
    let options = "--text text.txt -c 16 --chunks 4";
    folder.run(&format!("measure ck --save-base all.base {options}")).ok();
    for line in [format!("q.gguf --against ck {options}"), "q.gguf --base all.base".to_owned()] {
        for part in 1..=3 {
            let json = measured(&folder, &format!("{line} --part {part}/3 -o {part}.part"));
            let expected = (serde_json::json!(4), serde_json::json!(format!("{part}/3")));
            assert_eq!((&json["of_chunks"], &json["part"]), (&expected.0, &expected.1));
        }
        let whole = measured(&folder, &line);
        let merged = measured(&folder, "--merge 3.part 1.part 2.part");
        assert_eq!(merged, whole, "{line}");
    }
    let text = folder.run("measure --merge 3.part 1.part 2.part").ok();
    assert_eq!(folder.run("measure q.gguf --base all.base").ok(), text);
    let message = folder.run("measure --merge 3.part 1.part").failure();
    assert!(message.contains("1 of 3 parts are missing, the first is part 2/3"), "{message}");
}

/// What went through blocks is no original, and `inspect` says so.
#[test]
fn quantized_originals_are_refused() {
    let folder = folder();
    folder.run("convert ck -t Q4_1 --pure -o q.gguf --quiet").ok();
    folder.run("convert q.gguf -t BF16 --allow-requantize -o wide.gguf --quiet").ok();
    let line = "measure q.gguf --against wide.gguf --text text.txt -c 32 --chunks 1";
    let message = folder.run(line).failure();
    assert!(message.contains("15 tensors lie on the grid of Q4_1"), "{message}");
    folder.run(&format!("{line} --allow-quantized-original --quiet")).ok();
    let said = folder.run("inspect wide.gguf --totals").ok();
    assert!(said.contains("Weights of 15 tensors lie on the grid of Q4_1"), "{said}");
    let json = folder.run("inspect wide.gguf --json").json();
    assert_eq!(json["totals"]["on_grid"], serde_json::json!({ "Q4_1": 15 }));
}

#[test]
fn texts_and_models_that_cannot_be_measured() {
    let folder = folder();
    folder.run("convert ck --outtype bf16 -o m.gguf --quiet").ok();
    folder.write("latin1.txt", b"caf\xe9 au lait");
    folder.write("empty.txt", " \n");
    folder.write("short.txt", "too short");
    let without = |metadata: &mut Metadata| _ = metadata.remove("tokenizer.ggml.model");
    edited(&folder, "m.gguf", "mute.gguf", without, |_, _| {});
    let larger = |metadata: &mut Metadata| {
        let tokens = (0..600).map(|token| format!("t{token}").into_bytes());
        metadata.set("tokenizer.ggml.tokens", Array::String(tokens.collect()));
        metadata.set("tokenizer.ggml.token_type", Array::I32(vec![1; 600]));
        metadata.set("tokenizer.ggml.scores", Array::F32(vec![0.0; 600]));
    };
    edited(&folder, "m.gguf", "larger.gguf", larger, |_, _| {});
    let before = folder.names();
    for (what, part) in [
        ("m.gguf --text latin1.txt", "latin1.txt: the text is not in UTF-8 (byte 3"),
        ("m.gguf --text empty.txt", "empty.txt: the text is empty"),
        ("m.gguf --text short.txt", "and a chunk 512: give a longer text"),
        ("m.gguf --text nosuch.txt", "cannot read the text nosuch.txt"),
        ("m.gguf --text text.txt -c 3", "chunks of 3 tokens are too short"),
        ("m.gguf --text text.txt -c 32 --skip-chunks 99", "give a longer text"),
        ("mute.gguf --text text.txt", "the file has no tokenizer"),
        ("larger.gguf --text text.txt", "the tokenizer has 600 tokens, but the embedding 512 rows"),
    ] {
        for line in [
            format!("imatrix {what} -o out.gguf"),
            format!("measure {what}"),
            format!("measure {what} --save-base out.base"),
        ] {
            let message = folder.run(&line).failure();
            assert!(message.contains(part), "{line}: {message}");
            assert_eq!(folder.names(), before, "{line}");
        }
    }
    let line = "measure m.gguf m.gguf --text text.txt --save-base out.base";
    assert!(folder.run(line).failure().contains("name the original with --against"));
}
