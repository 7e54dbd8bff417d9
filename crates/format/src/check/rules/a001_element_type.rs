//! The element type of an array does not exist. An empty array is reported, too.
//!
//! **Why it is bad.** The length of the array in bytes is unknown, so nothing after it can be
//! read. Readers that count an unknown type as 0 bytes loop as often as the count says.
//!
//! **How to fix.** Write the file again.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::ValueType(id), Place::Element(_)) => {
        Some(note(format_args!("elements of type {id}"), "a type from 0 to 12"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        let array = |ty: u8| [ty, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Forge::new().raw(b"x", 9, &array(13)).gives(&["A001"]);
        Forge::new().raw(b"x", 9, &array(12)).gives(&[]);
    }
}
