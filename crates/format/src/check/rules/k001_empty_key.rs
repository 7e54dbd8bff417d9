//! A metadata key is empty.
//!
//! **Why it is bad.** No program can look it up; some readers end the process.
//!
//! **How to fix.** Remove the entry or give it a key.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::EmptyName, Place::Key(_)) => Some(note("an empty key", "1 to 65535 bytes")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn empty() {
        Forge::model().key("", 1_u8).gives(&["K001"]);
        Forge::model().key("x", 1_u8).gives(&[]);
    }
}
