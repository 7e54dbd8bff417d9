//! A value of an unquantized tensor (F32, F16, BF16, F64) is NaN.
//!
//! **Why it is bad.** Everything computed from it is NaN; the model answers with nonsense or
//! nothing.
//!
//! **How to fix.** The original model is damaged, or its conversion overflowed. Convert it again,
//! perhaps to another 16-bit type.

use super::{Check, note};
use crate::Defect;

pub(super) const CHECK: Check = Check::Defect(|defect| match defect {
    Defect::Nan => Some(note("NaN", "a number")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;
    use crate::container::Endian;

    #[test]
    fn nan() {
        let values = |values: [f32; 4]| {
            Forge::model().row(b"b", &[4], 0, &values.map(f32::to_le_bytes).concat())
        };
        let forge = values([1.0, f32::NAN, -f32::NAN, f32::MAX]);
        forge.gives(&["D001"]);
        let finding = &forge.report().findings[0];
        assert_eq!(finding.field.to_string(), "tensor \"b\" block 1");
        assert_eq!((finding.offset % 32, finding.times), (4, 2));
        values([f32::MIN, -0.0, 1e-45, f32::MAX]).gives(&[]);
    }

    #[test]
    fn big_endian() {
        let mut forge = Forge::new();
        (forge.endian, forge.version_endian) = (Endian::Big, Endian::Big);
        let forge = forge.key("general.architecture", "test");
        forge.clone().row(b"b", &[1], 0, &f32::NAN.to_be_bytes()).gives(&["D001"]);
        // NaN if it were little-endian
        forge.row(b"b", &[1], 0, &[0, 0, 0xc0, 0x7f]).gives(&[]);
    }
}
