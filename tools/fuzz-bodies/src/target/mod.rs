//! The targets, one file each.

mod adapter;
mod blocks;
mod card;
mod check;
mod codec;
mod config;
mod convert;
mod differential;
mod header;
mod importance;
mod lists;
mod mistral;
mod open;
mod pickle;
mod plan;
mod products;
mod rewrite;
mod safetensors;
mod sentencepiece;
mod shards;
mod tiktoken;
mod unnamed;
mod vocabulary;

pub(crate) use adapter::ADAPTED;
pub(crate) use mistral::base64;
pub(crate) use plan::source as plan_source;
pub(crate) use safetensors::{QUANTIZED, weights};

use crate::Target;

/// Heap that folders, paths, errors and tables of constants take.
const BASE: usize = 64 << 10;

/// The table of targets: what each takes is measured, the bounds leave some room.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "header",
        run: header::run,
        max_bytes: 4096,
        factor: 64, // three headers, and two as text
        base: BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: GGUF,
    },
    Target {
        name: "differential",
        run: differential::run,
        max_bytes: 2048,
        factor: 32,
        base: BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: GGUF,
    },
    Target {
        name: "check",
        run: check::run,
        max_bytes: 4096,
        factor: 64,
        base: 4 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: GGUF,
    },
    Target {
        name: "rewrite",
        run: rewrite::run,
        max_bytes: 4096,
        factor: 64,
        base: BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: GGUF,
    },
    Target {
        name: "open",
        run: open::run,
        max_bytes: 4096,
        factor: 512,
        base: 4 * BASE,
        reaches_unsafe: true,
        traces_comparisons: true,
        dictionary: GGUF,
    },
    Target {
        name: "shards",
        run: shards::run,
        max_bytes: 4096,
        factor: 64,
        base: 4 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: GGUF,
    },
    Target {
        name: "blocks",
        run: blocks::run,
        max_bytes: 1024,
        factor: 256,
        base: BASE,
        reaches_unsafe: true,
        traces_comparisons: true,
        dictionary: None,
    },
    Target {
        name: "products",
        run: products::run,
        max_bytes: 1024,
        factor: 256,
        base: 64 * BASE, // rows and vectors may be many times as large as their blocks
        reaches_unsafe: true,
        traces_comparisons: false,
        dictionary: None,
    },
    Target {
        name: "importance",
        run: importance::run,
        max_bytes: 4096,
        factor: 64,
        base: BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: GGUF,
    },
    Target {
        name: "convert",
        run: convert::run,
        max_bytes: 4096,
        factor: 512,
        base: 64 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: GGUF,
    },
    Target {
        name: "plan",
        run: plan::run,
        max_bytes: 4096,
        factor: 64,
        base: 64 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: JSON,
    },
    Target {
        name: "safetensors",
        run: safetensors::run,
        max_bytes: 4096,
        factor: 64,
        base: 16 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: JSON,
    },
    Target {
        name: "pickle",
        run: pickle::run,
        max_bytes: 4096,
        factor: 256,
        base: 16 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: Some("pickle.dict"),
    },
    Target {
        name: "config",
        run: config::run,
        max_bytes: 4096,
        factor: 256,
        base: 256 << 20, // a vocabulary may be as large as `config.json` says, up to a limit
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: JSON,
    },
    Target {
        name: "sentencepiece",
        run: sentencepiece::run,
        max_bytes: 2048,
        factor: 256,
        base: 128 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: None,
    },
    Target {
        name: "mistral",
        run: mistral::run,
        max_bytes: 2048,
        factor: 256,
        base: 64 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: JSON,
    },
    Target {
        name: "tiktoken",
        run: tiktoken::run,
        max_bytes: 1024,
        factor: 256,
        base: 64 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: JSON,
    },
    Target {
        name: "codec",
        run: codec::run,
        max_bytes: 512,
        factor: 256,
        base: 512 << 20, // the codec may have as many tokens as the config says, up to a limit
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: JSON,
    },
    Target {
        name: "lists",
        run: lists::run,
        max_bytes: 2048,
        factor: 256,
        base: 256 * BASE, // 65,536 tokens unless the config says another number
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: JSON,
    },
    Target {
        name: "card",
        run: card::run,
        max_bytes: 2048,
        factor: 256,
        base: 64 * BASE,
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: JSON,
    },
    Target {
        name: "adapter",
        run: adapter::run,
        max_bytes: 2048,
        factor: 256,
        base: 256 * BASE, // regular expressions take up to 10 MiB
        reaches_unsafe: false,
        traces_comparisons: true,
        dictionary: JSON,
    },
    Target {
        name: "unnamed",
        run: unnamed::run,
        max_bytes: 64,
        factor: 256,
        base: 256 * BASE, // shapes are not paid for by the input
        reaches_unsafe: false,
        traces_comparisons: false,
        dictionary: None,
    },
];

const GGUF: Option<&str> = Some("gguf.dict");
const JSON: Option<&str> = Some("json.dict");
