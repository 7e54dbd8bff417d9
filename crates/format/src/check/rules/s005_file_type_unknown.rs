//! `general.file_type` is a number that stands for nothing, or for a mixture that was removed.
//!
//! **Why it is bad.** Programs show a wrong name for the file.
//!
//! **How to fix.** Write the number of the mixture, or leave the key out.

use super::Check;
use crate::Value;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let key = "general.file_type";
    if let Some(Value::U32(number)) = view.get(key)
        && !matches!(number, 0..=3 | 7..=32 | 36..=41)
    {
        out.value_is(view, key, "0 to 3, 7 to 32 or 36 to 41");
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn numbers() {
        for number in [4_u32, 5, 6, 33, 34, 35, 42, 1024] {
            Forge::new().key("general.file_type", number).gives(&["S005"]);
        }
        Forge::new().key("general.file_type", 15_u32).gives(&[]);
    }
}
