//! The file ends inside a metadata key, or the length of a key exceeds the file.
//!
//! **Why it is bad.** A reader that trusts the length copies memory beyond the file, or reserves
//! as much as the length says.
//!
//! **How to fix.** Download or copy the file again. If that does not help, a length is damaged.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (
        ErrorKind::StringTooLong { bytes: need, left } | ErrorKind::Truncated { need, left },
        Place::Key(_),
    ) => Some(note(format_args!("{left} bytes left"), format_args!("{need} bytes"))),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn cut() {
        let long = |length: u64| {
            Forge::new().bytes_as_entry(&[&length.to_le_bytes()[..], &[b'x'; 20]].concat())
        };
        for length in [21, 1 << 40, u64::MAX] {
            long(length).gives(&["K006"]);
        }
        Forge::new().key("x", 1_u64).with(|forge| forge.tail = 0).gives(&[]);
    }
}
