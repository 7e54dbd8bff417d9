//! A metadata key is not made of lower-case words, digits, `_` and `-`, joined by dots.
//!
//! **Why it is bad.** The specification asks for `lower_snake_case` segments; programs that look
//! for such keys do not find this one.
//!
//! **How to fix.** Rename the key.

use super::{Check, note};
use crate::check::Field;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for (entry, span) in view.entries() {
        // keys that are worse than that have their own rules
        let is_printable = entry.key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if is_printable && !entry.key.is_empty() && !entry.key.split('.').all(is_word) {
            let note =
                note("another character or an empty segment", "a-z, 0-9, _ and - between dots");
            out.add(span.key, Field::metadata(&entry.key), note);
        }
    }
});

fn is_word(segment: &str) -> bool {
    let is_good =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    !segment.is_empty() && segment.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn style() {
        for key in ["Test.x", "a b", "a..b", ".a", "a."] {
            Forge::model().key(key, 1_u8).gives(&["K004"]);
        }
        Forge::model().key("gpt-2.rope_x.0", 1_u8).gives(&[]);
    }
}
