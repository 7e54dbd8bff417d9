//! A dimension of a tensor is 0, so the tensor has no values.
//!
//! **Why it is bad.** The reference allows it on purpose; some readers divide by the dimensions.
//!
//! **How to fix.** Remove the tensor.

use super::{Check, note};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for (tensor, entry) in view.tensors() {
        if tensor.shape.dimensions().contains(&0) {
            out.tensor(tensor, entry, note(tensor.shape, "dimensions of at least 1"));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn zero() {
        Forge::model().tensor("b", &[8, 0], BlockType::F32).gives(&["T008"]);
        Forge::model().tensor("b", &[8, 1], BlockType::F32).gives(&[]);
    }
}
