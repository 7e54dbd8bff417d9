//! There are more or fewer scores or types of tokens than tokens.
//!
//! **Why it is bad.** Readers walk the three arrays with one index and read beyond the end of the
//! shorter one.
//!
//! **How to fix.** Convert the tokenizer again.

use super::Check;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let Some(tokens) = view.tokens() else { return };
    for key in ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"] {
        if let Ok(Some(array)) = view.header.metadata().array(key)
            && array.len() as u64 != tokens
        {
            out.value_is(view, key, format_args!("{tokens} elements, as there are tokens"));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::Array;
    use crate::check::testing::Forge;

    #[test]
    fn lengths() {
        for scores in [3, 5] {
            let scores = Array::F32(vec![0.0; scores]);
            Forge::vocabulary().key("tokenizer.ggml.scores", scores).gives(&["S010"]);
        }
        let types = Array::I32(vec![1; 3]);
        Forge::vocabulary().key("tokenizer.ggml.token_type", types).gives(&["S010"]);
        let types = Array::I32(vec![1; 4]);
        Forge::vocabulary().key("tokenizer.ggml.token_type", types).gives(&[]);
    }
}
