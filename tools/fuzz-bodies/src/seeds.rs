//! Inputs to begin with: the files of `fixtures/`, and small ones that are made here.

mod described;

use std::fs;
use std::path::{Path, PathBuf};

use granule_convert::{Plan, Recipe};
use granule_format::{Array, BlockType, Draft, Endian, FileType, Metadata, Shape};

use crate::Target;
use crate::target::{ADAPTED, QUANTIZED, plan_source, weights};

/// What to begin with for a target, besides its corpus.
pub fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let mut seeds = match target.name {
        "convert" => converted(),
        "shards" => sets(),
        "blocks" => blocks(),
        "products" => products(),
        "importance" => matrices(),
        "plan" => plans(),
        "safetensors" => weight_files(),
        "config" => configs(),
        "sentencepiece" => pieces(),
        "pickle" => pickles(),
        "mistral" => described::mistral(),
        "tiktoken" => described::tiktoken(),
        "codec" => described::codec(),
        "lists" => described::lists(),
        "card" => described::cards(),
        "adapter" => described::adapters(),
        "unnamed" => described::shapes(),
        _ => files(),
    };
    seeds.retain(|seed| seed.len() <= target.max_bytes);
    seeds
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(fixtures().join(name)).expect("the fixture is there")
}

/// The files of `fixtures/files`, sorted by name.
fn files() -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    for folder in ["valid", "warned", "invalid"] {
        let entries = fs::read_dir(fixtures().join("files").join(folder)).expect("the folder");
        paths.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("the file can be read")).collect()
}

/// Parts as `parts` takes them apart.
fn join(head: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut out = head.to_vec();
    for (i, part) in parts.iter().enumerate() {
        if i + 1 < parts.len() {
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            out.extend(length.to_le_bytes());
        }
        out.extend_from_slice(part);
    }
    out
}

/// A file of some tensors whose data is a ramp of the type's bytes.
fn gguf(
    metadata: Metadata,
    tensors: &[(&str, &[u64], BlockType)],
    fill: fn(usize) -> u8,
) -> Vec<u8> {
    let mut draft = Draft::new(metadata, Endian::Little).expect("no odd alignment");
    for (name, shape, ty) in tensors {
        let shape = Shape::new(shape).expect("at most four dimensions");
        draft.add(name, shape, (*ty).into()).expect("the tensor is possible");
    }
    let mut file = draft.header();
    let bytes = file.len() + draft.data_bytes() as usize;
    file.extend((file.len()..bytes).map(fill));
    file
}

fn model() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "llama");
    metadata.set("llama.block_count", 1_u32);
    metadata
}

/// Small models with every file type and many flags.
fn converted() -> Vec<Vec<u8>> {
    let small: &[(&str, &[u64], BlockType)] = &[
        ("token_embd.weight", &[32, 2], BlockType::F32),
        ("blk.0.attn_v.weight", &[64, 1], BlockType::F16),
        ("output_norm.weight", &[32], BlockType::F32),
    ];
    let large: &[(&str, &[u64], BlockType)] = &[
        ("blk.0.ffn_down.weight", &[256, 1], BlockType::BF16),
        ("blk.0.ffn_up.weight", &[256, 1], BlockType::Q8_0),
        ("output.weight", &[256, 2], BlockType::Q4_K),
    ];
    let mut seeds = Vec::new();
    for (i, _) in FileType::ALL.iter().enumerate() {
        for (tensors, flags) in [(small, 0_u8), (large, 2 | 128), (small, 9), (large, 3)] {
            let file = gguf(model(), tensors, |i| (i % 60) as u8);
            seeds.push(join(&[i as u8, flags], &[&file]));
        }
    }
    for (i, file) in files().iter().enumerate() {
        seeds.push(join(&[i as u8, 2], &[file]));
    }
    seeds
}

fn sets() -> Vec<Vec<u8>> {
    let two = ["ok_set_two-00001-of-00002.gguf", "ok_set_two-00002-of-00002.gguf"]
        .map(|name| read(&format!("files/valid/{name}")));
    let mut seeds = Vec::new();
    for choice in [0x11, 0x10, 0x12, 0x01] {
        seeds.push(join(&[choice], &[&two[0], &two[1], &[]]));
        seeds.push(join(&[choice], &[&two[1], &two[0], &two[0]]));
    }
    for file in files().iter().filter(|file| file.len() < 600) {
        seeds.push(join(&[0], &[file, &[], &[]]));
    }
    seeds
}

fn blocks() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (i, ty) in BlockType::ALL.iter().enumerate() {
        for step in [1_usize, 7, 31] {
            let row = (0..2 * ty.block_bytes()).map(|at| (at * step % 60) as u8);
            seeds.push(std::iter::once(i as u8).chain(row).collect());
        }
    }
    seeds
}

/// Blocks of every type with different numbers of them in a row, rows, and vectors.
fn products() -> Vec<Vec<u8>> {
    let heads = [[0, 0, 0, 0], [1, 16, 0, 3], [2, 33, 4, 5], [4, 15, 19, 7]];
    let with_head = |(i, blocks): (usize, Vec<u8>)| {
        let mut seed = vec![blocks[0]];
        seed.extend(heads[i % heads.len()]);
        seed.extend_from_slice(&blocks[1..]);
        seed
    };
    blocks().into_iter().enumerate().map(with_head).collect()
}

fn matrices() -> Vec<Vec<u8>> {
    let mut old = 1_i32.to_le_bytes().to_vec();
    for number in [1_i32, i32::from(b'a') | 3 << 8] {
        old.extend(number.to_le_bytes());
    }
    old.truncate(9);
    for number in [1_i32, 2, 0, 0, 7, 5] {
        old.extend(number.to_le_bytes());
    }
    old.extend(b"a.txt");
    let mut metadata = Metadata::new();
    metadata.set("imatrix.datasets", Array::String(["a.txt"].iter().collect()));
    metadata.set("imatrix.chunk_count", 1_u32);
    metadata.set("imatrix.chunk_size", 512_u32);
    let tensors: &[(&str, &[u64], BlockType)] =
        &[("a.in_sum2", &[4, 2], BlockType::F32), ("a.counts", &[1, 2], BlockType::F32)];
    vec![old, gguf(metadata, tensors, |_| 0)]
}

fn plans() -> Vec<Vec<u8>> {
    let mut recipe = Recipe::new(FileType::from_name("Q4_K_M").expect("a well-known name"));
    let mut seeds = Vec::new();
    recipe
        .override_kv
        .extend(["a.b=int:7".parse().ok(), "c=str:x".parse().ok()].into_iter().flatten());
    recipe.tensor_types.extend("attn_v=Q6_K".parse().ok());
    recipe.prune_layers.insert(1);
    for recipe in [Recipe::new(FileType::COPY), recipe] {
        seeds.push(serde_json::to_vec(&recipe).expect("a recipe can be written"));
        let plan = Plan::new(plan_source(), &recipe, None).expect("the plan is possible");
        seeds.push(plan.to_json().into_bytes());
    }
    seeds
}

/// A whole small model, alone and with an index.
fn weight_files() -> Vec<Vec<u8>> {
    let index = |names: &[(&str, &str)]| {
        let map: serde_json::Map<_, _> =
            names.iter().map(|(name, file)| ((*name).to_owned(), (*file).into())).collect();
        serde_json::json!({"metadata": {}, "weight_map": map}).to_string()
    };
    let (one, two) = ("model-1.safetensors", "model-2.safetensors");
    let small: [&[(&str, &[u64])]; 2] = [&[("a", &[2]), ("b", &[0, 3])], &[("c", &[1, 1, 1])]];
    let map = index(&[("a", one), ("b", one), ("c", two)]);
    let mut seeds = vec![
        join(&[0], &[&weights(ADAPTED)]),
        join(&[0], &[&weights(small[0])]),
        join(&[0], &[b"\x02\0\0\0\0\0\0\0{}"]),
        join(&[0], &[b"version https://git-lfs"]),
        join(&[1], &[map.as_bytes(), &weights(small[0]), &weights(small[1])]),
        join(&[1], &[index(&[("a", "../x")]).as_bytes(), &weights(small[0]), &[]]),
    ];
    seeds.extend(quantized());
    seeds
}

/// The sources of `fixtures/sources` with one quantized weight, in both kinds of types.
fn quantized() -> Vec<Vec<u8>> {
    let entries = fs::read_dir(fixtures().join("sources")).expect("the folder");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    let mut seeds = Vec::new();
    for folder in folders {
        let (Ok(file), Ok(expected)) =
            (fs::read(folder.join("model.safetensors")), fs::read(folder.join("expected.json")))
        else {
            continue;
        };
        let expected: serde_json::Value = serde_json::from_slice(&expected).expect("JSON");
        let [rows, columns] = ["/0/shape/0", "/0/shape/1"]
            .map(|place| expected.pointer(place).and_then(serde_json::Value::as_u64));
        let (Some(rows @ 1..=64), Some(columns @ 2..=256)) = (rows, columns) else { continue };
        let config = fs::read(folder.join("config.json")).unwrap_or_default();
        let size = [rows as u8 - 1, (columns / 2) as u8 - 1];
        for choice in [2, 3] {
            seeds.push(join(&[choice, size[0], size[1]], &[&config, &renamed(&file)]));
        }
    }
    seeds
}

/// Gives the weight of a file the name that the target expects.
fn renamed(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk::<8>().expect("a header");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = String::from_utf8_lossy(header);
    let header = header.replace("model.a", QUANTIZED).replace("layers.0.a", QUANTIZED);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn configs() -> Vec<Vec<u8>> {
    let config = br#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama",
"hidden_size": 8,
"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
"intermediate_size": 4, "vocab_size": 4,
"rope_theta": 1e4, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
"high_freq_factor": 4.0, "original_max_position_embeddings": 64}, "torch_dtype": "bfloat16"}"#;
    let nested =
        br#"{"architectures": ["MixtralForCausalLM"], "text_config": {"model_type": "mixtral",
"num_local_experts": 2, "num_experts_per_tok": 1, "bos_token_id": 1, "eos_token_id": [2, 3]}}"#;
    let bytes = br#"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2},
"merges": ["a b"]},
"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
"decoder": {"type": "ByteLevel"},
"added_tokens": [{"id": 3, "content": "</s>", "special": true}]}"#;
    let fallback = br#"{"model": {"type": "BPE", "byte_fallback": true, "vocab": {"<unk>": 0,
"<0x41>": 1,
"a": 2}, "merges": []}, "normalizer": {"type": "Sequence", "normalizers": []},
"post_processor": {"type":
"TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
{"Sequence": {"id": "A"}}]}}"#;
    let settings = br#"{"tokenizer_class": "LlamaTokenizerFast", "bos_token": {"content": "<s>"},
"add_bos_token": true, "eos_token": "</s>", "chat_template": [{"name": "default", "template": "x"}],
"added_tokens_decoder": {"3": {"content": "</s>", "special": true}}}"#;
    let mut seeds = Vec::new();
    for choice in [0, 1] {
        for config in [&config[..], nested] {
            for tokenizer in [&bytes[..], fallback] {
                seeds.push(join(&[choice], &[config, tokenizer, settings]));
                seeds.push(join(&[choice], &[config, tokenizer, &[]]));
            }
        }
    }
    let mut folders: Vec<_> = fs::read_dir(fixtures().join("checkpoints"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path().join("config.json"))
        .filter(|path| path.is_file())
        .collect();
    folders.sort();
    for path in folders {
        let config = fs::read(path).expect("the file can be read");
        seeds.push(join(&[1], &[&config, bytes, settings]));
    }
    seeds
}

fn pieces() -> Vec<Vec<u8>> {
    let piece = |text: &str, ty: u8| {
        let mut piece = vec![0x0a, text.len() as u8];
        piece.extend(text.bytes());
        piece.extend([0x15, 0, 0, 0x80, 0xbf, 0x18, ty]);
        let mut message = vec![0x0a, piece.len() as u8];
        message.extend(piece);
        message
    };
    let mut model = Vec::new();
    for (text, ty) in
        [("<unk>", 2), ("<s>", 3), ("</s>", 3), ("<0x41>", 6), ("a", 1), ("b", 4), ("c", 5)]
    {
        model.extend(piece(text, ty));
    }
    let mut longer = model.clone();
    longer.extend([0x12, 4, 0x0a, 2, 1, 2, 0x1a, 2, 0x08, 1]);
    let added = br#"{"x": 7, "y": 8}"#;
    vec![
        join(&[0], &[&[], &model]),
        join(&[7], &[added, &longer]),
        join(&[10], &[added, &model]),
        join(&[3], &[&[], &longer]),
    ]
}

/// The files of `fixtures/sources`, whole and as pickles.
fn pickles() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(fixtures().join("sources"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path().join("pytorch_model.bin"))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        let file = fs::read(path).expect("the file can be read");
        seeds.push(join(&[0], &[&file]));
        // the pickle is the only part that begins so and ends with the next entry's mark
        let find = |bytes: &[u8], from: usize| {
            let at = file[from..].windows(bytes.len()).position(|window| window == bytes);
            at.map(|at| from + at)
        };
        if let Some(begin) = find(b"\x80\x02", 0)
            && let Some(end) = find(b"PK", begin)
        {
            for choice in [1, 3] {
                seeds.push(join(&[choice], &[&file[begin..end], &[0x3c; 64]]));
            }
        }
    }
    seeds
}
