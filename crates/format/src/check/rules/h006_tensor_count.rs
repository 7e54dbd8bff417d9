//! The header announces more tensors than the rest of the file can list, at 24 bytes each.
//!
//! **Why it is bad.** Readers that reserve memory for this count run out of it, or the
//! multiplication wraps.
//!
//! **How to fix.** Download or copy the file again. If the count is right, the file is truncated.

use super::{Check, note};
use crate::error::{Counted, ErrorKind};

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::Count { what: Counted::Tensors, count, left, .. } => {
        let found = format_args!("{count} tensors");
        Some(note(found, format_args!("as many as fit {left} bytes")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn more_tensors_than_bytes() {
        for count in [100, 1 << 60, u64::MAX] {
            Forge::model().with(|forge| forge.tensor_count = Some(count)).gives(&["H006"]);
        }
        Forge::model().with(|forge| forge.tensor_count = Some(1)).gives(&[]);
    }
}
