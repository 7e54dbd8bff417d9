//! The data section would begin at or after the end of the file, although there are tensors with
//! data.
//!
//! **Why it is bad.** The file is truncated directly after its header, or the alignment is absurd.
//!
//! **How to fix.** Download or copy the file again.

use super::{Check, note};
use crate::check::Field;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let (start, length) = (view.header.data_offset(), view.header.file_bytes());
    if start >= length && view.tensors().any(|(tensor, _)| tensor.bytes() != Some(0)) {
        let found = format_args!("data from byte {start}");
        out.add(start, Field::Padding, note(found, format_args!("before byte {length}")));
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn no_data() {
        Forge::model().with(|forge| forge.tail = -32).gives(&["O005", "O008"]);
        let empty = Forge::new().key("general.architecture", "test");
        empty.tensor("a", &[0], BlockType::F32).gives(&["T008"]);
    }
}
