//! A string in the metadata contains a NUL. (Strings of tokens may.)
//!
//! **Why it is bad.** Readers in C end the string at the NUL and see a shorter one.
//!
//! **How to fix.** Remove the NUL.

use super::{Check, note};
use crate::check::Field;
use crate::{Array, Value};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for (entry, span) in view.entries() {
        let is_bad = match &entry.value {
            Value::String(text) => text.contains('\0'),
            Value::Array(array) => !entry.key.starts_with("tokenizer.") && has_nul(array),
            _ => false,
        };
        if is_bad {
            let note = note("a NUL in a string", "a string without NUL");
            out.add(span.value, Field::metadata(&entry.key), note);
        }
    }
});

fn has_nul(array: &Array) -> bool {
    match array {
        Array::String(texts) => texts.iter().any(|text| text.contains(&0)),
        Array::Array(arrays) => arrays.iter().any(has_nul),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::check::testing::{Forge, strings};

    #[test]
    fn nul() {
        Forge::new().key("general.name", "a\0b").gives(&["V006"]);
        Forge::new().key("general.tags", strings(&["a", "\0"])).gives(&["V006"]);
        Forge::new().key("tokenizer.ggml.tokens", strings(&["a", "\0"])).gives(&[]);
    }
}
