use std::collections::{BTreeMap, BTreeSet};

use crate::mixture::block_number;

/// The blocks that stay, and their new numbers.
#[derive(Debug)]
pub(super) struct Prune {
    /// The new number of each block of the source; `None` for removed blocks.
    numbers: BTreeMap<u64, Option<u64>>,
    /// Number of remaining blocks.
    pub(super) left: u32,
}

impl Prune {
    /// Removes the blocks `gone` from those that occur in `names`. Blocks before the first removed
    /// one keep their numbers; the others are renumbered without gaps.
    pub(super) fn new<'n>(gone: &BTreeSet<u64>, names: impl Iterator<Item = &'n str>) -> Self {
        let present: BTreeSet<u64> =
            names.filter_map(|name| Some(block_number::anywhere(name)?.1)).collect();
        let mut next = 0;
        let numbers = present
            .into_iter()
            .map(|block| {
                if gone.contains(&block) {
                    return (block, None);
                }
                let number =
                    if gone.first().is_none_or(|first| block < *first) { block } else { next };
                next = number.saturating_add(1);
                (block, Some(number))
            })
            .collect();
        Self { numbers, left: u32::try_from(next).unwrap_or(u32::MAX) }
    }

    /// Returns the new name of a tensor; `None` if it is removed.
    pub(super) fn rename(&self, name: &str) -> Option<String> {
        let Some((at, block)) = block_number::anywhere(name) else { return Some(name.to_owned()) };
        let number = self.numbers.get(&block).copied().flatten()?;
        Some(format!("{}{number}{}", &name[..at.start], &name[at.end..]))
    }

    /// Returns the blocks of `gone` that occur in no name.
    pub(super) fn absent<'p>(&'p self, gone: &'p BTreeSet<u64>) -> impl Iterator<Item = u64> + 'p {
        gone.iter().copied().filter(|block| !self.numbers.contains_key(block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_close_ranks() {
        let names: Vec<String> = (0..12).map(|block| format!("enc.blk.{block}.w")).collect();
        let gone = BTreeSet::from([1, 3, 99]);
        let prune = Prune::new(&gone, names.iter().map(String::as_str));
        assert_eq!(prune.left, 10);
        assert_eq!(prune.absent(&gone).collect::<Vec<_>>(), [99]);
        for (name, expected) in [
            ("enc.blk.0.w", Some("enc.blk.0.w")),
            ("enc.blk.1.w", None),
            ("enc.blk.2.w", Some("enc.blk.1.w")),
            ("enc.blk.10.w", Some("enc.blk.8.w")),
            ("output.weight", Some("output.weight")),
        ] {
            assert_eq!(prune.rename(name).as_deref(), expected, "{name}");
        }
    }
}
