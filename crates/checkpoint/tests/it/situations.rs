//! Checkpoints as users have them: oddities cause warnings, and the resulting file loads.

use crate::common::encoding;
use std::fs;
use std::path::{Path, PathBuf};

use granule_checkpoint::{Checkpoint, CheckpointOptions, Error, OutType};
use granule_format::{Metadata, TensorType};
use granule_reader::Source;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Copies a checkpoint of the collection under a new name.
fn copy(name: &str, new: &str) -> (TempDir, PathBuf) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints").join(name);
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join(new);
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
    (parent, folder)
}

fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(file);
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

fn open(folder: &Path, out_type: &str) -> Result<Checkpoint, Error> {
    let out_type = OutType::from_name(out_type).unwrap();
    Checkpoint::open(
        folder,
        &CheckpointOptions {
            out_type,
            encoder: Some(encoding::encode),
            ..CheckpointOptions::default()
        },
    )
}

/// Returns the shape and data of a tensor, if it exists.
fn tensor(checkpoint: &Checkpoint, name: &str) -> Option<(Vec<u64>, Vec<u8>)> {
    let index = checkpoint.tensors().iter().position(|tensor| tensor.name == name)?;
    let shape = checkpoint.tensors()[index].shape;
    let mut rows = Vec::new();
    checkpoint.read_rows(index, 0..shape.rows().unwrap(), &mut rows).unwrap();
    Some((shape.dimensions().to_vec(), rows))
}

fn strings(metadata: &Metadata, key: &str) -> Vec<String> {
    let list = metadata.strings(key).unwrap().unwrap();
    list.iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
}

/// Returns the tokens and the number of rows of the embedding.
fn tokens_and_rows(checkpoint: &Checkpoint) -> (Vec<String>, u64) {
    let tokens = strings(checkpoint.metadata(), "tokenizer.ggml.tokens");
    let is = |tensor: &&granule_reader::SourceTensor| tensor.name == "token_embd.weight";
    let rows = checkpoint.tensors().iter().find(is).unwrap().shape.rows().unwrap();
    (tokens, rows)
}

/// Writes F32 tensors.
fn write_tensors(folder: &Path, tensors: &[(String, Vec<usize>)]) {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in tensors {
        let start = data.len();
        let seed = name.len();
        let values = (0..shape.iter().product::<usize>()).map(|i| ((i + seed) % 251) as f32 / 64.0);
        data.extend(values.flat_map(f32::to_le_bytes));
        let offsets = [start, data.len()];
        header
            .insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": offsets}));
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    file.extend(data);
    fs::write(folder.join("model.safetensors"), file).unwrap();
}

/// The tokens of a small vocabulary.
const TOKENS: &[&str] =
    &["a", "b", "e", "n", "o", "s", "y", "no", "ye", "yes", "<|endoftext|>", "|"];

/// Makes a one-layer Qwen 3 or Gemma 3 with byte-level BPE, whose embedding has `rows` rows.
fn small(kind: &str, new: &str, rows: usize, tied: bool) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join(new);
    fs::create_dir(&folder).unwrap();
    let (class, ty) = match kind {
        "qwen3" => ("Qwen3ForCausalLM", "qwen3"),
        _ => ("Gemma3ForCausalLM", "gemma3_text"),
    };
    let config = json!({
        "architectures": [class], "model_type": ty, "vocab_size": rows, "hidden_size": 32,
        "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6, "tie_word_embeddings": tied, "sliding_window": 16,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let vocabulary: Map<String, Value> =
        TOKENS.iter().enumerate().map(|(id, text)| ((*text).to_owned(), id.into())).collect();
    let special = json!({
        "id": 10, "content": "<|endoftext|>", "single_word": false, "lstrip": false,
        "rstrip": false,
        "normalized": false, "special": true,
    });
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
    });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [special],
        "normalizer": null, "post_processor": null, "decoder": byte_level.clone(),
        "pre_tokenizer": byte_level,
        "model": {
            "type": "BPE", "vocab": vocabulary, "merges": ["n o", "y e", "ye s"],
            "dropout": null, "unk_token": null, "fuse_unk": false, "byte_fallback": false,
            "continuing_subword_prefix": null, "end_of_word_suffix": null,
        },
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let settings =
        json!({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"});
    fs::write(folder.join("tokenizer_config.json"), settings.to_string()).unwrap();

    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![rows, 32]),
        ("model.norm.weight".to_owned(), vec![32]),
    ];
    if !tied {
        tensors.push(("lm_head.weight".to_owned(), vec![rows, 32]));
    }
    let mut layer: Vec<(&str, Vec<usize>)> = vec![
        ("input_layernorm", vec![32]),
        ("post_attention_layernorm", vec![32]),
        ("self_attn.q_proj", vec![32, 32]),
        ("self_attn.k_proj", vec![16, 32]),
        ("self_attn.v_proj", vec![16, 32]),
        ("self_attn.o_proj", vec![32, 32]),
        ("self_attn.q_norm", vec![16]),
        ("self_attn.k_norm", vec![16]),
        ("mlp.gate_proj", vec![32, 32]),
        ("mlp.up_proj", vec![32, 32]),
        ("mlp.down_proj", vec![32, 32]),
    ];
    if kind != "qwen3" {
        layer.push(("pre_feedforward_layernorm", vec![32]));
        layer.push(("post_feedforward_layernorm", vec![32]));
    }
    let name = |name: &str| format!("model.layers.0.{name}.weight");
    tensors.extend(layer.into_iter().map(|(part, shape)| (name(part), shape)));
    write_tensors(&folder, &tensors);
    (parent, folder)
}

#[test]
fn a_reranker_keeps_its_head() {
    const SAID: &[&str] =
        &["qwen3.pooling_type", "qwen3.classifier.output_labels", "tokenizer.chat_template.rerank"];
    for (tied, matrix) in [(true, "token_embd.weight"), (false, "output.weight")] {
        let (_parent, plain) = small("qwen3", "plain", TOKENS.len(), tied);
        let plain = open(&plain, "f16").unwrap();
        assert!(SAID.iter().all(|key| plain.metadata().get(key).is_none()));
        assert!(tensor(&plain, "cls.output.weight").is_none());
        let (_, all) = tensor(&plain, matrix).unwrap();
        let row = |id: usize| all[id * 64..(id + 1) * 64].to_vec();
        let head = [row(9), row(7)].concat(); // "yes", "no"

        let by_name = small("qwen3", "My-QWEN3-Reranker-0.6B", TOKENS.len(), tied);
        let by_card = small("qwen3", "by-card", TOKENS.len(), tied);
        let card = "---\nlicense: mit\n---\n# Qwen3-Reranker-0.6B\n";
        fs::write(by_card.1.join("README.md"), card).unwrap();
        let mut by_path = small("qwen3", "by-path", TOKENS.len(), tied);
        let inside = by_path.0.path().join("models--Qwen--Qwen3-VL-Reranker-2B");
        fs::create_dir(&inside).unwrap();
        fs::rename(&by_path.1, inside.join("snapshot")).unwrap();
        by_path.1 = inside.join("snapshot");
        for (_parent, folder) in [by_name, by_card, by_path] {
            let checkpoint = open(&folder, "f16").unwrap();
            let metadata = checkpoint.metadata();
            assert_eq!(metadata.get("qwen3.pooling_type"), Some(&4_u32.into()));
            assert_eq!(strings(metadata, "qwen3.classifier.output_labels"), ["yes", "no"]);
            assert_eq!(strings(metadata, "tokenizer.chat_templates"), ["rerank"]);
            let template = metadata.get("tokenizer.chat_template.rerank");
            assert!(format!("{template:?}").contains("<Document>: {document}<|im_end|>"));
            let found = tensor(&checkpoint, "cls.output.weight");
            assert_eq!(found, Some((vec![32, 2], head.clone())), "{}", folder.display());
            assert!(tensor(&checkpoint, "token_embd.weight").is_some());
            assert!(tensor(&checkpoint, "output.weight").is_none());
            let warnings = checkpoint.warnings().join("\n");
            assert!(!warnings.contains("missing"), "{warnings}");
        }
    }
}

/// The reference does not treat it as a reranker either.
#[test]
fn a_model_made_from_a_reranker_is_told() {
    let (_parent, folder) = small("qwen3", "by-origin", TOKENS.len(), true);
    edit(&folder, "config.json", |config| {
        config["_name_or_path"] = "Qwen/Qwen3-Reranker-0.6B".into();
    });
    let checkpoint = open(&folder, "f16").unwrap();
    assert!(tensor(&checkpoint, "cls.output.weight").is_none());
    assert!(checkpoint.warnings().join("\n").contains("comes from a reranker"));
}

#[test]
fn there_are_as_many_tokens_as_rows() {
    for kind in ["qwen3", "gemma3"] {
        // Padded: some rows have no token.
        let (_parent, folder) = small(kind, "padded", TOKENS.len() + 5, true);
        let checkpoint = open(&folder, "f16").unwrap();
        let (tokens, rows) = tokens_and_rows(&checkpoint);
        assert_eq!((tokens.len() as u64, rows), (17, 17), "{kind}");
        assert_eq!((tokens[9].as_str(), tokens[16].as_str()), ("yes", "[PAD16]"));

        // Pruned: some tokens have no row, nor do merges of them.
        let (_parent, folder) = small(kind, "pruned", 9, true);
        edit(&folder, "tokenizer.json", |json| json["added_tokens"] = json!([]));
        edit(&folder, "tokenizer_config.json", |json| {
            json.as_object_mut().unwrap().remove("eos_token");
        });
        let checkpoint = open(&folder, "f16").unwrap();
        let (tokens, rows) = tokens_and_rows(&checkpoint);
        assert_eq!((tokens.len() as u64, rows), (9, 9), "{kind}");
        let merges = strings(checkpoint.metadata(), "tokenizer.ggml.merges");
        assert_eq!(merges, ["n o", "y e"]);
        let warnings = checkpoint.warnings().join("\n");
        assert!(warnings.contains("\"yes\" and 2 more tokens are left out"), "{warnings}");
    }
}

/// The vocabulary ends where an added token begins.
#[test]
fn an_added_token_beyond_the_vocabulary_is_left_out() {
    let (_parent, folder) = small("gemma3", "model", TOKENS.len(), true);
    edit(&folder, "tokenizer.json", |json| {
        let mut soft = json["added_tokens"][0].clone();
        (soft["id"], soft["content"]) = (TOKENS.len().into(), "<image_soft_token>".into());
        json["added_tokens"].as_array_mut().unwrap().push(soft);
    });
    let checkpoint = open(&folder, "f16").unwrap();
    let (tokens, rows) = tokens_and_rows(&checkpoint);
    assert_eq!((tokens.len() as u64, rows), (12, 12));
    let warnings = checkpoint.warnings().join("\n");
    assert!(warnings.contains("\"<image_soft_token>\" is left out"), "{warnings}");
}

/// `tokenizer.json` with tokens for bytes has no padding of its own.
#[test]
fn byte_fallback_is_filled_up_and_cut_too() {
    let (_parent, folder) = copy("mistral-fast-tok", "model");
    let whole = open(&folder, "f16").unwrap();
    let (tokens, rows) = tokens_and_rows(&whole);
    assert_eq!(tokens.len() as u64, rows);
    for size in [rows + 24, rows - 8] {
        let (_parent, folder) = copy("mistral-fast-tok", "model");
        edit(&folder, "config.json", |config| config["vocab_size"] = size.into());
        resize_rows(&folder, rows as usize, size as usize);
        let checkpoint = open(&folder, "f16").unwrap();
        let (found, rows) = tokens_and_rows(&checkpoint);
        assert_eq!((found.len() as u64, rows), (size, size));
        let scores = checkpoint.metadata().get("tokenizer.ggml.scores").unwrap();
        assert!(format!("{scores:?}").contains("-1000.0"));
        let same = tokens.len().min(found.len());
        assert_eq!(tokens[..same], found[..same]);
    }
}

/// Changes the number of rows of all tensors with `rows` rows, in a checkpoint of one file.
fn resize_rows(folder: &Path, rows: usize, size: usize) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Map<String, Value> = serde_json::from_slice(&bytes[8..end]).unwrap();
    let mut tensors: Vec<_> =
        header.into_iter().filter(|(name, _)| name != "__metadata__").collect();
    tensors.sort_by_key(|(_, tensor)| tensor["data_offsets"][0].as_u64());
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, mut tensor) in tensors {
        let at = |i: usize| end + tensor["data_offsets"][i].as_u64().unwrap() as usize;
        let mut values = bytes[at(0)..at(1)].to_vec();
        if tensor["shape"][0] == rows {
            values.resize(values.len() / rows * size, 0);
            tensor["shape"][0] = size.into();
        }
        tensor["data_offsets"] = json!([data.len(), data.len() + values.len()]);
        data.extend(values);
        header.insert(name, tensor);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    file.extend(data);
    fs::write(path, file).unwrap();
}

#[test]
fn an_added_token_that_replaces_a_piece_is_told() {
    let (_parent, folder) = copy("llama2-spm-256", "model");
    let (tokens, _) = tokens_and_rows(&open(&folder, "f16").unwrap());
    let with = |text: &str| {
        let (parent, folder) = copy("llama2-spm-256", "model");
        edit(&folder, "tokenizer_config.json", |config| {
            config["added_tokens_decoder"]["500"] = json!({"content": text, "special": true});
        });
        (parent, folder)
    };
    let (_parent, folder) = with("<|new|>");
    let checkpoint = open(&folder, "f16").unwrap();
    assert_eq!(tokens_and_rows(&checkpoint).0[500], "<|new|>");
    let warnings = checkpoint.warnings().join("\n");
    let expected =
        format!("token 500, {:?}, is replaced by the added token \"<|new|>\"", tokens[500]);
    assert!(warnings.contains(&expected), "{warnings}");

    // The text of another token. (The plan of a conversion refuses it, because the file would not
    // load.)
    let (_parent, folder) = with(&tokens[300]);
    let warnings = open(&folder, "f16").unwrap().warnings().join("\n");
    assert!(warnings.contains("tokens 300 and 500 have the same text"), "{warnings}");
    assert!(warnings.contains(&format!("{:?}", tokens[300])), "{warnings}");

    // The same text again replaces nothing.
    let (_parent, folder) = with(&tokens[500]);
    assert!(open(&folder, "f16").unwrap().warnings().is_empty());
}

/// A value that BF16 can hold but F16 cannot.
#[test]
fn a_value_beyond_f16_is_named_with_the_range() {
    let (_parent, folder) = copy("llama2-spm-256", "model");
    let path = folder.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..end]).unwrap();
    let tensor_name = "model.layers.0.mlp.up_proj.weight";
    assert_eq!(header[tensor_name]["dtype"], "BF16");
    let start = header[tensor_name]["data_offsets"][0].as_u64().unwrap() as usize;
    let at = end + start + 2 * (3 * 256 + 5);
    bytes[at..at + 2].copy_from_slice(&0x47c3_u16.to_le_bytes()); // 99840
    fs::write(&path, bytes).unwrap();

    let read = |out_type: &str| {
        let checkpoint = open(&folder, out_type).unwrap();
        let mut rows = Vec::new();
        for (index, tensor) in checkpoint.tensors().iter().enumerate() {
            assert!(matches!(tensor.ty, TensorType::Known(_)));
            checkpoint.read_rows(index, 0..tensor.shape.rows().unwrap(), &mut rows)?;
        }
        Ok::<_, Error>(())
    };
    for sound in ["bf16", "f32", "q8_0"] {
        assert!(read(sound).is_ok(), "{sound}");
    }
    let error = read("f16").unwrap_err().to_string();
    for word in [tensor_name, "99840", "row 3", "column 5", "65504", "bf16"] {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert!(!error.contains("damaged"), "{error}");
}

#[test]
fn yarn_without_the_length_before_stretching() {
    let (_parent, folder) = copy("llama2-spm-256", "model");
    edit(&folder, "config.json", |config| {
        config["rope_scaling"] = json!({"rope_type": "yarn", "factor": 4.0});
    });
    let checkpoint = open(&folder, "f16").unwrap();
    let key = "llama.rope.scaling.original_context_length";
    assert_eq!(checkpoint.metadata().get(key), Some(&2048_u32.into()));
    assert!(checkpoint.warnings().join("\n").contains("max_position_embeddings"));
}

#[test]
fn a_stretching_that_the_file_cannot_hold_is_told() {
    let (_parent, folder) = small("qwen3", "model", TOKENS.len(), true);
    let rope = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32});
    edit(&folder, "config.json", |config| config["rope_scaling"] = rope);
    let warnings = open(&folder, "f16").unwrap().warnings().join("\n");
    assert!(warnings.contains("\"llama3\" is not written"), "{warnings}");
}

/// The reference writes such a file too, and llama.cpp does not load it.
#[test]
fn a_key_that_programs_need_is_told() {
    let (_parent, folder) = small("qwen3", "model", TOKENS.len(), true);
    assert!(!open(&folder, "f16").unwrap().warnings().join("\n").contains("does not load"));
    edit(&folder, "config.json", |config| {
        config["model_type"] = "unheard-of".into();
        config.as_object_mut().unwrap().remove("rms_norm_eps");
    });
    let checkpoint = open(&folder, "f16").unwrap();
    let warnings = checkpoint.warnings().join("\n");
    assert!(warnings.contains("\"qwen3.attention.layer_norm_rms_epsilon\""), "{warnings}");
}

#[test]
fn keys_that_nothing_knows_are_told() {
    let (_parent, folder) = copy("llama2-spm-256", "model");
    let overrides = folder.join("overrides.json");
    let text = r#"{"general.author": "A", "general.autor": "B", "general.license": "mit"}"#;
    fs::write(&overrides, text).unwrap();
    let options = CheckpointOptions { metadata: Some(overrides), ..Default::default() };
    let told = Checkpoint::open(&folder, &options).unwrap().warnings().join("\n");
    for part in ["\"general.autor\"", "did you mean general.author", "\"general.license\""] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains("\"general.author\" is"), "{told}");
}

#[cfg(target_os = "linux")] // elsewhere names must be Unicode
#[test]
fn a_file_that_the_user_names_may_have_any_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let (_parent, folder) = copy("llama2-spm-256", "model");
    let overrides = folder.join(OsStr::from_bytes(b"overrides-\xff.json"));
    fs::write(&overrides, r#"{"general.author": "A"}"#).unwrap();
    let options = CheckpointOptions { metadata: Some(overrides), ..Default::default() };
    let checkpoint = Checkpoint::open(&folder, &options).unwrap();
    assert_eq!(checkpoint.metadata().text("general.author").unwrap(), Some("A"));
}

/// Dense layers in folders of their own, which are part of the file if the user wants them.
#[test]
fn modules_are_read_by_option() {
    let (_parent, folder) = small("gemma3", "model", 12, true);
    edit(&folder, "config.json", |config| config["architectures"] = json!(["Gemma3TextModel"]));
    let kind = "sentence_transformers.models.Dense";
    let modules = json!([{"path": "2_Dense", "type": kind}, {"path": "last", "type": kind}]);
    fs::write(folder.join("modules.json"), modules.to_string()).unwrap();
    for (module, shape) in [("2_Dense", vec![64, 32]), ("last", vec![32, 64])] {
        fs::create_dir(folder.join(module)).unwrap();
        write_tensors(&folder.join(module), &[("linear.weight".to_owned(), shape)]);
    }
    let options = CheckpointOptions { dense_modules: true, ..Default::default() };
    let checkpoint = Checkpoint::open(&folder, &options).unwrap();
    let names: Vec<_> = checkpoint.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names[..2], ["dense_2.weight", "dense_3.weight"]);
    let size = |key: &str| checkpoint.metadata().get(&format!("gemma-embedding.{key}")).cloned();
    assert_eq!(size("dense_2_feat_out"), Some(granule_format::Value::U32(64)));
    assert_eq!(size("dense_3_feat_in"), Some(granule_format::Value::U32(64)));
    let without = open(&folder, "f16").unwrap();
    assert_eq!(without.tensors().len() + 2, checkpoint.tensors().len());
    let warnings = without.warnings().join("\n");
    assert!(warnings.contains("--sentence-transformers-dense-modules includes it"), "{warnings}");

    let fail = || Checkpoint::open(&folder, &options).unwrap_err().to_string();
    fs::write(folder.join("last/config.json"), json!({"in_features": 32}).to_string()).unwrap();
    let error = fail();
    assert!(error.contains("last") && error.contains("\"dense_3.linear.weight\""), "{error}");
    let tensors =
        [("linear.bias".to_owned(), vec![64]), ("linear.weight".to_owned(), vec![64, 32])];
    write_tensors(&folder.join("2_Dense"), &tensors);
    let error = fail();
    assert!(error.contains("\"dense_2.linear.bias\"") && error.contains("zero"), "{error}");
    fs::write(folder.join("2_Dense/model.safetensors"), b"short").unwrap();
    assert!(fail().contains("2_Dense"));
    let outside = json!([{"path": "../other", "type": kind}]);
    fs::write(folder.join("modules.json"), outside.to_string()).unwrap();
    assert!(fail().contains("modules.json"));
}

#[test]
fn modules_that_the_file_cannot_hold_are_told() {
    let (_parent, folder) = copy("llama2-spm-256", "model");
    let module =
        |name: &str| json!({"path": "", "type": format!("sentence_transformers.models.{name}")});
    let modules =
        json!([module("Transformer"), module("Pooling"), module("Dense"), module("Normalize")]);
    fs::write(folder.join("modules.json"), modules.to_string()).unwrap();
    let warnings = open(&folder, "f16").unwrap().warnings().join("\n");
    assert!(warnings.contains("Pooling") && warnings.contains("Dense"), "{warnings}");
}
