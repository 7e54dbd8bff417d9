//! The metadata or the tensor table cannot be read with the counts in the header, but can with one
//! entry or tensor more or fewer.
//!
//! **Why it is bad.** Readers take a key for a tensor, or a tensor for a key; everything after it
//! is garbage.
//!
//! **How to fix.** The program that wrote the file miscounted, or added a key without changing the
//! count. Write the file again.

use super::{Check, note};
use crate::error::ErrorKind;
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::Counts { stored, fitting } => {
        let text = |(entries, tensors)| format!("{entries} entries and {tensors} tensors");
        Some(note(text(stored), text(fitting)))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn one_more_or_less() {
        let forge = Forge::model().key("general.name", "some text");
        for count in [1, 3] {
            let report = forge.clone().with(|forge| forge.entry_count = Some(count)).report();
            assert!(report.findings.iter().any(|finding| finding.rule.id == "H008"), "{report:#?}");
        }
        forge.gives(&[]);
    }
}
