//! The version is not 1, 2 or 3 in either byte order.
//!
//! **Why it is bad.** The rest cannot be understood: the version is damaged, or the format is
//! newer than this program.
//!
//! **How to fix.** Download or copy the file again, or use a newer program.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::Version(version) => Some(note(version, "1, 2 or 3")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn versions() {
        for version in [0, 4, 256, u32::MAX] {
            Forge::new().with(|forge| forge.version = version).gives(&["H003"]);
        }
        for version in [2, 3] {
            Forge::model().with(|forge| forge.version = version).gives(&[]);
        }
    }
}
