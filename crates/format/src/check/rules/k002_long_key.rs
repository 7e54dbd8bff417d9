//! A metadata key is longer than 65,535 bytes.
//!
//! **Why it is bad.** The specification forbids it; readers may store key lengths in 16 bits.
//!
//! **How to fix.** Shorten the key.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::LongName { bytes, most }, Place::Key(_)) => {
        Some(note(format_args!("{bytes} bytes"), format_args!("at most {most} bytes")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn long() {
        Forge::model().key(&"x".repeat(65_536), 1_u8).gives(&["K002"]);
        Forge::model().key(&"x".repeat(65_535), 1_u8).gives(&[]);
    }
}
