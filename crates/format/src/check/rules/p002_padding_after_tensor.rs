//! The bytes that pad a tensor to the alignment are not all zero.
//!
//! **Why it is bad.** They belong to nothing. The tensor may be larger than its shape says.
//!
//! **How to fix.** Write the file again.

use super::{Check, note};

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let data = view.header.data_offset();
    for (i, placed) in view.layout.iter().enumerate() {
        // in a layout that is wrong otherwise, the next tensor may begin in the padding
        let next = view.layout.get(i + 1).map_or(u64::MAX, |next| next.start);
        let padding = view.bytes(data + placed.end, data + placed.padded_end.min(next));
        if let Some(place) = padding.iter().position(|byte| *byte != 0) {
            let at = data + placed.end + place as u64;
            let found = format_args!("byte {:#04x} at byte {at}", padding[place]);
            out.tensor(placed.tensor, placed.entry, note(found, "zero"));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn padding() {
        let model = Forge::model().tensor("b", &[7], BlockType::F32);
        model.clone().with(|forge| forge.padding = 7).gives(&["P001", "P002"]);
        model.gives(&[]);
    }
}
