//! The data of a tensor, padded to the alignment, takes more than 2^64 - 1 bytes.
//!
//! **Why it is bad.** The number of values fits, but its product with their size wraps, or the
//! padding does: a reader that does not check reserves little memory for a tensor that it treats
//! as huge.
//!
//! **How to fix.** Write the file again.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match &error.kind {
    // rules before this one report larger dimensions and products
    ErrorKind::TensorTooLarge(dimensions) => {
        Some(note(format_args!("dimensions {dimensions:?}"), "a size that fits"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn bytes() {
        Forge::model().row(b"b", &[1 << 62], 0, &[0; 32]).gives(&["T011"]);
        Forge::model().row(b"b", &[(1 << 62) - 4], 0, &[0; 32]).gives(&["T011"]);
        Forge::model().row(b"b", &[8], 0, &[0; 32]).gives(&[]);
    }
}
