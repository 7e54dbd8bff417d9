//! The tensors of a complete language model, block by block.

use super::facts::Facts;
use crate::container::{Header, TensorInfo, Value};
use crate::prelude::*;

/// The names of blocks: the prefix before the number, and the keys that count them; the
/// first present one counts.
const STACKS: &[(&str, &[&str])] = &[
    ("blk.", &["block_count"]),
    ("enc.blk.", &["block_count"]),
    ("dec.blk.", &["decoder_block_count", "block_count"]),
];

/// Values of `general.architecture` that do not stand for a model.
const NO_MODELS: &[&str] = &["clip", "controlvector", "imatrix", "adapter"];

/// The tensors of a model that is known completely. A split set is known completely if all its
/// files are.
#[derive(Debug)]
pub(crate) struct Whole<'v> {
    /// By their names.
    tensors: Vec<&'v TensorInfo>,
    /// The blocks that have tensors, in the order of [`STACKS`].
    pub(crate) stacks: Vec<Stack<'v>>,
    /// The number of the first block that only predicts further tokens. Programs do not need these
    /// blocks.
    pub(crate) predictors: u64,
}

/// Blocks that are numbered together.
#[derive(Debug)]
pub(crate) struct Stack<'v> {
    /// The prefix before the number in the names.
    pub(crate) prefix: &'static str,
    /// The keys that count the blocks. The first that is present counts.
    pub(crate) count_keys: &'static [&'static str],
    /// The number of the block and the rest of the name of each tensor, sorted.
    tensors: Vec<(u64, &'v str)>,
}

impl<'v> Whole<'v> {
    /// The tensors of the model that begins in this file, if they are all known and it is a model:
    /// no adapter, no projector of another model, no later file of a split set.
    pub(crate) fn new(file: &Facts<'v>) -> Option<Self> {
        let architecture = file.architecture()?;
        let is_model = match file.get("general.type") {
            Some(Value::String(kind)) => kind == "model",
            _ => true,
        };
        if !is_model || NO_MODELS.contains(&architecture) || !file.all_tensors {
            return None;
        }
        let mut tensors: Vec<_> = file.header.tensors().iter().collect();
        if file.is_shard() {
            // the metadata are those of the first file
            if file.name.as_ref()?.number != 1 {
                return None;
            }
            let others = file.whole_set()?;
            tensors.extend(others.iter().flat_map(|(_, header)| Header::tensors(header)));
        }
        tensors.sort_unstable_by_key(|tensor| &tensor.name);
        let stack = |&(prefix, count_keys): &(&'static str, &'static [&'static str])| {
            let in_block = |tensor: &&'v TensorInfo| in_block(&tensor.name, prefix);
            let mut tensors: Vec<_> = tensors.iter().filter_map(in_block).collect();
            tensors.sort_unstable();
            Stack { prefix, count_keys, tensors }
        };
        let stacks = STACKS.iter().map(stack).filter(|stack| !stack.tensors.is_empty()).collect();
        let number = |key: &str| u64::try_from(file.hyper(key)?.1.as_integer()?).ok();
        let predictors = match (number("block_count"), number("nextn_predict_layers")) {
            (Some(blocks), Some(predictors @ 1..)) => blocks.saturating_sub(predictors),
            _ => u64::MAX,
        };
        Some(Self { tensors, stacks, predictors })
    }

    /// The tensor with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&'v TensorInfo> {
        let at = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        Some(self.tensors[at])
    }

    /// The numbers of all blocks but those that predict further tokens, of one stack or another.
    pub(crate) fn layers(&self) -> Vec<u64> {
        let numbers = self.stacks.iter().flat_map(Stack::numbers);
        let mut layers: Vec<u64> = numbers.filter(|number| *number < self.predictors).collect();
        layers.sort_unstable();
        layers.dedup();
        layers
    }

    /// Returns whether the block of a tensor with this name is present. True for names outside
    /// blocks.
    pub(crate) fn has_block_of(&self, name: &str) -> bool {
        STACKS.iter().all(|(prefix, _)| match in_block(name, prefix) {
            Some((number, _)) => {
                let stack = self.stacks.iter().find(|stack| stack.prefix == *prefix);
                stack.is_some_and(|stack| stack.has(number))
            }
            None => true,
        })
    }
}

impl<'v> Stack<'v> {
    /// Returns the blocks by number, each with the rest of its tensors' names, sorted.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u64, &[(u64, &'v str)])> {
        self.tensors.chunk_by(|one, other| one.0 == other.0).map(|block| (block[0].0, block))
    }

    /// The numbers of the blocks that have tensors, in their order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.blocks().map(|(number, _)| number)
    }

    /// Whether the block with this number has a tensor.
    pub(crate) fn has(&self, number: u64) -> bool {
        let at = self.tensors.partition_point(|tensor| tensor.0 < number);
        self.tensors.get(at).is_some_and(|tensor| tensor.0 == number)
    }
}

/// The number of the block and the rest of the name, if it begins with `prefix`.
fn in_block<'n>(name: &'n str, prefix: &str) -> Option<(u64, &'n str)> {
    let (number, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit())
        && (number.len() == 1 || !number.starts_with('0'));
    Some((number.parse().ok().filter(|_| is_plain)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(in_block("blk.12.attn_q.weight", "blk."), Some((12, "attn_q.weight")));
        for other in ["enc.blk.1.a", "blk.01.a", "blk.+1.a", "blk.1", "blk..a", "blk.x.a"] {
            assert_eq!(in_block(other, "blk."), None, "{other}");
        }
    }
}
