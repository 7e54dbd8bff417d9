//! A file and what is known about it: everything that is cheap to compute.

use super::options::{Needed, Options};
use super::sibling::Sibling;
use super::vocabulary::TOKENS;
use crate::container::{Entry, EntrySpan, Header, SHARD_COUNT, ShardName, TensorInfo, Value};
use crate::prelude::*;

/// A file whose header could be read, at least as far as the rule that gets it needs.
pub(crate) struct Facts<'v> {
    pub(crate) file: &'v [u8],
    pub(crate) header: &'v Header,
    /// The tensors whose size is known and whose data does not wrap, by their offset.
    pub(crate) layout: Vec<Placed<'v>>,
    /// The parts of the file's name, if it is the name of a shard.
    pub(crate) name: Option<ShardName>,
    pub(crate) siblings: Option<&'v [Sibling<'v>]>,
    /// The name of the file, if it is known.
    pub(crate) file_name: Option<&'v str>,
    /// Whether the header has every tensor of the table.
    pub(crate) all_tensors: bool,
    /// Names the tensors that architectures need.
    pub(crate) needed: Option<Needed>,
    /// Whether the strings of the vocabulary need no check.
    pub(crate) known_vocabulary: bool,
}

/// A tensor and where its data lies, in bytes from the start of the data section.
#[derive(Clone, Copy)]
pub(crate) struct Placed<'v> {
    pub(crate) tensor: &'v TensorInfo,
    /// Where its entry in the table begins, in bytes from the start of the file.
    pub(crate) entry: u64,
    pub(crate) start: u64,
    /// End of the data, without padding.
    pub(crate) end: u64,
    /// End of the data, padded to the alignment.
    pub(crate) padded_end: u64,
}

impl<'v> Facts<'v> {
    pub(crate) fn new(
        file: &'v [u8],
        header: &'v Header,
        all_tensors: bool,
        options: &Options<'v>,
    ) -> Self {
        let mut layout: Vec<_> = entries(header)
            .filter_map(|(tensor, entry)| {
                let start = tensor.offset;
                let end = start.checked_add(tensor.bytes()?)?;
                let padded_end = header.padded(end)?;
                header.data_offset().checked_add(padded_end)?;
                Some(Placed { tensor, entry, start, end, padded_end })
            })
            .collect();
        layout.sort_by_key(|placed| (placed.start, placed.end));
        let name = options.name.and_then(ShardName::parse);
        Self {
            file,
            header,
            layout,
            name,
            siblings: options.siblings,
            file_name: options.name,
            all_tensors,
            needed: options.needed,
            known_vocabulary: options.known_vocabulary,
        }
    }

    /// Returns the end of the data of all tensors, padding included, in bytes from the start of the
    /// file; `None` if the size of a tensor is unknown.
    pub(crate) fn data_end(&self) -> Option<u64> {
        self.header.data_end().filter(|_| self.all_tensors)
    }

    /// Returns the start of the tensor table, in bytes from the start of the file.
    pub(crate) fn table_start(&self) -> u64 {
        self.header.entry_spans().last().map_or(24, |span| span.end)
    }

    /// The metadata entries and where they lie.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'v Entry, &'v EntrySpan)> {
        self.header.metadata().iter().zip(self.header.entry_spans())
    }

    /// The tensors with the offset of their entry in the table.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (&'v TensorInfo, u64)> {
        entries(self.header)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'v Value> {
        self.header.metadata().get(key)
    }

    /// Where the value of a key is stored, in bytes from the start of the file; 0 if it is absent.
    pub(crate) fn value_offset(&self, key: &str) -> u64 {
        let index = self.header.metadata().iter().position(|entry| entry.key == key);
        index.map_or(0, |index| self.header.entry_spans()[index].value)
    }

    /// Returns the architecture, if it is a string.
    pub(crate) fn architecture(&self) -> Option<&'v str> {
        match self.get("general.architecture") {
            Some(Value::String(name)) => Some(name),
            _ => None,
        }
    }

    /// Returns the hyperparameter `name` of the architecture, with its whole key.
    pub(crate) fn hyper(&self, name: &str) -> Option<(String, &'v Value)> {
        let key = format!("{}.{name}", self.architecture()?);
        let value = self.get(&key)?;
        Some((key, value))
    }

    /// The vocabulary's size by `tokenizer.ggml.tokens`.
    pub(crate) fn tokens(&self) -> Option<u64> {
        let tokens = self.header.metadata().array(TOKENS).ok()??;
        Some(tokens.len() as u64)
    }

    /// Whether the file is one of several, by its metadata.
    pub(crate) fn is_shard(&self) -> bool {
        self.get(SHARD_COUNT).and_then(Value::as_integer).is_some_and(|count| count > 1)
    }

    /// The other shards with a readable header: their names and headers.
    pub(crate) fn other_shards(&self) -> impl Iterator<Item = (&'v str, &'v Header)> {
        let siblings = self.siblings.filter(|_| self.name.is_some()).unwrap_or_default();
        siblings.iter().filter_map(|sibling| Some((sibling.name, sibling.header?)))
    }

    /// Returns the other shards, if this file's name says that they are complete.
    pub(crate) fn whole_set(&self) -> Option<Vec<(&'v str, &'v Header)>> {
        let count = self.name.as_ref()?.count as usize;
        let shards: Vec<_> = self.other_shards().collect();
        (shards.len() + 1 == count).then_some(shards)
    }

    /// Returns the bytes of the file from `start` to `end`, as far as the file has them.
    pub(crate) fn bytes(&self, start: u64, end: u64) -> &'v [u8] {
        let clamped = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(self.file.len());
        &self.file[clamped(start)..clamped(end).max(clamped(start))]
    }
}

fn entries(header: &Header) -> impl Iterator<Item = (&TensorInfo, u64)> {
    header.tensors().iter().zip(header.tensor_entry_offsets().iter().copied())
}
