//! The name of a tensor is longer than 64 bytes.
//!
//! **Why it is bad.** The specification allows 64; the reference keeps names in fields of 64
//! bytes.
//!
//! **How to fix.** Rename the tensor.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::LongName { bytes, most }, Place::TensorEntry(_)) => {
        Some(note(format_args!("{bytes} bytes"), format_args!("at most {most} bytes")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn long() {
        Forge::model().tensor(&"x".repeat(65), &[8], BlockType::F32).gives(&["T001"]);
        Forge::model().tensor(&"x".repeat(63), &[8], BlockType::F32).gives(&[]);
    }
}
