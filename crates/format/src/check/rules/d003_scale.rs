//! A scale, minimum or sum of a block is infinite or NaN.
//!
//! **Why it is bad.** Every value of the block is infinite or NaN; the model answers with nonsense
//! or nothing.
//!
//! **How to fix.** Quantize the original model again. If the finding remains, that model has
//! values that are not finite or are too large for a 16-bit scale.

use super::{Check, note};
use crate::Defect;

pub(super) const CHECK: Check = Check::Defect(|defect| match defect {
    Defect::Scale(field) => {
        Some(note(format_args!("a {field} that is not finite"), "a finite number"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn scales() {
        let model = |block: usize, bits: u16| {
            let mut data = vec![0; 54];
            data[18 * block..][..2].copy_from_slice(&bits.to_le_bytes());
            Forge::model().key("general.quantization_version", 2_u32).row(
                b"b",
                &[96],
                BlockType::Q4_0.id(),
                &data,
            )
        };
        model(2, 0x7e00).gives(&["D003"]);
        model(0, 0xfc00).gives(&["D003"]);
        model(1, 0x7bff).gives(&[]);
    }
}
