//! The offset of a tensor, its size and the start of the data section add up to more than 2^64 -
//! 1.
//!
//! **Why it is bad.** The sum wraps to a small number. A reader that compares only this sum with
//! the length of the file reads memory far outside it.
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
