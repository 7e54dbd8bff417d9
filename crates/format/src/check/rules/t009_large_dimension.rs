//! A dimension of a tensor is above 2^63 - 1.
//!
//! **Why it is bad.** Readers store dimensions as signed numbers and see a negative one.
//!
//! **How to fix.** Write the file again.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match &error.kind {
    ErrorKind::TensorTooLarge(dimensions) => {
        let large = dimensions.iter().find(|dimension| **dimension > i64::MAX as u64)?;
        Some(note(large, "at most 9223372036854775807"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn large() {
        Forge::model().row(b"b", &[8, 1 << 63], 0, &[]).gives(&["T009"]);
        Forge::model().row(b"b", &[8, 1], 0, &[0; 32]).gives(&[]);
    }
}
