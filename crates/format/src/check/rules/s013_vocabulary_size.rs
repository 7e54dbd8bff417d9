//! `vocab_size` of the architecture differs from the number of tokens.
//!
//! **Why it is bad.** One of them is wrong. Old converters counted padding that has no tokens.
//!
//! **How to fix.** Convert the checkpoint again.

use super::Check;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    if let Some(tokens) = view.tokens()
        && let Some((key, value)) = view.hyper("vocab_size")
        && value.as_integer().is_some_and(|size| size != i128::from(tokens))
    {
        out.value_is(view, &key, format_args!("{tokens}, the number of tokens"));
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn sizes() {
        Forge::vocabulary().key("test.vocab_size", 5_u32).gives(&["S013"]);
        Forge::vocabulary().key("test.vocab_size", 4_u32).gives(&[]);
    }
}
