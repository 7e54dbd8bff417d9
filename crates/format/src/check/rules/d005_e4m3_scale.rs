//! A scale in an NVFP4 block is 0x7F, which stands for NaN, or has its sign bit set.
//!
//! **Why it is bad.** Readers disagree: the reference reads 0x7F as 0 and ignores the sign bit;
//! others read NaN or a negative scale.
//!
//! **How to fix.** Quantize the original model again.

use super::{Check, note};
use crate::BlockType;

/// The scales are the first bytes of a block.
const SCALES: usize = 4;

pub(super) const CHECK: Check = Check::Block(&[(BlockType::NVFP4, |block| {
    // all at once: almost no block has one
    if block[..SCALES].iter().fold(true, |all, scale| all & (*scale < 0x7f)) {
        return None;
    }
    let scale = block[..SCALES].iter().find(|scale| **scale >= 0x7f)?;
    Some(note(format_args!("a scale of {scale:#04x}"), "0x00 to 0x7e"))
})]);

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn scales() {
        let model = |scale: u8| {
            let mut data = [0; 36];
            (data[3], data[4]) = (scale, 0xff);
            Forge::model().key("general.quantization_version", 2_u32).row(
                b"b",
                &[64],
                BlockType::NVFP4.id(),
                &data,
            )
        };
        model(0x7f).gives(&["D005"]);
        model(0x80).gives(&["D005"]);
        model(0x7e).gives(&[]);
    }
}
