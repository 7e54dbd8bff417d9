//! A matrix for queries, keys or values (`attn_q`, `attn_k`, `attn_v`, or `attn_qkv` for all
//! three) has another number of rows than the metadata implies: the number of heads times the
//! length of a head.
//!
//! Queries have `attention.head_count` times `attention.key_length` rows, keys
//! `attention.head_count_kv` times `attention.key_length`, values `attention.head_count_kv` times
//! `attention.value_length`. Without these keys, there are as many key heads as query heads, and
//! both lengths are `embedding_length` divided by the number of heads. The rule covers only
//! architectures with plain attention, for which this holds.
//!
//! **Why it is bad.** Readers refuse the file, or take values of one head for those of another.
//!
//! **How to fix.** Write the right numbers. The usual cause is an edited file, or a converter that
//! does not know the architecture.

use super::s017_head_count::Numbers;
use super::{Check, note};
use crate::TensorInfo;
use crate::check::view::View;
use crate::prelude::*;

/// Architectures whose attention has the shapes above, in every block.
#[rustfmt::skip]
const PLAIN: &[&str] = &[
    "apertus", "arcee", "arctic", "baichuan", "bert", "bloom", "chatglm", "codeshell",
    "cohere2", "command-r", "dbrx", "deci", "deepseek", "dream", "ernie4_5", "ernie4_5-moe",
    "exaone", "exaone4", "falcon", "gemma", "gemma-embedding", "gemma2", "gemma3", "glm4",
    "glm4moe", "gpt2", "gptneox", "granite", "granitemoe", "grok", "grovemoe", "hunyuan-dense",
    "hunyuan-moe", "internlm2", "jina-bert-v2", "llada", "llada-moe", "llama", "llama4",
    "minicpm", "minimax-m2", "mistral3", "mpt", "nemotron", "nomic-bert", "nomic-bert-moe",
    "olmo", "olmo2", "olmoe", "orion", "pangu-embedded", "phi2", "phi3", "phimoe", "plamo",
    "qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe", "refact",
    "smollm3", "stablelm", "starcoder", "starcoder2", "xverse",
];

/// What makes the heads of single blocks longer or shorter.
const VARIED: &[&str] = &["attention.key_length_swa", "attention.value_length_swa"];

/// Rows that the metadata ask for.
struct Rows {
    queries: i128,
    keys: i128,
    values: i128,
}

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let is_plain = view.architecture().is_some_and(|name| PLAIN.contains(&name));
    if !is_plain || VARIED.iter().any(|key| view.hyper(key).is_some()) {
        return;
    }
    let Some(heads) = Heads::new(view) else { return };
    for (tensor, entry) in view.tensors() {
        let Some((block, name)) = in_block(&tensor.name) else { continue };
        let Some(rows) = heads.rows(block) else { continue };
        let (expected, why) = match name {
            "attn_q.weight" => (rows.queries, "head_count * key_length"),
            "attn_k.weight" => (rows.keys, "head_count_kv * key_length"),
            "attn_v.weight" => (rows.values, "head_count_kv * value_length"),
            "attn_qkv.weight" => (
                rows.queries + rows.keys + rows.values,
                "(head_count + head_count_kv) * key_length + head_count_kv * value_length",
            ),
            _ => continue,
        };
        let found = rows_of(tensor);
        if found != Some(expected) {
            let found = found.map_or_else(|| "no".to_owned(), |found| found.to_string());
            let note = note(format_args!("{found} rows"), format_args!("{expected}: {why}"));
            out.tensor(tensor, entry, note);
        }
    }
});

/// The numbers and lengths of heads by the metadata.
struct Heads<'v> {
    queries: Numbers<'v>,
    keys: Numbers<'v>,
    key_length: i128,
    value_length: i128,
}

impl<'v> Heads<'v> {
    /// Returns `None` if the metadata is incomplete, or if other rules report what is wrong with
    /// it.
    fn new(view: &View<'v>) -> Option<Self> {
        let list = |key: &str| Numbers::of(view.hyper(key)?.1);
        let queries = list("attention.head_count")?;
        let keys = match view.hyper("attention.head_count_kv") {
            Some(_) => list("attention.head_count_kv")?,
            None => queries,
        };
        let width = view.hyper("embedding_length").and_then(|(_, value)| value.as_integer());
        let length = |key: &str| match view.hyper(key) {
            Some((_, value)) => value.as_integer().filter(|length| *length > 0),
            None => width?.checked_div(queries.at(0)?),
        };
        let key_length = length("attention.key_length")?;
        let value_length = length("attention.value_length")?;
        // no product of such numbers overflows
        let all = queries.iter().chain(keys.iter()).chain([key_length, value_length]);
        let is_sane = all.into_iter().all(|number| (0..1 << 32).contains(&number));
        is_sane.then_some(Self { queries, keys, key_length, value_length })
    }

    fn rows(&self, block: u64) -> Option<Rows> {
        let block = usize::try_from(block).ok()?;
        let (queries, keys) = (self.queries.at(block)?, self.keys.at(block)?);
        Some(Rows {
            queries: queries * self.key_length,
            keys: keys * self.key_length,
            values: keys * self.value_length,
        })
    }
}

fn in_block(name: &str) -> Option<(u64, &str)> {
    let (number, rest) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

fn rows_of(tensor: &TensorInfo) -> Option<i128> {
    tensor.shape.rows().map(i128::from)
}

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;
    use crate::{Array, BlockType};

    /// A model of width 64 with heads of 16.
    fn model(heads: u32, groups: u32) -> Forge {
        Forge::new()
            .key("general.architecture", "llama")
            .key("llama.embedding_length", 64_u32)
            .key("llama.attention.head_count", heads)
            .key("llama.attention.head_count_kv", groups)
            .key("llama.attention.key_length", 16_u32)
    }

    fn with(forge: Forge, tensors: &[(&str, u64)]) -> Forge {
        tensors.iter().fold(forge, |forge, (name, rows)| {
            forge.tensor(&format!("blk.0.{name}.weight"), &[64, *rows], BlockType::F32)
        })
    }

    #[test]
    fn heads() {
        let tensors = [("attn_q", 64), ("attn_k", 32), ("attn_v", 32)];
        with(model(4, 2).key("llama.attention.value_length", 16_u32), &tensors).gives(&[]);
        with(model(4, 2), &tensors).gives(&[]);
        with(model(4, 4), &tensors).gives(&["S025", "S025"]);
        with(model(2, 2), &tensors).gives(&["S025", "S025"]);
        with(model(4, 2).key("llama.attention.value_length", 8_u32), &tensors).gives(&["S025"]);
        with(model(4, 2), &[("attn_qkv", 128)]).gives(&[]);
        with(model(4, 2), &[("attn_qkv", 192)]).gives(&["S025"]);
        with(model(4, 2), &[("ffn_up", 192)]).gives(&[]);
    }

    #[test]
    fn lengths_follow_from_the_width() {
        let model = |heads: u32| {
            Forge::new()
                .key("general.architecture", "llama")
                .key("llama.embedding_length", 64_u32)
                .key("llama.attention.head_count", heads)
        };
        with(model(4), &[("attn_q", 64), ("attn_k", 64)]).gives(&[]);
        with(model(4).key("llama.attention.head_count_kv", 1_u32), &[("attn_k", 64)])
            .gives(&["S025"]);
    }

    #[test]
    fn only_where_it_is_certain() {
        let tensors = [("attn_q", 128), ("attn_k", 32)];
        let other = |architecture: &str| {
            Forge::new()
                .key("general.architecture", architecture)
                .key(&format!("{architecture}.embedding_length"), 64_u32)
                .key(&format!("{architecture}.attention.head_count"), 4_u32)
        };
        with(other("qwen3next"), &tensors).gives(&[]);
        with(other("test"), &tensors).gives(&[]);
        with(other("gemma3"), &tensors).gives(&["S025", "S025"]);
        let swa = "gemma3.attention.key_length_swa";
        with(other("gemma3").key(swa, 32_u32), &tensors).gives(&[]);
        // a number for each block
        let heads = |list: Vec<i32>| {
            Forge::new()
                .key("general.architecture", "deci")
                .key("deci.embedding_length", 64_u32)
                .key("deci.attention.key_length", 16_u32)
                .key("deci.attention.value_length", 16_u32)
                .key("deci.attention.head_count", Array::I32(list))
        };
        with(heads(vec![8, 4]), &tensors[..1]).gives(&[]);
        with(heads(vec![4, 8]), &tensors[..1]).gives(&["S025"]);
        with(heads(vec![]), &tensors[..1]).gives(&["S017"]);
        let huge = u64::MAX;
        with(other("llama").key("llama.attention.key_length", huge), &tensors).gives(&[]);
    }
}
