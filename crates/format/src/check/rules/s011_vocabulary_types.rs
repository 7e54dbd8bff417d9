//! The tokens are not an array of String, their scores not of F32, their types not of I32, or the
//! merges not of String. Scores of zero may be I32, which has the same bytes for it: llama.cpp's
//! converter writes them for the tokenizer of Mistral's own library.
//!
//! **Why it is bad.** Readers interpret the bytes as the type they expect: one-byte scores read as
//! F32 are wrong, and the read goes beyond the end of the array.
//!
//! **How to fix.** Convert the tokenizer again.

use super::Check;
use crate::{Array, Value, ValueType};

/// The arrays of a vocabulary and the types of their elements.
const ARRAYS: &[(&str, ValueType)] = &[
    ("tokenizer.ggml.tokens", ValueType::String),
    ("tokenizer.ggml.scores", ValueType::F32),
    ("tokenizer.ggml.token_type", ValueType::I32),
    ("tokenizer.ggml.merges", ValueType::String),
];

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for (key, ty) in ARRAYS {
        match view.get(key) {
            Some(Value::Array(array)) if array.element_type() == *ty => {}
            Some(Value::Array(Array::I32(zeros)))
                if *ty == ValueType::F32 && zeros.iter().all(|zero| *zero == 0) => {}
            Some(_) => out.value_is(view, key, format_args!("an array of {ty}")),
            None => {}
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::Array;
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        let scores = Array::U8(vec![0; 4]);
        Forge::vocabulary().key("tokenizer.ggml.scores", scores).gives(&["S011"]);
        Forge::vocabulary().key("tokenizer.ggml.merges", "a b").gives(&["S011"]);
        let scores = Array::I32(vec![0, 0, 0, -1]);
        Forge::vocabulary().key("tokenizer.ggml.scores", scores).gives(&["S011"]);
        for scores in [Array::F32(vec![0.0; 4]), Array::I32(vec![0; 4])] {
            Forge::vocabulary().key("tokenizer.ggml.scores", scores).gives(&[]);
        }
    }
}
