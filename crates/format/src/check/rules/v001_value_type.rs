//! A metadata value has a type that does not exist; types are 0 to 12.
//!
//! **Why it is bad.** The length of the value is unknown, so nothing after it can be read.
//!
//! **How to fix.** Write the file again.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::ValueType(id), Place::Value(_)) => {
        Some(note(format_args!("type {id}"), "a type from 0 to 12"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        for ty in [13, 255, u32::MAX] {
            Forge::new().raw(b"x", ty, &[0; 8]).gives(&["V001"]);
        }
        Forge::new().raw(b"x", 12, &[0; 8]).gives(&[]);
    }
}
