//! The file ends inside a metadata value or its type.
//!
//! **Why it is bad.** The rest of the metadata, all tensors and their data are missing.
//!
//! **How to fix.** Download or copy the file again.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::Truncated { need, left }, Place::Value(_) | Place::Element(_)) => {
        Some(note(format_args!("{left} bytes left"), format_args!("{need} bytes")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn cut() {
        Forge::new().raw(b"x", 12, &[0; 7]).gives(&["V003"]);
        Forge::new().raw(b"x", 12, &[0; 8]).gives(&[]);
    }
}
