//! A tensor has an unknown type.
//!
//! **Why it is bad.** Its size and its values are unknown. The file may come from a newer program;
//! the rest can still be inspected.
//!
//! **How to fix.** Use a newer program, or write the file again.

use super::{Check, note};
use crate::TensorType;
use crate::block::REMOVED;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for (tensor, entry) in view.tensors() {
        if let TensorType::Unknown(id) = tensor.ty
            && !REMOVED.iter().any(|removed| removed.0 == id)
        {
            out.tensor(tensor, entry, note(tensor.ty, "a known type"));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        for ty in [100, u32::MAX] {
            Forge::model().row(b"b", &[8], ty, &[0; 32]).gives(&["T013"]);
        }
        Forge::model().row(b"b", &[32], 24, &[0; 32]).gives(&[]);
    }
}
