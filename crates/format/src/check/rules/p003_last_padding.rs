//! The last tensor is not padded to the alignment.
//!
//! **Why it is bad.** The specification asks for it; the reference fails when it reads all data at
//! once.
//!
//! **How to fix.** Append zero bytes up to the alignment.

use super::{Check, note};

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let Some(last) = view.layout.iter().max_by_key(|placed| placed.padded_end) else { return };
    let data = view.header.data_offset();
    let (end, padded_end) = (data.saturating_add(last.end), data.saturating_add(last.padded_end));
    let length = view.header.file_bytes();
    if (end..padded_end).contains(&length) {
        let found = format_args!("the end of the file at byte {length}");
        out.tensor(last.tensor, last.entry, note(found, format_args!("at byte {padded_end}")));
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn missing() {
        let model = Forge::model().tensor("b", &[7], BlockType::F32);
        for missing in [1, 4] {
            model.clone().with(|forge| forge.tail = -missing).gives(&["P003"]);
        }
        model.clone().with(|forge| forge.tail = -5).gives(&["O005"]);
        model.gives(&[]);
    }
}
