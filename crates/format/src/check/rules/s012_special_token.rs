//! The id of a special token is not below the number of tokens.
//!
//! **Why it is bad.** Readers look the token up and read beyond the end of the vocabulary.
//!
//! **How to fix.** Write the right id, or omit the key.

use super::{Check, note};
use crate::check::Field;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let Some(tokens) = view.tokens() else { return };
    for (entry, span) in view.entries() {
        let is_special =
            entry.key.starts_with("tokenizer.ggml.") && entry.key.ends_with("_token_id");
        if is_special
            && let Some(id) = entry.value.as_integer()
            && !(0..i128::from(tokens)).contains(&id)
        {
            let note = note(id, format_args!("0 to {}", tokens.saturating_sub(1)));
            out.add(span.value, Field::metadata(&entry.key), note);
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn ids() {
        Forge::vocabulary().key("tokenizer.ggml.bos_token_id", 4_u32).gives(&["S012"]);
        Forge::vocabulary().key("tokenizer.ggml.eot_token_id", -1_i32).gives(&["S012"]);
        Forge::vocabulary().key("tokenizer.ggml.bos_token_id", 3_u32).gives(&[]);
        Forge::model().key("tokenizer.ggml.bos_token_id", 4_u32).gives(&[]);
    }
}
