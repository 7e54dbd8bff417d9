//! The file ends inside the table of tensors, or the length of a name exceeds the file.
//!
//! **Why it is bad.** Tensors and all data are missing.
//!
//! **How to fix.** Download or copy the file again. If that does not help, a length is damaged.

use super::{Check, note};
use crate::error::{ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (
        ErrorKind::StringTooLong { bytes: need, left } | ErrorKind::Truncated { need, left },
        Place::TensorEntry(_) | Place::Tensor(_),
    ) => Some(note(format_args!("{left} bytes left"), format_args!("{need} bytes"))),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn cut() {
        let whole = Forge::model().bytes().len() as isize;
        // 24 bytes of header, 44 of a key, 33 of a table
        for length in [24 + 44 + 24, 24 + 44 + 32] {
            Forge::model().with(|forge| forge.tail = length - whole).gives(&["T015"]);
        }
        Forge::model().gives(&[]);
    }
}
