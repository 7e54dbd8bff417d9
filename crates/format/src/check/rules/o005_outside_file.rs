//! The data of a tensor lies outside the file.
//!
//! **Why it is bad.** The file is truncated (the most frequent fault of all: an interrupted
//! download), or the shape or offset is wrong. Readers that do not compare it with the length of
//! the file read beyond its end.
//!
//! **How to fix.** Download or copy the file again.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::OutsideFile { start, end, file } if end < u64::MAX => Some(note(
        format_args!("data at bytes {start} to {end}"),
        format_args!("inside the file's {file} bytes"),
    )),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn outside() {
        Forge::model().with(|forge| forge.tail = -1).gives(&["O005"]);
        Forge::model().gives(&[]);
        let two = Forge::model().tensor("b", &[8], BlockType::F32);
        two.offset(1 << 20).gives(&["O004", "O005"]);
    }
}
