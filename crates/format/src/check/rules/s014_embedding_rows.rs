//! `token_embd.weight` has more or fewer rows than there are tokens.
//!
//! **Why it is bad.** Readers look up tokens without a row beyond the end of the tensor; the
//! reference refuses the file.
//!
//! **How to fix.** Convert the checkpoint again.

use super::{Check, note};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let Some(tokens) = view.tokens() else { return };
    let Some((tensor, entry)) = view.tensors().find(|row| row.0.name == "token_embd.weight") else {
        return;
    };
    let rows = tensor.shape.dimensions().get(1).copied().unwrap_or(1);
    if rows != tokens {
        let expected = format_args!("{tokens}, the number of tokens");
        out.tensor(tensor, entry, note(format_args!("{rows} rows"), expected));
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn rows() {
        let model =
            |rows| Forge::vocabulary().tensor("token_embd.weight", &[8, rows], BlockType::F32);
        model(3).gives(&["S014"]);
        model(4).gives(&[]);
    }
}
