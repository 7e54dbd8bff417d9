//! Two metadata entries have the same key.
//!
//! **Why it is bad.** One reader uses the first value, another the last: they see two different
//! models.
//!
//! **How to fix.** Remove one of the entries.

use super::{Check, note};
use crate::check::report::shortened;
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match &error.kind {
    ErrorKind::DuplicateKey(key) => {
        Some(note(format_args!("{:?} again", shortened(key)), "a unique key"))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn twice() {
        Forge::model().key("x", 1_u8).key("y", 1_u8).key("x", 2_u16).gives(&["K005"]);
        Forge::model().key("x", 1_u8).key("y", 1_u8).gives(&[]);
    }

    #[test]
    fn many_are_counted() {
        let mut forge = Forge::new();
        for _ in 0..1001 {
            forge = forge.key("x", 1_u8);
        }
        let report = forge.report();
        assert_eq!(report.findings.len(), crate::check::Report::MOST_OF_A_RULE);
        assert_eq!(report.findings.iter().map(|finding| finding.times).sum::<u64>(), 1000);
    }
}
