//! `general.architecture` is not a string, or is empty.
//!
//! **Why it is bad.** Programs cannot know what kind of model it is; the keys of its
//! hyperparameters begin with this string.
//!
//! **How to fix.** Write the name of the architecture.

use super::Check;
use crate::Value;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let key = "general.architecture";
    match view.get(key) {
        Some(Value::String(text)) if !text.is_empty() => {}
        Some(_) => out.value_is(view, key, "a text"),
        None => {}
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn text() {
        Forge::new().key("general.architecture", "").gives(&["S002"]);
        Forge::new().key("general.architecture", 1_u32).gives(&["S002"]);
        Forge::new().key("general.architecture", "llama").gives(&[]);
    }
}
