//! Mixtures: which type every tensor gets.
//!
//! A file type such as `Q4_K_M` is a default type plus rules that give some tensors a better or a
//! smaller type. The rules depend on the tensor's role, its place in the model, the grouping of
//! heads and the number of experts. They are data (`tables`). `Mixture::choose` applies them to one
//! tensor after another, in file order, because some rules count tensors.

mod architectures;
pub(crate) mod block_number;
pub(crate) mod category;
pub(crate) mod eligible;
pub(crate) mod fallback;
mod model;
mod page;
mod rule;
mod tables;

pub use eligible::Kept;
pub(crate) use model::{Assumed, Model};
pub use page::page;

use granule_format::{BlockType, FileType, Shape};

use category::Category;
use rule::{Candidate, Position, Table};

/// Goes through the tensors of a model and chooses their types.
#[derive(Debug)]
pub(crate) struct Mixture<'m> {
    model: &'m Model,
    file_type: FileType,
    default: BlockType,
    seen: Seen,
}

/// Numbers of tensors whose types have been chosen so far.
#[derive(Debug, Default)]
struct Seen {
    values: u64,
    down: u64,
    gate: u64,
    up: u64,
}

/// A type and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) ty: BlockType,
    /// The rule in words; `None` for the default type.
    pub(crate) rule: Option<String>,
}

/// The number in the tensor's name is not a valid block number, so its place in the model is
/// unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchBlock {
    pub(crate) number: i64,
    pub(crate) blocks: u32,
}

impl<'m> Mixture<'m> {
    /// Starts at the first tensor.
    pub(crate) fn new(model: &'m Model, file_type: FileType, default: BlockType) -> Self {
        Self { model, file_type, default, seen: Seen::default() }
    }

    /// Returns the type of the next tensor that the rules decide on.
    pub(crate) fn choose(&mut self, name: &str, shape: &Shape) -> Result<Choice, NoSuchBlock> {
        let category = Category::of(name);
        let mut tensor = Candidate {
            model: self.model,
            file_type: self.file_type,
            default: self.default,
            name,
            shape,
            category,
            index: 0,
            count: 0,
        };
        let Some(table) = tables::TABLES.iter().find(|table| table.handles(&tensor)) else {
            return Ok(Choice { ty: self.default, rule: None });
        };
        (tensor.index, tensor.count) = self.position(table, &tensor)?;
        if table.counts
            && let Some(counter) = self.seen.counter(category)
        {
            *counter += 1;
        }
        let (ty, rule) = table.choose(&tensor);
        let rule = rule.map(|rule| match rule::words(rule.when) {
            words if words.is_empty() => table.title.to_owned(),
            words => format!("{}: {words}", table.title),
        });
        Ok(Choice { ty, rule })
    }

    /// Returns `i` and `n` of the rules.
    fn position(
        &mut self,
        table: &Table,
        tensor: &Candidate<'_>,
    ) -> Result<(u64, u64), NoSuchBlock> {
        let Some(seen) = self.seen.counter(tensor.category).map(|seen| *seen) else {
            return Ok((0, 0));
        };
        let blocks = self.model.blocks;
        let count = if tensor.category.makes_values() {
            self.model.value_tensors
        } else {
            u64::from(blocks)
        };
        match (table.position, block_number::leading(tensor.name)) {
            (Position::None, _) => Ok((0, 0)),
            (Position::Layer, Some(number)) if self.model.experts > 1 => u64::try_from(number)
                .ok()
                .filter(|layer| *layer < u64::from(blocks))
                .map(|layer| (layer, count))
                .ok_or(NoSuchBlock { number, blocks }),
            // a name without a number does not identify a layer
            (Position::Layer | Position::Counter, _) => Ok((seen, count)),
        }
    }
}

impl Seen {
    fn counter(&mut self, category: Category) -> Option<&mut u64> {
        match category {
            Category::Value | Category::QueryKeyValue | Category::KeyValue => {
                Some(&mut self.values)
            }
            Category::Down => Some(&mut self.down),
            Category::Gate => Some(&mut self.gate),
            Category::Up => Some(&mut self.up),
            _ => None,
        }
    }
}
