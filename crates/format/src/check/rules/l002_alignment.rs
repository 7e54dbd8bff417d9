//! `general.alignment` is 0 or not a power of two.
//!
//! **Why it is bad.** Readers divide by it, or round up with bit operations that work only for
//! powers of two.
//!
//! **How to fix.** Write the file with an alignment of 32.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::Alignment(alignment) => Some(note(alignment, "a power of two")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn values() {
        for alignment in [0, 24, 33, u32::MAX] {
            Forge::model().key("general.alignment", alignment).gives(&["L002"]);
        }
        Forge::model().key("general.alignment", 32_u32).gives(&[]);
    }
}
