//! A TQ2_0 block holds the code 3; ternary codes are 0, 1 and 2.
//!
//! **Why it is bad.** No encoder writes it. The reference decodes it as twice the scale; kernels
//! made for ternary values may decode something else.
//!
//! **How to fix.** Quantize the original model again.

use super::{Check, note};
use crate::BlockType;

/// The codes are the first bytes of a block, four per byte.
const CODES: usize = 64;

pub(super) const CHECK: Check = Check::Block(&[(BlockType::TQ2_0, |block| {
    // both bits of a code are set
    let threes = |codes: &u8| codes & codes >> 1 & 0x55;
    // all bytes at once: almost no block has one
    if block[..CODES].iter().fold(0, |any, codes| any | threes(codes)) == 0 {
        return None;
    }
    let place = block[..CODES].iter().position(|codes| threes(codes) != 0)?;
    Some(note(format_args!("the code 3 in byte {place} of the block"), "0, 1 or 2"))
})]);

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn codes() {
        let model = |codes: u8| {
            let mut data = [0xaa; 66];
            (data[63], data[64], data[65]) = (codes, 0xff, 0);
            Forge::model().key("general.quantization_version", 2_u32).row(
                b"b",
                &[256],
                BlockType::TQ2_0.id(),
                &data,
            )
        };
        for shift in [0, 2, 4, 6] {
            model(3 << shift).gives(&["D006"]);
        }
        model(0b10_01_10_01).gives(&[]);
        model(0b01_10_01_10).gives(&[]);
    }
}
