//! `block_count` is 0, above 65,535, or not above the number `N` of a tensor `blk.N`.
//!
//! **Why it is bad.** Readers divide by it, keep a table of fixed length for the blocks, or skip
//! the tensors of the last blocks.
//!
//! **How to fix.** Write the right number.

use super::Check;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let Some((key, value)) = view.hyper("block_count") else { return };
    let Some(count) = value.as_integer() else { return };
    let blocks = view.tensors().filter_map(|(tensor, _)| block_number(&tensor.name)).max();
    let least = blocks.map_or(1, |last| i128::from(last) + 1);
    if !(least..=65_535).contains(&count) {
        out.value_is(view, &key, format_args!("{least} to 65535"));
    }
});

/// The number of the block that a tensor belongs to: 7 for `blk.7.attn_q.weight`.
fn block_number(name: &str) -> Option<u64> {
    let (number, _) = name.strip_prefix("blk.")?.split_once('.')?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn counts() {
        let model = |count: u32| {
            let names = ["blk.0.a.weight", "blk.1.a.weight", "blk.2.a.weight"];
            let forge = Forge::model().key("test.block_count", count);
            names.iter().fold(forge, |forge, name| forge.tensor(name, &[8], BlockType::F32))
        };
        for count in [0, 2, 65_536] {
            model(count).gives(&["S016"]);
        }
        model(3).gives(&[]);
        Forge::model().key("test.block_count", 0_u32).gives(&["S016"]);
    }
}
