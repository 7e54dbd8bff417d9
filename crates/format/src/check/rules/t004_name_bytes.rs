//! The name of a tensor is not UTF-8, or contains control characters or a NUL.
//!
//! **Why it is bad.** Readers in C end the name at a NUL, so two tensors with different names can
//! be one to them. Control characters can change what a terminal shows.
//!
//! **How to fix.** Rename the tensor.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::NotUtf8, Place::TensorEntry(_)) => Some(note("bytes that are not UTF-8", "UTF-8")),
    (ErrorKind::NameByte { byte, .. }, Place::TensorEntry(_)) => {
        Some(note(format_args!("byte {byte:#04x}"), "no control characters"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn bytes() {
        for name in [&b"a\0"[..], b"\n", b"\x7f", b"\xff"] {
            Forge::model().row(name, &[8], 0, &[0; 32]).gives(&["T004"]);
        }
        Forge::model().row("ä b".as_bytes(), &[8], 0, &[0; 32]).gives(&[]);
    }
}
