//! Checks the contents of blocks.

use alloc::borrow::Cow;
use core::hint::black_box;

use super::probe::{Check, note};
use super::report::{Field, Finding, shortened};
use super::rule::Rule;
use super::rules;
use super::sink::Sink;
use crate::block::{Block, blocks_of};
use crate::container::{Endian, Header};
use crate::prelude::*;
use crate::{BlockType, Defect};

/// Approximate bytes of a piece: enough work for a thread, small enough to share the work evenly.
const PIECE_BYTES: usize = 4 << 20;

/// Blocks that are checked before testing whether one of them has a defect.
const RUN: usize = 128;

/// Blocks of at least this many bytes are sparse: the checks read only a small part of them.
const SPARSE_BYTES: usize = 48;

/// Some blocks of a tensor, which any thread can scan.
///
/// Exhaustive: callers may build pieces of their own.
#[derive(Clone, Debug)]
pub struct Piece<'a> {
    /// The tensor's name.
    pub name: String,
    /// The blocks' type.
    pub ty: BlockType,
    /// The blocks; always whole ones.
    pub bytes: &'a [u8],
    /// The place of the first block among the tensor's blocks.
    pub first_block: u64,
    /// Where the piece lies, in bytes from the start of the file.
    pub offset: u64,
    /// The byte order of the file.
    pub endian: Endian,
}

impl Piece<'_> {
    /// Returns the findings in the blocks: for each rule the first block that breaks it, and how
    /// many do.
    ///
    /// # Panics
    /// If the bytes are not whole blocks.
    #[must_use]
    pub fn scan(&self) -> Vec<Finding> {
        let mut sink = Sink::default();
        with_block!(self.ty, B => match self.endian {
            Endian::Little => {
                self.scan_blocks(blocks_of::<B>(self.bytes), &mut sink, Cow::Borrowed);
            }
            Endian::Big => {
                let native = |block: &B| Cow::Owned(block.swap_bytes());
                self.scan_blocks(blocks_of::<B>(self.bytes), &mut sink, native);
            }
        });
        sink.sorted()
    }

    /// `native` returns a block in the byte order of this machine, without a copy if the file has
    /// that order.
    fn scan_blocks<'b, B: Block>(
        &self,
        blocks: &'b [B],
        sink: &mut Sink,
        native: impl Fn(&'b B) -> Cow<'b, B>,
    ) {
        let oddities: Vec<_> = rules::checks()
            .filter_map(|(rule, check)| {
                let Check::Block(types) = check else { return None };
                let (_, oddity) = types.iter().find(|(ty, _)| *ty == self.ty)?;
                Some((rule, oddity))
            })
            .collect();
        // a run stays in the cache from one look at it to the next
        for (run, blocks) in blocks.chunks(RUN).enumerate() {
            if size_of::<B>() >= SPARSE_BYTES {
                fetch(&self.bytes[run * RUN * size_of::<B>()..][..size_of_val(blocks)]);
            }
            // no early exit, so that the compiler can vectorize the loop
            let defect = blocks.iter().fold(false, |any, b| any | native(b).defect().is_some());
            if defect {
                for (i, block) in blocks.iter().enumerate() {
                    if let Some(defect) = native(block).defect() {
                        self.push_defect(sink, run * RUN + i, defect);
                    }
                }
            }
            for (rule, oddity) in &oddities {
                for (i, block) in blocks.iter().enumerate() {
                    if let Some(note) = oddity(native(block).as_bytes()) {
                        sink.push(self.finding(rule, run * RUN + i, note.found, note.expected));
                    }
                }
            }
        }
    }

    fn push_defect(&self, sink: &mut Sink, index: usize, defect: Defect) {
        let meaning = rules::checks().find_map(|(rule, check)| match check {
            Check::Defect(meaning) => Some((rule, meaning(defect)?)),
            _ => None,
        });
        debug_assert!(meaning.is_some(), "no rule for {defect:?}");
        let (rule, note) = meaning.unwrap_or_else(|| (rules::any("D003"), note(defect, "")));
        sink.push(self.finding(rule, index, note.found, note.expected));
    }

    fn finding(
        &self,
        rule: &'static Rule,
        index: usize,
        found: String,
        expected: String,
    ) -> Finding {
        let offset = self.offset + (index * self.ty.block_bytes()) as u64;
        let block = self.first_block + index as u64;
        let field = Field::Block { name: shortened(&self.name), block };
        Finding { rule, offset, field, found, expected, times: 1 }
    }
}

/// Reads all bytes in order, so that they are in the cache. Processors prefetch sequential reads,
/// but not the scattered reads of a check that uses one byte in a hundred.
fn fetch(bytes: &[u8]) {
    let words = bytes.as_chunks().0.iter();
    black_box(words.fold(0, |all: u64, word| all ^ u64::from_ne_bytes(*word)));
}

/// Returns the data of all tensors of known types in pieces. Bytes that two tensors claim belong to
/// the first: the work is bounded by the size of the file, not by its table.
pub(super) fn pieces<'a>(file: &'a [u8], header: &Header) -> Vec<Piece<'a>> {
    let mut order: Vec<_> = header.tensors().iter().collect();
    order.sort_by_key(|tensor| tensor.offset);
    let mut pieces = Vec::new();
    let mut done = 0;
    for tensor in order {
        let Some(((ty, bytes), start)) = tensor
            .ty
            .known()
            .zip(tensor.bytes())
            .zip(header.data_offset().checked_add(tensor.offset))
        else {
            continue;
        };
        if start < done {
            continue;
        }
        let end = start.saturating_add(bytes).min(file.len() as u64);
        let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else { continue };
        let Some(data) = file.get(from..to) else { continue };
        let block = ty.block_bytes();
        let whole = &data[..data.len() / block * block];
        for (i, bytes) in whole.chunks((PIECE_BYTES / block).max(1) * block).enumerate() {
            let before = i * (PIECE_BYTES / block).max(1);
            pieces.push(Piece {
                name: tensor.name.clone(),
                ty,
                bytes,
                first_block: before as u64,
                offset: start + (before * block) as u64,
                endian: header.endian(),
            });
        }
        done = done.max(end);
    }
    pieces
}
