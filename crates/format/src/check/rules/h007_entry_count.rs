//! The header announces more metadata entries than the rest of the file can hold, at 13 bytes
//! each.
//!
//! **Why it is bad.** Readers that reserve memory for this count run out of it, or the
//! multiplication wraps.
//!
//! **How to fix.** Download or copy the file again. If the count is right, the file is truncated.

use super::{Check, note};
use crate::error::{Counted, ErrorKind};

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::Count { what: Counted::Entries, count, left, .. } => {
        let found = format_args!("{count} entries");
        Some(note(found, format_args!("as many as fit {left} bytes")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn more_entries_than_bytes() {
        for count in [100, 1 << 60, u64::MAX] {
            Forge::model().with(|forge| forge.entry_count = Some(count)).gives(&["H007"]);
        }
        Forge::model().with(|forge| forge.entry_count = Some(1)).gives(&[]);
    }
}
