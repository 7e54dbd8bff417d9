//! A tensor has no dimensions: it is a single value.
//!
//! **Why it is bad.** Both readers of the reference accept it as one value; others may not expect
//! it.
//!
//! **How to fix.** Write one dimension of 1.

use super::{Check, note};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for (tensor, entry) in view.tensors() {
        if tensor.shape.dimensions().is_empty() {
            out.tensor(tensor, entry, note("no dimensions", "1 to 4 dimensions"));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn scalar() {
        Forge::model().tensor("b", &[], BlockType::F32).gives(&["T007"]);
        Forge::model().tensor("b", &[1], BlockType::F32).gives(&[]);
    }
}
