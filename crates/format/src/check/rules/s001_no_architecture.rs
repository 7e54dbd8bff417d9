//! There are tensors, but no `general.architecture`. (Shards after the first need none.)
//!
//! **Why it is bad.** Programs cannot know what kind of model it is.
//!
//! **How to fix.** Add the key.

use super::{Check, note};
use crate::check::Field;
use crate::container::SHARD_NUMBER;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let number = view.get(SHARD_NUMBER).and_then(|value| value.as_integer());
    let is_later_shard = number.is_some_and(|number| number > 0);
    let key = "general.architecture";
    if view.get(key).is_none() && view.tensors().next().is_some() && !is_later_shard {
        out.add(24, Field::metadata(key), note("nothing", "the name of the architecture"));
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::{Forge, shard};

    #[test]
    fn missing() {
        Forge::new().tensor("a", &[8], BlockType::F32).gives(&["S001"]);
        Forge::new().gives(&[]);
        shard(1, 2, 2, "a").gives(&[]);
    }
}
