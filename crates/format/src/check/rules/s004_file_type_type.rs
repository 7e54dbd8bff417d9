//! `general.file_type` is not a number of type U32.
//!
//! **Why it is bad.** Readers ask for a U32; the reference ends the process.
//!
//! **How to fix.** Write it as U32, or omit it.

use super::Check;
use crate::Value;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let key = "general.file_type";
    if view.get(key).is_some_and(|value| !matches!(value, Value::U32(_))) {
        out.value_is(view, key, "U32");
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        Forge::new().key("general.file_type", "Q4_0").gives(&["S004"]);
        Forge::new().key("general.file_type", 2_u64).gives(&["S004"]);
        Forge::new().key("general.file_type", 2_u32).gives(&[]);
    }
}
