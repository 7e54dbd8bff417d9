//! A tensor has no name.
//!
//! **Why it is bad.** No program can look it up.
//!
//! **How to fix.** Name the tensor, or remove it.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::EmptyName, Place::TensorEntry(_)) => Some(note("an empty name", "1 to 64 bytes")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn empty() {
        Forge::model().tensor("", &[8], BlockType::F32).gives(&["T003"]);
        Forge::model().tensor("b", &[8], BlockType::F32).gives(&[]);
    }
}
