//! `general.quantization_version` is not 2.
//!
//! **Why it is bad.** Blocks of version 1 have another layout, so the weights would be wrong.
//! There is no version above 2 yet.
//!
//! **How to fix.** Quantize the original model again. If only the number is wrong, write 2.

use super::Check;
use crate::Value;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let key = "general.quantization_version";
    if matches!(view.get(key), Some(Value::U32(version)) if *version != 2) {
        out.value_is(view, key, "U32 2");
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn versions() {
        Forge::new().key("general.quantization_version", 1_u32).gives(&["S009"]);
        Forge::new().key("general.quantization_version", 2_u32).gives(&[]);
    }
}
