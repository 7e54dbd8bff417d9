//! `general.alignment` is below 8.
//!
//! **Why it is bad.** The specification asks for a multiple of 8; some readers refuse the file,
//! others read numbers from unaligned addresses.
//!
//! **How to fix.** Write the file with an alignment of 32.

use super::{Check, note};
use crate::container::ALIGNMENT_KEY;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let alignment = view.header.alignment();
    if alignment < 8 {
        out.value(view, ALIGNMENT_KEY, note(alignment, "at least 8"));
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn small() {
        let aligned = |alignment: u32| {
            Forge::model()
                .with(|forge| forge.alignment = alignment as usize)
                .key("general.alignment", alignment)
        };
        aligned(4).gives(&["L003"]);
        aligned(8).gives(&[]);
    }
}
