//! A tensor has more than four dimensions.
//!
//! **Why it is bad.** Readers have room for four; readers that do not check write beyond it.
//!
//! **How to fix.** Merge dimensions.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::Dimensions { dimensions, most } => {
        Some(note(format_args!("{dimensions} dimensions"), format_args!("at most {most}")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn dimensions() {
        // parsing continues after them: the type of the next tensor is checked, too
        let row = |dimensions: &[u64]| Forge::model().row(b"b", dimensions, 0, &[0; 32]);
        row(&[8, 1, 1, 1, 1]).row(b"c", &[8], 100, &[0; 32]).gives(&["T006", "T013"]);
        // its bytes are no gap, however many dimensions it has
        for dimensions in
            [&[2, 1, 2, 1, 2][..], &[1, 1, 1, 1, 1, 2, 2, 2], &[8, 1, 1, 1, 1, 1, 1, 1, 1]]
        {
            row(dimensions).tensor("c", &[8], BlockType::F32).gives(&["T006"]);
        }
        Forge::model().tensor("b", &[8, 1, 1, 1], BlockType::F32).gives(&[]);
    }
}
