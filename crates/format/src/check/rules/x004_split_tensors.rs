//! `split.tensors.count` is negative, below the number of tensors in this shard, or not the number
//! of tensors in all shards.
//!
//! **Why it is bad.** Readers that trust it miss tensors, or look for tensors that do not exist.
//!
//! **How to fix.** Split the model again. If shards of two sets were mixed, get the right ones.

use super::Check;
use crate::container::SHARD_TENSORS;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let Some(total) = view.get(SHARD_TENSORS).and_then(|value| value.as_integer()) else { return };
    let own = view.header.tensors().len();
    // 0 stands in files that were merged from shards
    let is_merged = total == 0 && !view.is_shard();
    if total < own as i128 && !is_merged {
        return out.value_is(view, SHARD_TENSORS, format_args!("at least {own}"));
    }
    if let Some(shards) = view.whole_set() {
        let sum = own + shards.iter().map(|(_, header)| header.tensors().len()).sum::<usize>();
        if total != sum as i128 {
            out.value_is(view, SHARD_TENSORS, format_args!("{sum}, as all shards have"));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::{Forge, set_gives, shard};

    #[test]
    fn totals() {
        shard(0, 2, 0, "a").gives(&["X004"]);
        shard(0, 2, -1, "a").gives(&["X004"]);
        shard(0, 2, 2, "a").gives(&[]);
        Forge::model().key("split.tensors.count", 0_i32).gives(&[]);
        let set = |total| {
            [
                ("m-00001-of-00002.gguf", shard(0, 2, total, "a")),
                ("m-00002-of-00002.gguf", shard(1, 2, total, "b")),
            ]
        };
        set_gives(&set(3), &["X004"]);
        set_gives(&set(2), &[]);
    }
}
