//! `general.quantization_version` is not a number of type U32.
//!
//! **Why it is bad.** Readers ask for a U32; the reference ends the process.
//!
//! **How to fix.** Write the U32 value 2.

use super::Check;
use crate::Value;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let key = "general.quantization_version";
    if view.get(key).is_some_and(|value| !matches!(value, Value::U32(_))) {
        out.value_is(view, key, "U32");
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        Forge::new().key("general.quantization_version", "2").gives(&["S008"]);
        Forge::new().key("general.quantization_version", 2_u32).gives(&[]);
    }
}
