//! The exponent of an MXFP4 block is 255, which stands for NaN.
//!
//! **Why it is bad.** All values of the block are NaN. (0 and 254 are legal.)
//!
//! **How to fix.** Quantize the original model again.

use super::{Check, note};
use crate::Defect;

pub(super) const CHECK: Check = Check::Defect(|defect| match defect {
    Defect::Exponent => Some(note("an exponent of 255", "0 to 254")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn exponents() {
        let model = |exponent: u8| {
            let mut data = [0xff; 34];
            (data[0], data[17]) = (0, exponent);
            Forge::model().key("general.quantization_version", 2_u32).row(
                b"b",
                &[64],
                BlockType::MXFP4.id(),
                &data,
            )
        };
        model(255).gives(&["D004"]);
        model(254).gives(&[]);
    }
}
