//! There are more bytes between two tensors, or before the first, than the alignment requires.
//!
//! **Why it is bad.** The reference expects every tensor directly after the padding of its
//! predecessor and refuses the file. The bytes in the gap belong to nothing: something else can
//! hide there.
//!
//! **How to fix.** Write the file again without the gap.

use super::{Check, note};
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    if !view.all_tensors {
        return; // one that is not listed may fill it
    }
    // tensors of unknown size may fill gaps
    let mut unknown: Vec<_> = view
        .tensors()
        .filter(|(tensor, _)| tensor.bytes().is_none())
        .map(|(tensor, _)| tensor.offset)
        .collect();
    unknown.sort_unstable();
    let mut end = 0;
    for placed in &view.layout {
        let next = unknown.partition_point(|offset| *offset < end);
        let is_filled = unknown.get(next).is_some_and(|offset| *offset < placed.start);
        if placed.start > end && !is_filled {
            let found = format_args!("offset {}", placed.start);
            out.tensor(placed.tensor, placed.entry, note(found, format_args!("offset {end}")));
        }
        end = end.max(placed.padded_end);
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn gaps() {
        let model = Forge::model().row(b"gap", &[8], 100, &[0; 32]);
        model.clone().tensor("b", &[8], BlockType::F32).gives(&["T013"]);
        let gap = Forge::model().tensor("b", &[8], BlockType::F32).offset(64);
        gap.clone().with(|forge| forge.tail = 32).gives(&["O004"]);
    }
}
