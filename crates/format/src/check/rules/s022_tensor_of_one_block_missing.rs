//! A block lacks a tensor, and every other block that has all tensors of this one has the missing
//! tensor as well.
//!
//! Blocks of different kinds are told apart by their tensors: attention or a recurrent state, one
//! feed-forward network or many experts. Blocks are not compared if the metadata gives them
//! different numbers of heads or feed-forward sizes. Tensors that only some blocks need are
//! ignored: tables of positions, the predictors of further tokens.
//!
//! **Why it is bad.** Most likely the tensor was lost when the file was made, and readers of the
//! architecture refuse the file.
//!
//! **How to fix.** Convert the checkpoint again, and check that all its files are there.

use alloc::collections::BTreeMap;

use super::s017_head_count::Numbers;
use super::{Check, note};
use crate::check::Field;
use crate::check::view::View;
use crate::check::whole::{Stack, Whole};
use crate::prelude::*;

/// More kinds of blocks than any model has.
const MOST_KINDS: usize = 64;

/// Parts of names of tensors that not every block has to have.
const NOT_IN_EVERY_BLOCK: &[&str] = &["attn_rel_b", "rope_f", "nextn.", "visual_"];

/// Norms that precede the first layer, which another norm may have done.
const NOT_IN_THE_FIRST: &[&str] = &["attn_norm."];

/// Metadata with a number for each block; blocks with different numbers are different kinds.
const KINDS: &[&str] = &[
    "attention.head_count",
    "attention.head_count_kv",
    "attention.shared_kv_layers",
    "feed_forward_length",
    "expert_count",
];

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let Some(whole) = view.whole().filter(|_| !is_recurrent(view)) else { return };
    for stack in &whole.stacks {
        for (number, missing) in holes(view, whole, stack) {
            let missing =
                missing.into_iter().map(|name| format!("{}{number}.{name}", stack.prefix));
            for name in missing.filter(|name| !is_needed(view, whole, number, name)) {
                let expected = "this tensor, as the other blocks have it";
                let note = note("nothing", expected);
                out.add(view.table_start(), Field::tensor(&name), note);
            }
        }
    }
});

/// Models without attention have a first block of another kind.
fn is_recurrent(view: &View<'_>) -> bool {
    view.hyper("wkv.head_size").is_some()
}

/// Whether another rule says that the tensor is missing.
fn is_needed(view: &View<'_>, whole: &Whole<'_>, number: u64, name: &str) -> bool {
    let mut is_needed = false;
    super::s023_needed_tensor_missing::missing(view, whole, &[number], &mut |missing| {
        is_needed |= missing == name;
    });
    is_needed
}

/// The blocks that lack tensors, and the ends of the names of these.
fn holes<'v>(view: &View<'v>, whole: &Whole<'v>, stack: &Stack<'v>) -> Vec<(u64, Vec<&'v str>)> {
    let varied: Vec<_> = KINDS.iter().filter_map(|key| Numbers::of(view.hyper(key)?.1)).collect();
    // blocks of one kind, and how many there are; the number of one of them
    let mut kinds = BTreeMap::<(Vec<Option<i128>>, Vec<&str>), (u64, usize)>::new();
    for (number, tensors) in stack.blocks().filter(|block| block.0 < whole.predictors) {
        let block = usize::try_from(number).unwrap_or(usize::MAX);
        let numbers = varied.iter().map(|numbers| numbers.at(block)).collect();
        let names = tensors.iter().map(|tensor| tensor.1).filter(|name| is_compared(name));
        kinds.entry((numbers, names.collect())).or_insert((number, 0)).1 += 1;
        if kinds.len() > MOST_KINDS {
            return Vec::new();
        }
    }
    let mut holes = Vec::new();
    for ((numbers, names), (number, blocks)) in &kinds {
        if *blocks > 1 {
            continue;
        }
        let fuller = kinds.keys().filter(|(others, more)| {
            others == numbers && more.len() > names.len() && is_part(names, more)
        });
        let mut fuller = fuller.map(|(_, more)| more);
        let Some(some) = fuller.next() else { continue };
        let rest: Vec<_> = fuller.collect();
        let lacking = some.iter().filter(|name| names.binary_search(name).is_err());
        let lacking =
            lacking.filter(|name| rest.iter().all(|more| more.binary_search(name).is_ok()));
        let is_first_norm = |name: &&str| {
            *number == 0 && NOT_IN_THE_FIRST.iter().any(|norm| name.starts_with(norm))
        };
        let lacking: Vec<_> = lacking.copied().filter(|name| !is_first_norm(name)).collect();
        if !lacking.is_empty() {
            holes.push((*number, lacking));
        }
    }
    holes
}

/// Whether a tensor's absence means something. Scales go with the type of the weights, which may
/// differ from block to block.
fn is_compared(name: &str) -> bool {
    (name.ends_with(".weight") || name.ends_with(".bias"))
        && !NOT_IN_EVERY_BLOCK.iter().any(|part| name.contains(part))
}

/// Whether all of `names` are in `more`; both are sorted.
fn is_part(names: &[&str], more: &[&str]) -> bool {
    names.iter().all(|name| more.binary_search(name).is_ok())
}

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;
    use crate::{Array, BlockType};

    /// Block `i` has the tensors with the letters of the `i`-th text.
    fn model(blocks: &[&str]) -> Forge {
        let mut forge = Forge::model();
        for (i, letters) in blocks.iter().enumerate() {
            for letter in letters.chars() {
                let name = format!("blk.{i}.{letter}.weight");
                forge = forge.tensor(&name, &[8], BlockType::F32);
            }
        }
        forge
    }

    #[test]
    fn holes() {
        model(&["abc", "abc", "ab"]).gives(&["S022"]);
        model(&["abc", "ac"]).gives(&["S022"]);
        model(&["bc", "abc", "abc"]).gives(&["S022"]);
        model(&["abcd", "abcd", "ab"]).gives(&["S022", "S022"]);
        model(&["abc", "abc", "abc"]).gives(&[]);
        let report = model(&["abc", "ac"]).report();
        assert_eq!(report.findings[0].field.to_string(), "tensor \"blk.1.b.weight\"");
    }

    #[test]
    fn kinds() {
        // attention here, a state there
        model(&["abc", "abd", "abd", "abc"]).gives(&[]);
        model(&["abd", "abc", "abc"]).gives(&[]);
        // two that are alike are a kind
        model(&["abc", "abc", "ab", "ab"]).gives(&[]);
        // one has more than all others
        model(&["abc", "ab", "ab"]).gives(&[]);
        // other blocks have one of two tensors, no block has both
        model(&["abc", "abd", "ab"]).gives(&[]);
        // a hole among blocks of two kinds
        model(&["abc", "abc", "axy", "axy", "ax"]).gives(&["S022"]);
    }

    #[test]
    fn what_need_not_be_in_every_block() {
        let with = |blocks: &[&str], name: &str| model(blocks).tensor(name, &[8], BlockType::F32);
        for name in [
            "blk.0.attn_rel_b.weight",
            "blk.0.rope_freqs.weight",
            "blk.1.nextn.eh_proj.weight",
            "blk.1.a.scale",
        ] {
            with(&["ab", "ab"], name).gives(&[]);
        }
        with(&["ab", "ab"], "blk.1.attn_norm.weight").gives(&[]);
        with(&["ab", "ab"], "blk.0.attn_norm.weight").gives(&["S022"]);
        let heads = Array::I32(vec![4, 0]);
        model(&["abc", "ab"]).key("test.attention.head_count", heads).gives(&[]);
        model(&["abc", "ab"]).key("test.wkv.head_size", 4_u32).gives(&[]);
        let predictors = |forge: Forge| {
            forge.key("test.block_count", 2_u32).key("test.nextn_predict_layers", 1_u32)
        };
        predictors(model(&["abc", "ab"])).gives(&[]);
        model(&["abc", "ab"]).key("general.type", "adapter").gives(&[]);
    }
}
