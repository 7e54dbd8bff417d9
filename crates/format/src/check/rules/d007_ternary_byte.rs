//! A byte of digits in a TQ1_0 block is none that stands for five digits of base 3: the number that they are,
//! times 256, divided by 243 and rounded up.
//!
//! **Why it is bad.** No encoder writes it: 13 of the 256 bytes are never needed. What it means depends on how
//! exactly a reader takes the digits out.
//!
//! **How to fix.** Quantize the original model again.

use super::{Check, note};
use crate::BlockType;

/// The digits are the first bytes of a block.
const DIGITS: usize = 52;

/// The bytes that stand for digits.
const MEANINGFUL: [bool; 256] = {
    let mut meaningful = [false; 256];
    let mut number = 0;
    while number < 243_usize {
        meaningful[(number * 256).div_ceil(243)] = true;
        number += 1;
    }
    meaningful
};

pub(super) const CHECK: Check = Check::Block(&[(BlockType::TQ1_0, |block| {
    let byte = block[..DIGITS].iter().find(|byte| !MEANINGFUL[usize::from(**byte)])?;
    Some(note(format_args!("byte {byte:#04x}"), "the byte of a number below 243"))
})]);

#[cfg(test)]
mod tests {
    use super::MEANINGFUL;
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn bytes() {
        assert_eq!(MEANINGFUL.iter().filter(|is| !**is).count(), 13);
        for (byte, is_meaningful) in (0..=255_u8).zip(MEANINGFUL) {
            let mut data = [0; 54];
            data[51] = byte;
            data[52] = 1; // in the scale any byte will do
            let model = Forge::model().key("general.quantization_version", 2_u32).row(
                b"b",
                &[256],
                BlockType::TQ1_0.id(),
                &data,
            );
            model.gives(if is_meaningful { &[] } else { &["D007"] });
        }
    }
}
