//! The rows of `token_embd.weight` do not have the length that `embedding_length` says.
//!
//! **Why it is bad.** Readers reserve memory by one number and copy by the other; the reference
//! refuses the file.
//!
//! **How to fix.** Convert the checkpoint again.

use super::{Check, note};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let Some((tensor, entry)) = view.tensors().find(|row| row.0.name == "token_embd.weight") else {
        return;
    };
    let length = |name| view.hyper(name).and_then(|(_, value)| value.as_integer());
    let Some(expected) = length("embedding_length") else { return };
    let row = i128::from(tensor.shape.row());
    // models of sound embed features, which have a length of their own
    if row != expected && length("features_length") != Some(row) {
        out.tensor(tensor, entry, note(format_args!("rows of {row}"), expected));
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn width() {
        let model = |length: u32| {
            Forge::model().key("test.embedding_length", length).tensor(
                "token_embd.weight",
                &[8, 4],
                BlockType::F32,
            )
        };
        model(16).gives(&["S015"]);
        model(8).gives(&[]);
        model(16).key("test.features_length", 8_u32).gives(&[]);
    }
}
