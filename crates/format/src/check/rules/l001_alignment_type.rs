//! `general.alignment` is not a single number of type U32.
//!
//! **Why it is bad.** The reference ends the process; other readers continue with 32 and read
//! every tensor from the wrong place.
//!
//! **How to fix.** Write it as U32, or omit it if it is 32.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::AlignmentType(ty) => Some(note(ty, "U32")),
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        Forge::model().key("general.alignment", 32_u64).gives(&["L001"]);
        Forge::model().key("general.alignment", "32").gives(&["L001"]);
        Forge::model().key("general.alignment", 32_u32).gives(&[]);
    }
}
