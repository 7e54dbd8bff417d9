//! The first dimension of a tensor is not a multiple of the number of values in a block of its
//! type.
//!
//! **Why it is bad.** A row would end in the middle of a block. Readers round up or down and
//! disagree on where the next row begins.
//!
//! **How to fix.** Store the tensor in a type with smaller blocks.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::PartialBlock { row, block, ty } => {
        Some(note(format_args!("rows of {row}"), format_args!("a multiple of {block} ({ty})")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn rows() {
        let model = Forge::model().key("general.quantization_version", 2_u32);
        model.clone().row(b"b", &[48, 2], BlockType::Q4_0.id(), &[0; 54]).gives(&["T012"]);
        model.tensor("b", &[96, 1], BlockType::Q4_0).gives(&[]);
    }
}
