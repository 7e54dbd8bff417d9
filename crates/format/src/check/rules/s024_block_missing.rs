//! `block_count` says that there are more blocks than have tensors.
//!
//! Blocks that predict further tokens (`nextn_predict_layers`) may be missing, and so may blocks
//! for which the metadata says 0 heads and a feed-forward network of size 0. A model that uses two
//! stacks of blocks again and again (`hrm.layers_per_stack`) has the tensors of these stacks only.
//!
//! **Why it is bad.** Readers look for the tensors of each block and refuse the file.
//!
//! **How to fix.** Convert the checkpoint again, and check that all its files are there. If blocks
//! were removed on purpose, write the right number.

use super::s017_head_count::Numbers;
use super::{Check, note};
use crate::check::Field;
use crate::check::view::View;
use crate::check::whole::{Stack, Whole};
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let Some(whole) = view.whole() else { return };
    for stack in &whole.stacks {
        let mut keys = stack.count_keys.iter();
        let Some((key, value)) = keys.find_map(|key| view.hyper(key)) else { continue };
        // other rules say what is wrong with these
        let count = value.as_integer().and_then(|count| u64::try_from(count).ok());
        let most = stack.numbers().last().unwrap_or(0);
        let Some(count) = count.filter(|count| (most + 1..=65_535).contains(count)) else {
            continue;
        };
        let (present, missing, first) = missing(view, whole, stack, count);
        if let Some(first) = first {
            let prefix = stack.prefix;
            let found = format_args!(
                "{count}, with tensors of {present} blocks and none of {prefix}{first}"
            );
            let note = note(found, format_args!("tensors of {prefix}0 to {prefix}{}", count - 1));
            out.times(view.value_offset(&key), Field::metadata(&key), note, missing);
        }
    }
});

/// How many blocks are there and how many are not, and the first of these.
fn missing(
    view: &View<'_>,
    whole: &Whole<'_>,
    stack: &Stack<'_>,
    count: u64,
) -> (u64, u64, Option<u64>) {
    let stacked = view.hyper(PER_STACK).and_then(|(_, value)| value.as_integer());
    let stacked = stacked.and_then(|count| u64::try_from(count).ok()?.checked_mul(2));
    let needed = count.min(whole.predictors).min(stacked.unwrap_or(count));
    let sizes: Vec<_> = SIZES.iter().filter_map(|key| Numbers::of(view.hyper(key)?.1)).collect();
    let (mut present, mut missing, mut first, mut next) = (0, 0, None, 0);
    for number in stack.numbers().chain([needed]) {
        for number in next..number.min(needed) {
            let is_zero = |sizes: &Numbers<'_>| sizes.at(number as usize) == Some(0);
            let is_empty = sizes.len() == SIZES.len() && sizes.iter().all(is_zero);
            if !is_empty {
                missing += 1;
                first = first.or(Some(number));
            }
        }
        present += u64::from(number < needed);
        next = number + 1;
    }
    // a file with nothing but the blocks that predict further tokens
    if needed < count && present == 0 { (0, 0, None) } else { (present, missing, first) }
}

/// Numbers for each block: where they are all 0, the block has no tensors.
const SIZES: &[&str] = &["attention.head_count", "feed_forward_length"];

/// The number of blocks in each of two stacks.
const PER_STACK: &str = "hrm.layers_per_stack";

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;
    use crate::{Array, BlockType};

    fn model(count: u32, blocks: &[u64]) -> Forge {
        stack("blk", "test.block_count", count, blocks)
    }

    fn stack(prefix: &str, key: &str, count: u32, blocks: &[u64]) -> Forge {
        let mut forge = Forge::model().key(key, count);
        for block in blocks {
            forge = forge.tensor(&format!("{prefix}.{block}.a.weight"), &[8], BlockType::F32);
        }
        forge
    }

    #[test]
    fn counts() {
        model(3, &[0, 1]).gives(&["S024"]);
        model(3, &[0, 2]).gives(&["S024"]);
        model(3, &[1, 2]).gives(&["S024"]);
        model(65_535, &[0]).gives(&["S024"]);
        model(3, &[0, 1, 2]).gives(&[]);
        let report = model(9, &[0, 3]).report();
        assert_eq!(report.findings[0].times, 7);
        let found = "9, with tensors of 2 blocks and none of blk.1";
        assert_eq!(report.findings[0].found, found);
        // none at all: not a model of this kind
        model(3, &[]).gives(&[]);
        stack("enc.blk", "test.block_count", 2, &[0]).gives(&["S024"]);
        stack("dec.blk", "test.decoder_block_count", 2, &[0]).gives(&["S024"]);
        stack("dec.blk", "test.decoder_block_count", 2, &[0, 1]).gives(&[]);
    }

    #[test]
    fn what_may_be_absent() {
        model(3, &[0, 1]).key("test.nextn_predict_layers", 1_u32).gives(&[]);
        model(4, &[0, 1]).key("test.nextn_predict_layers", 1_u32).gives(&["S024"]);
        model(3, &[2]).key("test.nextn_predict_layers", 1_u32).gives(&[]);
        let empty = |count: i32| {
            model(3, &[0, 2])
                .key("test.attention.head_count", Array::I32(vec![4, count, 4]))
                .key("test.feed_forward_length", Array::I32(vec![4, 0, 4]))
        };
        empty(0).gives(&[]);
        empty(4).gives(&["S024"]);
        let stacks = |count: u32| model(12, &[0, 1, 2, 3]).key("test.hrm.layers_per_stack", count);
        stacks(2).gives(&[]);
        stacks(3).gives(&["S024"]);
        stacks(u32::MAX).gives(&["S024"]);
        model(3, &[0]).key("general.type", "adapter").gives(&[]);
        model(3, &[0]).key("split.no", 0_u16).key("split.count", 2_u16).gives(&[]);
    }
}
