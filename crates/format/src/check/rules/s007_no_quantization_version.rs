//! There are quantized tensors, but no `general.quantization_version`. (Shards after the first
//! need none.)
//!
//! **Why it is bad.** The specification asks for it: the layout of blocks has changed between
//! versions.
//!
//! **How to fix.** Add the key with the U32 value 2.

use super::{Check, note};
use crate::BlockType;
use crate::check::Field;
use crate::container::SHARD_NUMBER;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let number = view.get(SHARD_NUMBER).and_then(|value| value.as_integer());
    let is_later_shard = number.is_some_and(|number| number > 0);
    let key = "general.quantization_version";
    let mut types = view.tensors().filter_map(|row| row.0.ty.known());
    if view.get(key).is_none() && !is_later_shard && types.any(BlockType::is_quantized) {
        out.add(24, Field::metadata(key), note("nothing", "U32 2"));
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn missing() {
        let model = Forge::model().tensor("b", &[32], BlockType::Q4_0);
        model.gives(&["S007"]);
        model.key("general.quantization_version", 2_u32).gives(&[]);
    }
}
