//! A metadata key has bytes that are not printable ASCII: control characters, NUL, accented
//! letters.
//!
//! **Why it is bad.** Keys are compared byte by byte and shown on terminals. A reader in C ends
//! the key at a NUL and so sees another key than other readers.
//!
//! **How to fix.** Rename the key.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::NameByte { byte, .. }, Place::Key(_)) => {
        Some(note(format_args!("byte {byte:#04x}"), "printable ASCII, 0x20 to 0x7e"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn bytes() {
        for key in [&b"a\0b"[..], b"a\nb", b"\x7f", b"\xe4", "ä".as_bytes()] {
            Forge::model().raw(key, 0, &[1]).gives(&["K003"]);
        }
        Forge::model().raw(b"a.b", 0, &[1]).gives(&[]);
    }
}
