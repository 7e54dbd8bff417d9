//! The offsets of the tensors do not increase in the order of the table.
//!
//! **Why it is bad.** The reference expects every tensor directly after its predecessor in the
//! table and refuses the file.
//!
//! **How to fix.** Write the table in the order of the data.

use super::{Check, note};
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let tensors: Vec<_> = view.tensors().collect();
    for pair in tensors.windows(2) {
        let ((before, _), (tensor, entry)) = (pair[0], pair[1]);
        if tensor.offset < before.offset {
            let found = format_args!("offset {} behind {}", tensor.offset, before.offset);
            out.tensor(tensor, entry, note(found, "increasing offsets"));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn order() {
        let two = |first, second| {
            Forge::new()
                .key("general.architecture", "test")
                .tensor("a", &[8], BlockType::F32)
                .offset(first)
                .tensor("b", &[8], BlockType::F32)
                .offset(second)
        };
        two(32, 0).gives(&["O003"]);
        two(0, 32).gives(&[]);
    }
}
