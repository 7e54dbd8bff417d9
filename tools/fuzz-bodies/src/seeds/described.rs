//! Inputs to begin with for the readers of tokenizers and descriptions that some families have.

use serde_json::json;

use super::{join, read};
use crate::target::{ADAPTED, base64, weights};

/// Folders in the layout of Mistral's own library, with each kind of tokenizer.
pub(super) fn mistral() -> Vec<Vec<u8>> {
    let params = json!({"dim": 4, "n_layers": 1, "head_dim": 4, "hidden_dim": 4, "n_heads": 1,
        "n_kv_heads": 1, "norm_eps": 1e-5, "rope_theta": 1e6, "max_position_embeddings": 8,
        "vocab_size": 3})
    .to_string();
    let experts = json!({"dim": 4, "n_layers": 1, "head_dim": 4, "hidden_dim": 4, "n_heads": 1,
        "norm_eps": 1e-5, "vocab_size": 3, "moe": {"num_experts_per_tok": 1, "num_experts": 2,
        "first_k_dense_replace": 0, "expert_hidden_dim": 4, "num_shared_experts": 1},
        "kv_lora_rank": 4, "q_lora_rank": 4, "v_head_dim": 4, "qk_rope_head_dim": 4,
        "yarn": {"original_max_position_embeddings": 8, "factor": 16.0, "alpha": 1, "beta": 32}})
    .to_string();
    let special = ["<unk>", "<s>", "</s>"];
    let listed: Vec<_> = special
        .iter()
        .enumerate()
        .map(|(rank, text)| json!({"rank": rank, "token_str": text}))
        .collect();
    let sizes = json!({"version": "v3", "default_vocab_size": 4, "default_num_special_tokens": 3});
    let vocabulary = json!([{"rank": 0, "token_bytes": "YQ==", "token_str": "a"}]);
    let tekken = json!({"config": sizes, "vocab": vocabulary, "special_tokens": listed});
    let older = json!({"config": {"version": "v7", "default_vocab_size": 20,
        "default_num_special_tokens": 20}, "vocab": []});
    let bare = json!({"config": {"version": "v13", "default_vocab_size": 3,
        "default_num_special_tokens": 3}, "vocab": [], "special_tokens": listed});
    let texts = [tekken, older, bare].map(|file| file.to_string());
    let mut pieces = Vec::new();
    for (text, ty) in [("<unk>", 2), ("<s>", 3), ("</s>", 3), ("a", 1)] {
        let piece = [&[0x0a, text.len() as u8], text.as_bytes(), &[0x18, ty]].concat();
        pieces.extend([&[0x0a, piece.len() as u8], &piece[..]].concat());
    }
    let lines = b"ab\nbc\nabc\n a\nabab";
    let mut seeds = Vec::new();
    for text in &texts {
        for choice in [0, 1, 3, 1 | 16] {
            seeds.push(join(&[choice], &[params.as_bytes(), b"{{ x }}", text.as_bytes()]));
        }
    }
    for config in [&params, &experts] {
        seeds.push(join(&[1 | 8 | 16], &[config.as_bytes(), &[], &pieces]));
        seeds.push(join(&[1 | 4], &[config.as_bytes(), &[], lines]));
    }
    seeds.push(join(&[4], &[&[], &[], lines]));
    seeds
}

/// Ranks of each class, as they are and after those of single bytes.
pub(super) fn tiktoken() -> Vec<Vec<u8>> {
    let settings = br#"{"added_tokens_decoder": {"3": {"content": "<|x|>", "special": true},
"7": {"content": "ab"}}, "eos_token": "<|x|>"}"#;
    let ranks = [&b"a"[..], b"b", b"ab", b"\xff\0", b"abab"];
    let ranks: String = (0..).zip(ranks).map(|(i, it)| format!("{} {i}\n", base64(it))).collect();
    let mut seeds = Vec::new();
    for class in 0..5 {
        seeds.push(join(&[class, 0], &[&[], ranks.as_bytes()]));
        seeds.push(join(&[class, 1], &[settings, ranks.as_bytes()]));
        seeds.push(join(&[class | 8, 0], &[&[], b"ab\nabab\n\xff\0"]));
        seeds.push(join(&[class | 8, 20], &[settings, b"ab\nabc\nab"]));
    }
    seeds
}

/// Configs of a codec.
pub(super) fn codec() -> Vec<Vec<u8>> {
    let parts = [
        json!({}),
        json!({"vocab_size": 4, "codec_eos_token_id": 1, "spk_id": {"a": 2, "b": 3}}),
        json!({"codec_bos_id": 9, "codec_language_id": {"chinese": 7, "english": 8}}),
        json!({"vocab_size": 1_000_000, "text_vocab_size": 7, "codec_pad_id": 999_999}),
    ];
    let outer = json!({"vocab_size": 6, "eos_token_id": 2}).to_string();
    let texts = parts.map(|part| part.to_string());
    texts
        .iter()
        .flat_map(|part| [&b""[..], outer.as_bytes()].map(|it| join(&[], &[it, part.as_bytes()])))
        .collect()
}

/// Vocabularies that are lists, from the fixtures and made here.
pub(super) fn lists() -> Vec<Vec<u8>> {
    let folder = "descriptions/tokenizers";
    let first = |name: &str, lines: usize| -> Vec<u8> {
        let text = read(&format!("{folder}/{name}"));
        text.split_inclusive(|byte| *byte == b'\n').take(lines).flatten().copied().collect()
    };
    let settings = |name: &str| read(&format!("{folder}/{name}/tokenizer_config.json"));
    let rwkv = first("rwkv/rwkv_vocab_v20230424.txt", 20);
    let odd = b"1 '\\x00' 1\n2 b'\\xff' 1\n3 \"it's\" 4\n4 '\\u00e9' 2\n5 '\\n' 1\n";
    let plamo = first("plamo/tokenizer.jsonl", 12);
    let special = br#"{"bos_token": {"content": "[CLS]"}, "unk_token": "[UNK]"}"#;
    let words = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\n";
    vec![
        join(&[0, 0], &[&rwkv, &[], &settings("rwkv")]),
        join(&[0, 7], &[odd, &[], &[]]),
        join(&[1, 0], &[&plamo, &[], &settings("plamo")]),
        join(&[2, 30], &[&plamo, br#"{"chat_template": "x"}"#, &settings("plamo")]),
        join(&[3, 0], &[br#"{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}"#, b"#v\na b\n", &[]]),
        join(&[4, 0], &[words, special, br#"{"do_lower_case": false}"#]),
        join(&[4, 9], &[words, &[], &[]]),
    ]
}

/// Descriptions of models in each file.
pub(super) fn cards() -> Vec<Vec<u8>> {
    let card = b"---\nlicense: apache-2.0\nlanguage:\n- en\n- no\ntags: [a, b]\nbase_model: \
x/Y-7B-v1.2\ndatasets:\n- name: d\n  version: 1.50\n---\n# Model\n";
    let generation = br#"{"temperature": 0.6, "top_k": 20, "top_p": 0.95, "eos_token_id": [1, 2]}"#;
    let template = br#"{"chat_template": "{{ x }}"}"#;
    let modules = br#"[{"idx": 0, "name": "0", "path": "", "type": "a.models.Transformer"},
{"idx": 1, "path": "1_Pooling", "type": "a.models.Pooling"}]"#;
    let own = br#"{"general.name": "x", "general.tags": ["a"], "general.base_models": [
{"name": "b", "repo_url": "https://huggingface.co/o/b"}], "general.author": 3}"#;
    vec![
        join(&[], &[&[], &[], &[], &[], card]),
        join(&[], &[generation, template, modules, own, card]),
        join(&[], &[generation, &[], &[], own, b"---\na: &x [1]\nb: *x\nc: {d: ~}\n---\n"]),
    ]
}

/// Adapters for the base model of the target.
pub(super) fn adapters() -> Vec<Vec<u8>> {
    let module = "base_model.model.model.layers.0.self_attn.q_proj.";
    let name = |end: &str| format!("{module}{end}");
    let pair = [name("lora_A.weight"), name("lora_B.weight")];
    let dora = [name("lora_A.default.weight"), name("lora_B.default.weight")];
    let magnitude = name("lora_magnitude_vector");
    let embedding =
        ["A", "B"].map(|it| format!("base_model.model.model.embed_tokens.lora_embedding_{it}"));
    let (a, b): (&[u64], &[u64]) = (&[2, 4], &[4, 2]);
    let files = [
        weights(&[(&pair[0], a), (&pair[1], b)]),
        weights(&[(&dora[0], a), (&dora[1], b), (&magnitude, &[4])]),
        weights(&[(&embedding[0], &[2, 3]), (&embedding[1], b)]),
        weights(&[("base_model.model.model.norm.weight", &[4])]),
        weights(&[("base_model.model.lm_head.modules_to_save.weight", ADAPTED[11].1)]),
    ];
    let about = [
        json!({"peft_type": "LORA", "lora_alpha": 16, "r": 2}),
        json!({"lora_alpha": 4.5, "use_rslora": true, "fan_in_fan_out": true,
            "alpha_pattern": {"q_proj|k_proj": 4, "^model\\..*": 2}}),
    ];
    let about = about.map(|it| it.to_string());
    let mut seeds = Vec::new();
    for (index, file) in files.iter().enumerate() {
        for choice in [0_u8, 1, 2, 7] {
            let about = &about[(index + usize::from(choice)) % 2];
            seeds.push(join(&[choice], &[about.as_bytes(), file]));
        }
    }
    seeds
}

/// Changes of shapes: none, a tensor that is missing, numbers that fit no longer, others that do.
pub(super) fn shapes() -> Vec<Vec<u8>> {
    let changes: &[&[u8]] = &[
        &[],
        &[0, 0, 0, 0],
        &[2, 2, 9, 0],
        &[6, 2, 16, 0, 7, 3, 16, 0],
        &[1, 2, 5, 0, 3, 3, 5, 0],
        &[13, 1, 64, 63],
    ];
    changes.iter().map(|change| change.to_vec()).collect()
}
