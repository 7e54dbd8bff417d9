//! A byte of a TQ1_0 block does not stand for five ternary digits. A byte that does is
//! `ceil(number * 256 / 243)` for a number below 243.
//!
//! **Why it is bad.** No encoder writes it: 13 of the 256 bytes are never used. Its meaning
//! depends on how exactly a reader extracts the digits.
//!
//! **How to fix.** Quantize the original model again.

use super::{Check, note};
use crate::BlockType;

/// The digits are the first bytes of a block.
const DIGITS: usize = 52;

pub(super) const CHECK: Check = Check::Block(&[(BlockType::TQ1_0, |block| {
    // all bytes at once: almost no block has one
    if block[..DIGITS].iter().fold(true, |all, byte| all & is_meaningful(*byte)) {
        return None;
    }
    let byte = block[..DIGITS].iter().find(|byte| !is_meaningful(**byte))?;
    Some(note(format_args!("byte {byte:#04x}"), "the byte of a number below 243"))
})]);

/// Whether a byte stands for digits: `number * 256 / 243`, rounded up, for a number below 243.
/// Inverting this leaves a remainder below 243.
const fn is_meaningful(byte: u8) -> bool {
    byte.wrapping_mul(243) < 243
}

#[cfg(test)]
mod tests {
    use super::is_meaningful;
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn bytes() {
        let bytes: Vec<u8> =
            (0..243_usize).map(|number| (number * 256).div_ceil(243) as u8).collect();
        for byte in 0..=255_u8 {
            assert_eq!(is_meaningful(byte), bytes.contains(&byte), "{byte:#04x}");
            let mut data = [0; 54];
            data[51] = byte;
            data[52] = 1; // in the scale any byte will do
            let model = Forge::model().key("general.quantization_version", 2_u32).row(
                b"b",
                &[256],
                BlockType::TQ1_0.id(),
                &data,
            );
            model.gives(if is_meaningful(byte) { &[] } else { &["D007"] });
        }
    }
}
