//! Problems of a checkpoint are found when it is opened, and the error names file and tensor.

use crate::common::encoding;
use std::fs;

use crate::common::folder::{Copy, FILE, INDEX, SHARDED, SINGLE};
use granule_checkpoint::{Checkpoint, CheckpointOptions, OutType};
use granule_reader::Source;
use serde_json::{Map, Value, json};

/// Two layers with four experts each, in three files with an index.
const EXPERTS: &str = "Mixtral-tiny-4x100K-Instruct-v0.1";

impl Copy {
    fn config(&self, key: &str, value: Value) {
        self.json("config.json", |config| drop(config.insert(key.to_owned(), value)));
    }

    fn index(&self, change: impl FnOnce(&mut Map<String, Value>)) {
        self.json(INDEX, |index| change(index["weight_map"].as_object_mut().unwrap()));
    }

    /// Changes the header of a safetensors file as a string.
    fn header(&self, file: &str, change: impl FnOnce(String) -> String) {
        let path = self.path(file);
        let bytes = fs::read(&path).unwrap();
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let header = change(String::from_utf8(header.to_vec()).unwrap());
        let mut out = (header.len() as u64).to_le_bytes().to_vec();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(data);
        fs::write(path, out).unwrap();
    }

    /// Changes the header entry of a tensor.
    fn entry(&self, file: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.header(file, |text| {
            let mut header: Value = serde_json::from_str(&text).unwrap();
            change(&mut header[name]);
            header.to_string()
        });
    }
}

const NORM: &str = "model.norm.weight";

#[test]
fn the_copies_are_good() {
    for name in [SHARDED, SINGLE, EXPERTS] {
        assert_eq!(Copy::of(name).open().unwrap().warnings(), [""; 0], "{name}");
    }
}

#[test]
fn shards_and_index_must_agree() {
    let shard = "model-00003-of-00005.safetensors";
    let copy = Copy::of(SHARDED);
    fs::remove_file(copy.path(shard)).unwrap();
    copy.refused(&[INDEX, shard, "missing from the folder"]);

    let copy = Copy::of(SHARDED);
    copy.index(|map| drop(map.insert(NORM.to_owned(), "../elsewhere.safetensors".into())));
    copy.refused(&[INDEX, NORM, "out of the folder"]);

    let copy = Copy::of(SHARDED);
    copy.index(|map| drop(map.remove(NORM)));
    copy.refused(&[NORM, INDEX, "does not list"]);

    let copy = Copy::of(SHARDED);
    copy.index(|map| drop(map.insert("model.layers.7.x.weight".to_owned(), shard.into())));
    copy.refused(&[INDEX, "model.layers.7.x.weight", shard, "does not hold"]);

    let copy = Copy::of(SHARDED);
    copy.index(|map| drop(map.insert(NORM.to_owned(), shard.into())));
    copy.refused(&[NORM]);

    let copy = Copy::of(SHARDED);
    fs::remove_file(copy.path(INDEX)).unwrap();
    assert!(copy.open().is_ok(), "an index is not needed");
    fs::copy(copy.path(shard), copy.path("model-x.safetensors")).unwrap();
    copy.refused(&["model-x.safetensors", shard, "tensor \""]);

    let copy = Copy::of(SHARDED);
    fs::write(copy.path(INDEX), "{}").unwrap();
    copy.refused(&[INDEX, "weight_map"]);

    let copy = Copy::of(SINGLE);
    fs::remove_file(copy.path(FILE)).unwrap();
    copy.refused(&[SINGLE, "no model*.safetensors"]);
}

#[test]
fn safetensors_are_whole() {
    let bytes = fs::read(Copy::of(SINGLE).path(FILE)).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let copy = Copy::of(SINGLE);
    for end in [0, 1, 7, 8, 9, header - 1, header, header + 1, bytes.len() - 1] {
        fs::write(copy.path(FILE), &bytes[..end]).unwrap();
        copy.refused(&[FILE]);
    }
    fs::write(copy.path(FILE), [&bytes[..], b"x"].concat()).unwrap();
    copy.refused(&[FILE, "truncated or damaged"]);
    let huge = [&(1_u64 << 60).to_le_bytes(), &bytes[8..]].concat();
    fs::write(copy.path(FILE), huge).unwrap();
    copy.refused(&[FILE, "header", "truncated"]);
    let not_utf8 = [&bytes[..12], &[0xff], &bytes[13..]].concat();
    fs::write(copy.path(FILE), not_utf8).unwrap();
    copy.refused(&[FILE, "JSON"]);
    fs::write(copy.path(FILE), "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
        .unwrap();
    copy.refused(&[FILE, "git lfs pull"]);
}

#[test]
fn safetensors_headers_are_strict() {
    let damaged = |change: fn(&mut Value)| {
        let copy = Copy::of(SINGLE);
        copy.entry(FILE, NORM, change);
        copy
    };
    damaged(|entry| entry["dtype"] = "Q4_K".into()).refused(&[FILE, NORM, "Q4_K"]);
    damaged(|entry| entry["shape"] = json!([1_u64 << 40, 1_u64 << 40])).refused(&[
        FILE,
        NORM,
        "too large",
    ]);
    damaged(|entry| entry["shape"] = json!([255])).refused(&[FILE, NORM, "510 bytes"]);
    damaged(|entry| entry["shape"] = json!([-256])).refused(&[FILE]);
    damaged(|entry| entry["data_offsets"] = json!([512, 0])).refused(&[FILE, NORM]);
    damaged(|entry| {
        for offset in entry["data_offsets"].as_array_mut().unwrap() {
            *offset = (offset.as_u64().unwrap() - 512).into();
        }
    })
    .refused(&[FILE, "expected"]);
    damaged(|entry| drop(entry.as_object_mut().unwrap().remove("shape"))).refused(&[FILE, "shape"]);

    let copy = Copy::of(SINGLE);
    copy.header(FILE, |text| format!(" {text}"));
    copy.refused(&[FILE, "begins with"]);

    let copy = Copy::of(SINGLE);
    copy.header(FILE, |text| text.replace("model.layers.1.input_layernorm.weight", NORM));
    copy.refused(&[FILE, NORM, "twice"]);
}

#[test]
fn config_names_a_known_architecture_and_has_its_numbers() {
    let copy = Copy::of(SINGLE);
    copy.json("config.json", |config| drop(config.remove("architectures")));
    copy.refused(&["config.json", "architectures"]);

    copy.config("architectures", json!(["NoSuchForCausalLM"]));
    copy.refused(&["config.json", "NoSuchForCausalLM", "--print-supported-models"]);

    let copy = Copy::of(SINGLE);
    copy.json("config.json", |config| {
        config.remove("model_type");
        config.remove("num_hidden_layers");
    });
    copy.refused(&["config.json", "num_hidden_layers", "missing"]);

    for (key, value) in [
        ("num_hidden_layers", json!("2")),
        ("num_attention_heads", json!(-4)),
        ("hidden_size", json!([256])),
        ("vocab_size", json!(1_u64 << 60)),
        ("num_hidden_layers", json!(1_u64 << 60)),
        ("head_dim", json!(1_u64 << 63)),
        ("num_attention_heads", json!(0)),
        ("rope_theta", json!("10000")),
    ] {
        let copy = Copy::of(SINGLE);
        copy.config(key, value.clone());
        let error = copy.open().err().unwrap_or_else(|| panic!("{key} = {value}")).to_string();
        assert!(error.contains("config.json") || error.contains("tensor"), "{error}");
    }

    let copy = Copy::of(SINGLE);
    copy.config("vocab_size", json!((1 << 20) + 1));
    let options = CheckpointOptions { vocabulary_only: true, ..CheckpointOptions::default() };
    let error = Checkpoint::open(&copy.folder, &options).unwrap_err().to_string();
    assert!(error.contains("vocab_size") && error.contains("at most 1048576 tokens"), "{error}");

    let copy = Copy::of(SINGLE);
    fs::write(copy.path("config.json"), b"{\"a\": \"\xff\"}").unwrap();
    copy.refused(&["config.json", "JSON"]);
    fs::remove_file(copy.path("config.json")).unwrap();
    copy.refused(&["config.json"]);
}

#[test]
fn tensors_are_those_of_the_architecture() {
    let up = "model.layers.1.mlp.up_proj.weight";
    let copy = Copy::of(SINGLE);
    copy.header(FILE, |text| text.replace(up, "model.layers.1.mlp.strange.weight"));
    copy.refused(&[FILE, "model.layers.1.mlp.strange.weight", "llama"]);

    copy.header(FILE, |text| {
        text.replace("model.layers.1.mlp.strange.weight", "x.rotary_emb.inv_freq")
    });
    copy.refused(&[up, "lacks it"]);

    let copy = Copy::of(SINGLE);
    copy.config("num_hidden_layers", json!(1));
    copy.refused(&[FILE, "model.layers.1.", "1 layer"]);
    copy.config("num_hidden_layers", json!(3));
    copy.refused(&["model.layers.2.", "lacks it"]);

    let copy = Copy::of(SINGLE);
    copy.config("intermediate_size", json!(512));
    copy.refused(&[FILE, "mlp.", "[256, 256]", "intermediate_size", "512"]);
    let copy = Copy::of(SINGLE);
    copy.config("vocab_size", json!(511));
    copy.refused(&[FILE, "model.embed_tokens.weight", "vocab_size"]);

    let copy = Copy::of(EXPERTS);
    copy.config("num_local_experts", json!(3));
    copy.refused(&["block_sparse_moe.gate.weight", "num_local_experts"]);
    let copy = Copy::of(EXPERTS);
    let expert = "model.layers.1.block_sparse_moe.experts.2.w2.weight";
    for file in ["model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors", INDEX] {
        let rename =
            |text: String| text.replace("layers.1.block_sparse_moe.experts.2.w2", "x.rotary_emb");
        match file {
            INDEX => {
                fs::write(copy.path(INDEX), rename(fs::read_to_string(copy.path(INDEX)).unwrap()))
                    .unwrap()
            }
            _ => copy.header(file, |text| {
                rename(text).replace("model.x.rotary_emb.weight", "model.x.rotary_emb.inv_freq")
            }),
        }
    }
    copy.index(|map| {
        let shard = map.remove("model.x.rotary_emb.weight").unwrap();
        map.insert("model.x.rotary_emb.inv_freq".to_owned(), shard);
    });
    copy.refused(&[expert, "lacks it"]);
}

#[test]
fn what_is_left_out_if_it_is_zero_is_an_error_otherwise() {
    let description = include_str!("../../src/arch/models/llama.toml")
        .replace("tokenizers = ", "left-out-zeros = [\"*.extra\"]\ntokenizers = ");
    let copy = Copy::of(SINGLE);
    let arch = copy.path("arch.toml");
    fs::write(&arch, description).unwrap();
    let options = CheckpointOptions { arch_file: Some(arch), ..CheckpointOptions::default() };
    let open = || Checkpoint::open(&copy.folder, &options).map(|opened| opened.tensors().len());
    let without = open().unwrap();

    let add = |values: [u8; 4]| {
        let path = copy.path(FILE);
        let bytes = fs::read(&path).unwrap();
        let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        let end = bytes.len() - header - 8;
        fs::write(&path, [&bytes[..], &values].concat()).unwrap();
        let name = format!("model.{end}.extra");
        let entry = json!({"dtype": "F16", "shape": [2], "data_offsets": [end, end + 4]});
        copy.header(FILE, |text| text.replacen('{', &format!("{{\"{name}\":{entry},"), 1));
        name
    };
    add([0, 0, 0, 0x80]); // zero and its negative
    assert_eq!(open().unwrap(), without);
    let name = add([0, 0, 1, 0]);
    let error = open().unwrap_err().to_string();
    assert!(error.contains(&name) && error.contains("zero"), "{error}");
}

#[test]
fn a_description_can_leave_tensors_out_and_refuse_models() {
    let copy = Copy::of(SINGLE);
    let names = |more: &str| {
        let description = include_str!("../../src/arch/models/llama.toml");
        let arch = copy.path("arch.toml");
        let more = format!("keys = [\"no_norm\"]\n{more}\ntokenizers = ");
        fs::write(&arch, description.replace("tokenizers = ", &more)).unwrap();
        let options = CheckpointOptions { arch_file: Some(arch), ..CheckpointOptions::default() };
        let names = |opened: Checkpoint| opened.tensors().iter().map(|t| t.name.clone()).collect();
        let opened = Checkpoint::open(&copy.folder, &options);
        opened.map(names).map_err(|error| error.to_string())
    };
    let all: Vec<String> = names("").unwrap();
    copy.config("num_hidden_layers", json!(1));
    assert!(names("").is_err());
    let one = names(r#"left-out = ["model.layers.{beyond}.*"]"#).unwrap();
    assert!(one.iter().eq(all.iter().filter(|name| !name.starts_with("blk.1."))));

    copy.config("num_hidden_layers", json!(2));
    let left_out = r#"left-out = [{ name = "model.norm.*", when = "no_norm" }]"#;
    assert_eq!(names(left_out), Ok(all));
    copy.config("no_norm", json!(true));
    assert!(names(left_out).unwrap_err().contains("model.norm.weight"));
    assert!(names(r#"requires = ["no_norm"]"#).is_ok());
    let error = names(r#"requires = ["no_norm == false"]"#).unwrap_err();
    assert!(error.contains("config.json") && error.contains("no_norm == false"), "{error}");
}

#[test]
fn a_missing_head_is_only_a_warning() {
    let copy = Copy::of(SINGLE);
    copy.config("tie_word_embeddings", json!(false));
    let warnings = copy.open().unwrap().warnings().to_vec();
    assert!(warnings.len() == 1 && warnings[0].contains("lm_head.weight"), "{warnings:?}");
}

#[test]
fn values_that_cannot_be_quantized_name_the_tensor() {
    let name = "model.layers.1.mlp.up_proj.weight";
    let copy = Copy::of(SINGLE);
    let mut bytes = fs::read(copy.path(FILE)).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: Value = serde_json::from_slice(&bytes[8..header]).unwrap();
    let start = header + json[name]["data_offsets"][0].as_u64().unwrap() as usize;
    let value = 256 * 3 + 5; // row 3
    bytes[start + 2 * value..][..2].fill(0xff);
    fs::write(copy.path(FILE), bytes).unwrap();

    let out_type = OutType::from_name("q8_0").unwrap();
    let options = CheckpointOptions {
        out_type,
        encoder: Some(encoding::encode),
        ..CheckpointOptions::default()
    };
    let checkpoint = Checkpoint::open(&copy.folder, &options).unwrap();
    let index = checkpoint.tensors().iter().position(|t| t.name == "blk.1.ffn_up.weight").unwrap();
    let mut rows = Vec::new();
    checkpoint.read_rows(index, 4..256, &mut rows).unwrap();
    let error = checkpoint.read_rows(index, 2..4, &mut rows).unwrap_err().to_string();
    for text in [FILE, name, "row 2", "NaN"] {
        assert!(error.contains(text), "{error:?} lacks {text:?}");
    }
}

#[test]
fn there_is_a_tokenizer_and_it_fits() {
    let copy = Copy::of(SINGLE);
    fs::remove_file(copy.path("tokenizer.model")).unwrap();
    assert!(copy.open().is_ok(), "tokenizer.json is left");
    fs::remove_file(copy.path("tokenizer.json")).unwrap();
    copy.refused(&[SINGLE, "tokenizer.model", "tokenizer.json"]);

    let copy = Copy::of(SINGLE);
    let model = fs::read(copy.path("tokenizer.model")).unwrap();
    fs::write(copy.path("tokenizer.model"), &model[..model.len() / 2]).unwrap();
    copy.refused(&["tokenizer.model", "SentencePiece"]);
    fs::remove_file(copy.path("tokenizer.model")).unwrap();
    copy.json("tokenizer.json", |json| json["model"]["type"] = "Unigram".into());
    copy.refused(&["tokenizer.json"]);
    copy.json("tokenizer.json", |json| json["model"] = json!({"type": "BPE", "vocab": [1]}));
    copy.refused(&["tokenizer.json", "expected a map"]);
}

/// Makes a checkpoint with a tiny byte-level BPE tokenizer.
fn byte_level() -> Copy {
    let copy = Copy::of(SINGLE);
    for file in ["tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"] {
        fs::remove_file(copy.path(file)).unwrap();
    }
    let added = |id: u32, content: &str, special: bool| {
        json!({"id": id, "content": content, "special": special, "normalized": false,
            "single_word": false,
               "lstrip": false, "rstrip": false})
    };
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [added(3, "<s>", true), added(4, "\u{2581}x", false),
            added(5, "<|y|>", false)],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": true},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
                  "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                  "ignore_merges": false,
                  "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
    });
    fs::write(copy.path("tokenizer.json"), json.to_string()).unwrap();
    let config = json!({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"});
    fs::write(copy.path("tokenizer_config.json"), config.to_string()).unwrap();
    copy
}

#[test]
fn an_unknown_pre_tokenizer_is_guessed_unless_it_is_named() {
    let copy = byte_level();
    let checkpoint = copy.open().unwrap();
    let text = |checkpoint: &Checkpoint, key: &str| {
        checkpoint.metadata().text(key).unwrap().unwrap().to_owned()
    };
    assert_eq!(text(&checkpoint, "tokenizer.ggml.pre"), "gpt-2");
    assert!(checkpoint.warnings().iter().any(|warning| warning.contains("\"gpt-2\"")));
    let tokens = checkpoint.metadata().strings("tokenizer.ggml.tokens").unwrap().unwrap();
    let tokens: Vec<_> = (0..7).map(|id| tokens.get_str(id).unwrap()).collect();
    assert_eq!(tokens, ["a", "b", "ab", "<s>", " x", "<|y|>", "[PAD6]"]);
    let granule_format::Array::I32(types) =
        checkpoint.metadata().array("tokenizer.ggml.token_type").unwrap().unwrap()
    else {
        panic!("types are I32")
    };
    assert_eq!(types[..7], [1, 1, 1, 3, 4, 3, 5]);
    assert_eq!(types.len(), 512);

    let options = CheckpointOptions {
        pre_tokenizer: Some("qwen2".to_owned()),
        ..CheckpointOptions::default()
    };
    let checkpoint = Checkpoint::open(&copy.folder, &options).unwrap();
    assert_eq!(text(&checkpoint, "tokenizer.ggml.pre"), "qwen2");
    assert_eq!(checkpoint.warnings(), [""; 0]);
}

#[test]
fn ids_lie_inside_the_vocabulary() {
    let copy = byte_level();
    copy.json("tokenizer.json", |json| json["model"]["vocab"]["b"] = json!(512));
    copy.refused(&["tokenizer.json", "512", "vocabulary"]);
    // Added tokens are numbered consecutively, regardless of the ids in the file.
    let copy = byte_level();
    copy.json("tokenizer.json", |json| json["added_tokens"][1]["id"] = json!(512));
    let checkpoint = copy.open().unwrap();
    assert!(checkpoint.warnings().iter().any(|warning| warning.contains("512")));
}
