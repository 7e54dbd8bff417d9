//! A merge of the tokenizer joins two strings, but one of them, or the joined string, is not a
//! token. Or the merge has no space that separates the two strings.
//!
//! **Why it is bad.** Text is split differently from what the model has learned, or into single
//! bytes. The file still loads.
//!
//! **How to fix.** Convert the checkpoint again: the merges and the tokens come from different
//! tokenizers, or tokens were removed.

use super::{Check, note};
use crate::check::Field;
use crate::check::report::shortened;
use crate::check::vocabulary::{MERGES, Vocabulary, halves, has_merges, shown};
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let metadata = view.header.metadata();
    let Some(vocabulary) = view.vocabulary().filter(|_| has_merges(metadata)) else { return };
    let Ok(Some(merges)) = metadata.strings(MERGES) else { return };
    let mut joined = Vec::new();
    let mut first = None;
    let mut times = 0;
    for merge in merges.iter() {
        if !names_tokens(vocabulary, merge, &mut joined) {
            times += 1;
            first.get_or_insert(merge);
        }
    }
    if let Some(merge) = first {
        let merge = shown(merge);
        let merge = shortened(&merge);
        let found = format_args!("{merge:?}");
        let note = note(found, "two tokens that join to a third");
        out.times(view.value_offset(MERGES), Field::metadata(MERGES), note, times);
    }
});

fn names_tokens(vocabulary: &Vocabulary<'_>, merge: &[u8], joined: &mut Vec<u8>) -> bool {
    let Some((left, right)) = halves(merge) else { return false };
    joined.clear();
    joined.extend_from_slice(left);
    joined.extend_from_slice(right);
    [left, right, joined].into_iter().all(|text| is_token(vocabulary, text))
}

/// Whether a token has the string. The reference's converter writes spaces in added tokens, which
/// the tokenizer's merges know with `▁`.
fn is_token(vocabulary: &Vocabulary<'_>, text: &[u8]) -> bool {
    vocabulary.has(text)
        || str::from_utf8(text).is_ok_and(|text| {
            text.contains('▁') && vocabulary.has(text.replace('▁', " ").as_bytes())
        })
}

#[cfg(test)]
mod tests {
    use crate::check::testing::{Forge, strings};

    #[test]
    fn tokens() {
        let model = |model: &str, merges: &[&str]| {
            Forge::model()
                .key("tokenizer.ggml.model", model)
                .key("tokenizer.ggml.tokens", strings(&["a", "b", "c", "ab", "abc"]))
                .key("tokenizer.ggml.merges", strings(merges))
        };
        model("gpt2", &["a b", "ab c"]).gives(&[]);
        for merge in ["a x", "x a", "a c", "ab", "", "a b c"] {
            model("gpt2", &["a b", merge]).gives(&["S021"]);
            model("gemma4", &["a b", merge]).gives(&["S021"]);
        }
        // added tokens have spaces
        let added = |merge: &str| {
            Forge::model()
                .key("tokenizer.ggml.model", "gpt2")
                .key("tokenizer.ggml.tokens", strings(&["▁", "▁▁", "   ", "a"]))
                .key("tokenizer.ggml.merges", strings(&[merge]))
        };
        added("▁▁ ▁").gives(&[]);
        added("▁ a").gives(&["S021"]);
        let report = model("gpt2", &["a b", "a c", "b a"]).report();
        assert_eq!(report.findings[0].times, 2);
        // other kinds of tokenizer have no use for them
        model("llama", &["a c"]).gives(&[]);
    }
}
