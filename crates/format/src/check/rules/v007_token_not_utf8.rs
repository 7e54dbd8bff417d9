//! The string of a token is not UTF-8.
//!
//! **Why it is bad.** Vocabularies with such tokens exist, and llama.cpp reads them as bytes;
//! readers that expect UTF-8 may refuse the file or damage the token.
//!
//! **How to fix.** Nothing, if the vocabulary really consists of bytes.

use super::{Check, note};
use crate::check::Field;
use crate::check::vocabulary::{MERGES, TOKENS};
use crate::{Array, Value};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for (entry, span) in view.entries() {
        let Value::Array(array) = &entry.value else { continue };
        let is_known = view.known_vocabulary && [TOKENS, MERGES].contains(&&*entry.key);
        if !entry.key.starts_with("tokenizer.") || is_known {
            continue;
        }
        if let Some(place) = first_bytes(array) {
            let found = format_args!("element {place} is not UTF-8");
            out.add(span.value, Field::metadata(&entry.key), note(found, "UTF-8"));
        }
    }
});

/// Returns the index of the first element that is or contains a string that is not UTF-8.
fn first_bytes(array: &Array) -> Option<usize> {
    match array {
        Array::String(texts) => texts.iter().position(|text| str::from_utf8(text).is_err()),
        Array::Array(arrays) => arrays.iter().position(|array| first_bytes(array).is_some()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::Array;
    use crate::check::Options;
    use crate::check::testing::{Forge, strings};

    #[test]
    fn tokens() {
        let array = Array::String([&b"a"[..], b"\xe4"].into_iter().collect());
        Forge::new().key("tokenizer.ggml.tokens", array).gives(&["V007"]);
        Forge::new().key("tokenizer.ggml.tokens", strings(&["a", "ä"])).gives(&[]);
        let known = Options::default().with_known_vocabulary(true);
        let array = Array::String([&b"\xe4"[..]].into_iter().collect());
        let bytes = Forge::new().key("tokenizer.ggml.tokens", array).bytes();
        assert!(crate::check(&bytes, &known).findings.is_empty());
    }
}
