//! The elements of an array have a type that does not exist; also when the array is empty.
//!
//! **Why it is bad.** Nobody knows how long the array is, so nothing behind it can be read. Readers that
//! take the size of an unknown type for 0 loop as often as the count says.
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
