//! A value of an unquantized tensor (F32, F16, BF16, F64) is infinite.
//!
//! **Why it is bad.** Sums with it are infinite or NaN; the model answers with nonsense or
//! nothing.
//!
//! **How to fix.** The usual cause is a value too large for F16: convert the original model to
//! BF16 or F32.

use super::{Check, note};
use crate::Defect;

pub(super) const CHECK: Check = Check::Defect(|defect| match defect {
    Defect::Infinite => Some(note("infinity", "a finite number")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn infinity() {
        let bits = |bits: u16| Forge::model().row(b"b", &[1], 1, &bits.to_le_bytes());
        bits(0x7c00).gives(&["D002"]);
        bits(0xfc00).gives(&["D002"]);
        bits(0x7bff).gives(&[]);
        let double = |number: f64| Forge::model().row(b"b", &[1], 28, &number.to_le_bytes());
        double(f64::NEG_INFINITY).gives(&["D002"]);
        double(1e300).gives(&[]);
    }
}
