//! The name of a tensor has exactly 64 bytes.
//!
//! **Why it is bad.** The specification allows it, but the reference has room for 63 bytes and a
//! NUL, and refuses the file.
//!
//! **How to fix.** Rename the tensor.

use super::{Check, note};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for (tensor, entry) in view.tensors() {
        if tensor.name.len() == 64 {
            out.tensor(tensor, entry, note("64 bytes", "at most 63 bytes"));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn of_64() {
        Forge::model().tensor(&"x".repeat(64), &[8], BlockType::F32).gives(&["T002"]);
        Forge::model().tensor(&"x".repeat(63), &[8], BlockType::F32).gives(&[]);
    }
}
