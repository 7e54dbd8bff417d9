//! `split.no` or `split.count` is not of type U16, or `split.tensors.count` is not of type I32.
//!
//! **Why it is bad.** The reference asks for these types and ends the process when a shard has
//! others.
//!
//! **How to fix.** Write the keys with their types.

use super::Check;
use crate::ValueType;
use crate::container::{SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for (key, ty) in [
        (SHARD_NUMBER, ValueType::U16),
        (SHARD_COUNT, ValueType::U16),
        (SHARD_TENSORS, ValueType::I32),
    ] {
        if view.get(key).is_some_and(|value| value.value_type() != ty) {
            out.value_is(view, key, ty);
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        Forge::new().key("split.no", 0_u32).key("split.count", 1_u16).gives(&["X001"]);
        Forge::new().key("split.tensors.count", 0_u16).gives(&["X001"]);
        Forge::new().key("split.no", 0_u16).key("split.count", 1_u16).gives(&[]);
    }
}
