//! `general.alignment` is above 64 KiB.
//!
//! **Why it is bad.** Up to that many bytes of padding follow every tensor; no processor or file
//! system needs so much. A tiny file can describe a huge one in this way.
//!
//! **How to fix.** Write the file with an alignment of 32.

use super::{Check, note};
use crate::container::ALIGNMENT_KEY;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let alignment = view.header.alignment();
    if alignment > 1 << 16 {
        out.value(view, ALIGNMENT_KEY, note(alignment, "at most 65536"));
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn large() {
        let aligned = |alignment: u32| {
            Forge::model()
                .with(|forge| forge.alignment = alignment as usize)
                .key("general.alignment", alignment)
        };
        aligned(1 << 17).gives(&["L004"]);
        aligned(1 << 16).gives(&[]);
    }
}
