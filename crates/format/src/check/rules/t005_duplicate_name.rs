//! Two tensors have the same name.
//!
//! **Why it is bad.** One reader uses the first, another the last: they see two different models.
//!
//! **How to fix.** Remove or rename one of them.

use super::{Check, note};
use crate::check::report::shortened;
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match &error.kind {
    ErrorKind::DuplicateTensor(name) => {
        Some(note(format_args!("{:?} again", shortened(name)), "a unique name"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn twice() {
        Forge::model().tensor("a", &[8], BlockType::F32).gives(&["T005"]);
        Forge::model().tensor("A", &[8], BlockType::F32).gives(&[]);
    }
}
