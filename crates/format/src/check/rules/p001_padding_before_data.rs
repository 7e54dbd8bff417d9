//! The bytes between the header and the data section are not all zero.
//!
//! **Why it is bad.** They belong to nothing. Often the header was edited in place and the end of
//! the old one is left over; the alignment may then be wrong, too.
//!
//! **How to fix.** Write the file again.

use super::{Check, note};
use crate::check::Field;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let start = view.header.table_end();
    let padding = view.bytes(start, view.header.data_offset());
    if let Some(place) = padding.iter().position(|byte| *byte != 0) {
        let found = format_args!("byte {:#04x}", padding[place]);
        out.add(start + place as u64, Field::Padding, note(found, "zero"));
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn padding() {
        Forge::model().with(|forge| forge.padding = 1).gives(&["P001"]);
        Forge::model().with(|forge| forge.padding = 0).gives(&[]);
    }
}
