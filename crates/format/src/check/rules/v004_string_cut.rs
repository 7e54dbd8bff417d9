//! The length of a string in the metadata exceeds the file.
//!
//! **Why it is bad.** A reader that trusts the length copies memory beyond the file, or reserves
//! as much as the length says.
//!
//! **How to fix.** Download or copy the file again. If that does not help, a length is damaged.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::StringTooLong { bytes, left }, Place::Value(_) | Place::Element(_)) => {
        Some(note(format_args!("{left} bytes left"), format_args!("{bytes} bytes")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn cut() {
        for length in [4, 1 << 40, u64::MAX] {
            let bytes = [&length.to_le_bytes()[..], b"abc"].concat();
            Forge::new().raw(b"x", 8, &bytes).gives(&["V004"]);
            let array = [&[8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], &bytes[..]].concat();
            Forge::new().raw(b"x", 9, &array).gives(&["V004"]);
        }
        Forge::new().key("x", "abc").gives(&[]);
    }
}
