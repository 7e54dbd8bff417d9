//! A tensor has a type that was removed from the format.
//!
//! **Why it is bad.** No current reader knows it. The types whose names end in `_4_4`, `_4_8` and
//! `_8_8` stored the same values in another order for certain processors; programs now reorder
//! them when they load a model.
//!
//! **How to fix.** Quantize the original model again, to the type that the finding names.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::RemovedType { id, name, instead } => {
        Some(note(format_args!("type {id} ({name})"), instead))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        for ty in [4, 5, 31, 32, 33, 36, 37, 38] {
            Forge::model().row(b"b", &[8], ty, &[0; 32]).gives(&["T014"]);
        }
        Forge::model().row(b"b", &[8], 30, &[0; 16]).gives(&[]);
    }
}
