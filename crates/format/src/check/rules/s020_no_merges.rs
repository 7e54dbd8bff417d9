//! The tokenizer is of a kind that splits strings by merges (for example, `tokenizer.ggml.model`
//! is `gpt2`), but there is no `tokenizer.ggml.merges`.
//!
//! **Why it is bad.** Readers refuse the file: without merges, they could only split strings into
//! single bytes.
//!
//! **How to fix.** Convert the checkpoint again with its `tokenizer.json`, or with `merges.txt`
//! next to `vocab.json`.

use super::{Check, note};
use crate::check::vocabulary::{MERGES, MODEL, needs_merges};
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Metadata(|view, out| {
    if view.get(MERGES).is_none() && needs_merges(view.header.metadata()) {
        let expected = format_args!("{MERGES} as well");
        let found = view.get(MODEL).map_or_else(String::new, crate::check::view::show);
        out.value(view, MODEL, note(format_args!("{found} without merges"), expected));
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::{Forge, strings};

    #[test]
    fn missing() {
        let model = |model: &str| Forge::vocabulary().key("tokenizer.ggml.model", model);
        for kind in ["gpt2", "gemma4", "hybriddna", "whitespace"] {
            model(kind).gives(&["S020"]);
            model(kind).key("tokenizer.ggml.merges", strings(&[])).gives(&[]);
        }
        for kind in ["llama", "bert", "t5", "rwkv", "none"] {
            model(kind).gives(&[]);
        }
        model("gpt2").key("tokenizer.ggml.pre", "kimi-k2").gives(&[]);
        model("gpt2").key("tokenizer.ggml.pre", "qwen2").gives(&["S020"]);
    }
}
