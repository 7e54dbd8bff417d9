//! There are bytes after the last tensor and its padding, or after the metadata of a file without
//! tensors.
//!
//! **Why it is bad.** They belong to nothing. A second file of another kind can hide there, or two
//! files were joined by mistake.
//!
//! **How to fix.** Truncate the file at the offset of the finding.

use super::{Check, note};
use crate::check::Field;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    // if the size of any tensor is unknown, so is the end of the data
    let Some(end) = view.data_end() else { return };
    let length = view.header.file_bytes();
    if length > end {
        let more = length - end;
        let found = format_args!("{more} more bytes");
        out.add(end, Field::Padding, note(found, format_args!("the end of the file at {end}")));
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn trailing() {
        Forge::model().with(|forge| forge.tail = 1).gives(&["O007"]);
        Forge::model().gives(&[]);
        Forge::new().with(|forge| forge.tail = 40).gives(&["O007", "P001"]);
    }
}
