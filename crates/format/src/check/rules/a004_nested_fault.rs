//! An array inside an array is damaged: it has an unknown type, a count or length that exceeds the
//! file, a string that is not UTF-8, or a boolean that is neither 0 nor 1.
//!
//! **Why it is bad.** The array cannot be read. Readers that only skip nested arrays must still
//! know their exact length.
//!
//! **How to fix.** Download, copy or write the file again.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    // the nesting itself has its own rule
    (ErrorKind::Nesting(_), _) => None,
    (kind, Place::NestedValue(_)) => Some(note(kind, "a nested array without faults")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn nested() {
        let nested = |ty: u8, count: u8, bytes: &[u8]| {
            let mut array = vec![9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
            array.extend([ty, 0, 0, 0, count, 0, 0, 0, 0, 0, 0, 0]);
            array.extend(bytes);
            Forge::new().raw(b"x", 9, &array)
        };
        nested(13, 0, &[]).gives(&["A004"]);
        nested(0, 4, &[1, 2, 3]).gives(&["A004"]);
        nested(7, 2, &[2, 3]).gives(&["A004"]);
        nested(8, 1, &[9, 0, 0, 0, 0, 0, 0, 0, b'a']).gives(&["A004"]);
        nested(7, 2, &[0, 1]).gives(&[]);
    }
}
