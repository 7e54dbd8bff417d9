//! An array announces more elements than the rest of the file can hold.
//!
//! **Why it is bad.** Readers that reserve memory for this count run out of it, or the
//! multiplication wraps and they reserve too little.
//!
//! **How to fix.** Download or copy the file again. If the count is right, the file is truncated.

use super::{Check, note};
use crate::error::{Counted, ErrorKind, Place};

pub(super) const CHECK: Check = Check::Fault(|error| match (&error.kind, &error.place) {
    (ErrorKind::Count { what: Counted::Elements, count, left, .. }, Place::Element(_)) => {
        let found = format_args!("{count} elements");
        Some(note(found, format_args!("as many as fit {left} bytes")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn counts() {
        let array = |ty: u8, count: u64| {
            let bytes = [&[ty, 0, 0, 0], &count.to_le_bytes()[..], &[0; 8]].concat();
            Forge::new().raw(b"x", 9, &bytes)
        };
        for (ty, count) in [(0, 9), (12, 2), (4, 1 << 62), (8, 1 << 61), (9, u64::MAX)] {
            array(ty, count).gives(&["A002"]);
        }
        array(0, 8).gives(&[]);
    }
}
