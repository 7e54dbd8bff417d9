//! `general.architecture` has characters other than lower-case letters, digits, `-`, `_` and `.`.
//!
//! **Why it is bad.** Known architectures use no others, and the keys of hyperparameters begin
//! with this name.
//!
//! **How to fix.** Write the name as the programs that read the file know it.

use super::Check;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let is_good =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if view.architecture().is_some_and(|name| !name.bytes().all(is_good)) {
        out.value_is(view, "general.architecture", "a-z, 0-9, -, _ and .");
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn letters() {
        Forge::new().key("general.architecture", "Llama").gives(&["S003"]);
        Forge::new().key("general.architecture", "wavtokenizer-dec").gives(&[]);
    }
}
