//! A string in the metadata is not UTF-8. (Strings of tokens have a rule of their own.)
//!
//! **Why it is bad.** The specification asks for UTF-8; many readers refuse the file.
//!
//! **How to fix.** Write the string as UTF-8.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::NotUtf8, Place::Value(_) | Place::Element(_)) => {
        Some(note("bytes that are not UTF-8", "UTF-8"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::Array;
    use crate::check::testing::Forge;

    #[test]
    fn texts() {
        let text = [&3_u64.to_le_bytes()[..], b"a\xe4b"].concat();
        Forge::new().raw(b"general.name", 8, &text).gives(&["V005"]);
        let array = Array::String([&b"a"[..], b"\xe4"].into_iter().collect());
        Forge::new().key("general.tags", array).gives(&["V005"]);
        Forge::new().key("general.name", "ä").gives(&[]);
    }
}
