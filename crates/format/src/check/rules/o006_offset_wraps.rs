//! The sum of a tensor's offset, its size and the beginning of the data section is above 2^64 - 1.
//!
//! **Why it is bad.** The sum wraps to a small number, and a reader that compares only that with the file's
//! length reads memory far outside.
//!
//! **How to fix.** Write the file again.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::OutsideFile { end: u64::MAX, file, .. } => {
        Some(note("data that ends above 2^64 - 1", format_args!("inside the file's {file} bytes")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn wraps() {
        let two = Forge::model().tensor("b", &[8], BlockType::F32);
        two.clone().offset(u64::MAX - 31).with(|forge| forge.tail = -32).gives(&["O006"]);
        two.offset(32).gives(&[]);
    }
}
