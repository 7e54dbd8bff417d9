//! `split.no` is not below `split.count`. (A count of 0 means that shards were merged.)
//!
//! **Why it is bad.** Shards are numbered from 0; a reader that fills a table of shards writes
//! beyond its end.
//!
//! **How to fix.** Split the model again.

use super::Check;
use crate::container::{SHARD_COUNT, SHARD_NUMBER};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let number = |key| view.get(key).and_then(|value| value.as_integer());
    if let (Some(shard), Some(count)) = (number(SHARD_NUMBER), number(SHARD_COUNT))
        && count > 0
        && !(0..count).contains(&shard)
    {
        out.value_is(view, SHARD_NUMBER, format_args!("0 to {}", count - 1));
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn numbers() {
        let shard = |number: u16, count: u16| {
            Forge::new().key("split.no", number).key("split.count", count)
        };
        shard(2, 2).gives(&["X002"]);
        shard(1, 2).gives(&[]);
        shard(0, 0).gives(&[]);
    }
}
