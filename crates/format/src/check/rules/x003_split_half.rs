//! One of `split.no` and `split.count` is present without the other.
//!
//! **Why it is bad.** A reader cannot know which shard of how many the file is.
//!
//! **How to fix.** Split the model again, or remove both keys.

use super::{Check, note};
use crate::container::{SHARD_COUNT, SHARD_NUMBER};

pub(super) const CHECK: Check = Check::Metadata(|view, out| {
    for (there, missing) in [(SHARD_NUMBER, SHARD_COUNT), (SHARD_COUNT, SHARD_NUMBER)] {
        if view.get(there).is_some() && view.get(missing).is_none() {
            out.value(view, there, note("this key alone", format_args!("{missing} as well")));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn alone() {
        Forge::new().key("split.no", 0_u16).gives(&["X003"]);
        Forge::new().key("split.count", 1_u16).gives(&["X003"]);
        Forge::new().key("split.no", 0_u16).key("split.count", 1_u16).gives(&[]);
    }
}
