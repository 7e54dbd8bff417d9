//! A whole language model, with a token embedding, blocks and an output norm, has no tokenizer or
//! only part of one: `tokenizer.ggml.model` or `tokenizer.ggml.tokens` is absent.
//! (`tokenizer.ggml.model` may be `none`, which says that the tokenizer is left out on purpose.)
//!
//! **Why it is bad.** Programs that turn text into tokens refuse the file, or need a tokenizer
//! from elsewhere.
//!
//! **How to fix.** Convert the checkpoint again with the files of its tokenizer.

use super::{Check, note};
use crate::check::Field;
use crate::check::vocabulary::{MODEL, TOKENS, has_vocabulary};

/// Norms that do not belong to a block: every language model has one.
const NORMS: &[&str] = &["output_norm.weight", "token_embd_norm.weight", "enc.output_norm.weight"];

/// Other ways to bring a tokenizer along.
const OTHERS: &[&str] = &["tokenizer.huggingface.json", "tokenizer.rwkv.world"];

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let Some(whole) = view.whole() else { return };
    let is_language_model = !whole.stacks.is_empty()
        && view.hyper("block_count").is_some()
        && whole.get("token_embd.weight").is_some()
        && NORMS.iter().any(|norm| whole.get(norm).is_some());
    let has_other = OTHERS.iter().any(|key| view.get(key).is_some());
    if !is_language_model || has_other || !has_vocabulary(view.header.metadata()) {
        return;
    }
    let missing = [MODEL, TOKENS].into_iter().find(|key| view.get(key).is_none());
    if let Some(missing) = missing {
        out.add(24, Field::metadata(missing), note("nothing", "a tokenizer"));
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::{Forge, strings};

    #[test]
    fn tokenizers() {
        let blocks = || {
            Forge::model().key("test.block_count", 1_u32).tensor(
                "blk.0.a.weight",
                &[8],
                BlockType::F32,
            )
        };
        let embedding = || blocks().tensor("token_embd.weight", &[8, 2], BlockType::F32);
        let model = || embedding().tensor("output_norm.weight", &[8], BlockType::F32);
        let tokens = || strings(&["a", "b"]);
        model().gives(&["S026"]);
        model().key("tokenizer.ggml.model", "llama").gives(&["S026"]);
        model().key("tokenizer.ggml.tokens", tokens()).gives(&["S026"]);
        let whole = model().key("tokenizer.ggml.model", "llama");
        whole.key("tokenizer.ggml.tokens", tokens()).gives(&[]);
        model().key("tokenizer.ggml.model", "none").gives(&[]);
        model().key("tokenizer.huggingface.json", "{}").gives(&[]);
        model().key("general.type", "mmproj").gives(&[]);
        // not a language model
        blocks().gives(&[]);
        embedding().gives(&[]);
        Forge::model().tensor("token_embd.weight", &[8], BlockType::F32).gives(&[]);
    }
}
