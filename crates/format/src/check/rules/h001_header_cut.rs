//! The file ends inside its header: the magic, the version, the number of tensors or the number of
//! metadata entries.
//!
//! **Why it is bad.** Nothing can be read. The usual cause is a download or a copy that was
//! interrupted at once.
//!
//! **How to fix.** Download or copy the file again.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::Truncated { need, left }, Place::Header) => {
        Some(note(format_args!("{left} bytes"), format_args!("{need} bytes")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn a_header_has_24_bytes() {
        for missing in [1, 8, 20, 23, 24] {
            Forge::new().with(|forge| forge.tail = -missing).gives(&["H001"]);
        }
        Forge::new().gives(&[]);
    }
}
