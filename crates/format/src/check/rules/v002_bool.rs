//! A boolean is neither 0 nor 1.
//!
//! **Why it is bad.** Readers disagree on its meaning, and in some languages it is undefined
//! behaviour.
//!
//! **How to fix.** Write 0 or 1.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::Bool(byte), Place::Value(_)) => Some(note(byte, "0 or 1")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn booleans() {
        Forge::new().raw(b"x", 7, &[2]).raw(b"y", 7, &[255]).gives(&["V002", "V002"]);
        Forge::new().raw(b"x", 7, &[0]).raw(b"y", 7, &[1]).gives(&[]);
    }
}
