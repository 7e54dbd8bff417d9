//! A boolean in an array is neither 0 nor 1.
//!
//! **Why it is bad.** Readers disagree on its meaning, and in some languages it is undefined
//! behaviour.
//!
//! **How to fix.** Write 0 or 1.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::Bool(byte), Place::Element(_)) => Some(note(byte, "0 or 1")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn booleans() {
        let array = |bytes: [u8; 4]| {
            let array = [&[7, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0], &bytes[..]].concat();
            Forge::new().raw(b"x", 9, &array)
        };
        array([0, 2, 1, 255]).gives(&["A005"]);
        assert_eq!(array([0, 2, 1, 255]).report().findings[0].times, 2);
        array([0, 1, 1, 0]).gives(&[]);
    }
}
