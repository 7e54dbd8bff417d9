//! `general.file_type` is a number without a meaning, or that of a mixture that was removed.
//!
//! **Why it is bad.** Programs show a wrong name for the file.
//!
//! **How to fix.** Write the number of the mixture, or omit the key.

use super::Check;
use crate::Value;
use crate::file_type::FileType;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let key = "general.file_type";
    if let Some(Value::U32(number)) = view.get(key)
        && FileType::from_number(*number).is_none()
    {
        out.value_is(view, key, "the number of a file type");
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
