//! The new header, and where the data of the tensors goes.

use std::ops::Range;

use granule_format::{Draft, Header, Metadata};

use super::EditError;
use super::length::table_end;
use crate::Error;

/// The key whose string of blanks is the room for later edits.
///
/// Twelve letters and no more: with them an empty string takes 32 bytes, the usual alignment, so
/// that a header can be made longer by any multiple of it.
pub const ROOM: &str = "granule.room";

/// Bytes of an entry with this key and an empty string: lengths of key and string, the type.
const EMPTY_ROOM: u64 = 8 + ROOM.len() as u64 + 4 + 8;

/// The most room that can be asked for: more than any header has.
const MOST_ROOM: u64 = 256 << 20;

/// File systems share blocks of this many bytes between files.
const BLOCK: u64 = 4096;

/// Bytes of the header that are compared at once.
const PIECE: usize = 256;

/// The new header.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) draft: Draft,
    /// The bytes of the header.
    pub(super) header: Vec<u8>,
    /// Whether it has the length of the old one, and no tensor moves.
    pub(super) fits: bool,
    /// Whether all data can be copied in one piece.
    in_order: bool,
}

impl Layout {
    /// Lays out a header, which is given without room. With `compact`, room that was left by
    /// earlier edits is given up, unless it is asked for with `reserve`.
    pub(super) fn new(
        old: &Header,
        bare: Draft,
        reserve: Option<u64>,
        compact: bool,
    ) -> Result<Self, Error> {
        let bare_bytes = table_end(&bare);
        // the place of each tensor, and where the first lies
        let tensors = bare.tensors().iter().zip(old.tensors());
        let same_offsets = tensors.clone().all(|(new, old)| new.offset == old.offset);
        let in_order = same_offsets && bare.alignment() == u64::from(old.alignment());
        let available = old.data_offset().min(old.file_bytes());
        let reserve = reserve.unwrap_or(0);
        if reserve > MOST_ROOM {
            return Err(EditError::Reserve { bytes: reserve, most: MOST_ROOM }.into());
        }
        // a file without tensors has no padding
        let padded = bare_bytes.next_multiple_of(bare.alignment());
        let bare_header = if bare.tensors().is_empty() { bare_bytes } else { padded };
        let left = available.checked_sub(bare_bytes + EMPTY_ROOM);
        // what is between the metadata and the tensor data, with the room in it
        let (in_place, room) = match left {
            // the padding of the header is room enough
            _ if !compact && in_order && bare_header == available && reserve == 0 => (true, None),
            Some(left) if !compact && in_order && left >= reserve => (true, Some(left)),
            _ if reserve == 0 => (false, None),
            _ => {
                // data moves by whole blocks, which a file system may then share with the old file
                let end = bare_bytes + EMPTY_ROOM + reserve;
                (false, Some(reserve + (available % BLOCK + BLOCK - end % BLOCK) % BLOCK))
            }
        };
        let mut draft = bare;
        if let Some(room) = room {
            draft.set_last(ROOM, " ".repeat(room as usize))?;
        }
        let header = draft.header();
        let fits = in_place && header.len() as u64 == available;
        Ok(Self { draft, header, fits, in_order })
    }

    /// Where the header differs from the old one, which has the same length.
    pub(super) fn differing(&self, old: &[u8]) -> Vec<Range<usize>> {
        differing(old, &self.header)
    }

    /// Length of the new file.
    pub(super) fn file_bytes(&self, old: &Header) -> u64 {
        let header = self.header.len() as u64;
        match self.in_order {
            true => header + old.file_bytes().saturating_sub(old.data_offset()),
            false => header + self.draft.data_bytes(),
        }
    }

    /// What is copied to a new file: first byte in the old file and in the new one, and length.
    pub(super) fn ranges(&self, old: &Header) -> Vec<(u64, u64, u64)> {
        let (from, to) = (old.data_offset(), self.header.len() as u64);
        if self.in_order {
            return vec![(from, to, old.file_bytes().saturating_sub(from))];
        }
        let tensors = old.tensors().iter().zip(self.draft.tensors());
        let range = |(old, new): (&granule_format::TensorInfo, &granule_format::TensorInfo)| {
            (from + old.offset, to + new.offset, new.bytes().unwrap_or(0))
        };
        tensors.map(range).collect()
    }
}

/// The room that this metadata leaves for later edits.
pub(super) fn room(metadata: &Metadata) -> u64 {
    metadata.text(ROOM).ok().flatten().map_or(0, |room| room.len() as u64)
}

/// Where two pieces of the same length differ: ranges with at least a block between them.
fn differing(old: &[u8], new: &[u8]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    // most of a header stays as it is: pieces are compared first, then bytes
    let pieces = old.chunks(PIECE).zip(new.chunks(PIECE)).enumerate();
    for (piece, (old, new)) in pieces.filter(|(_, (old, new))| old != new) {
        let pairs = old.iter().zip(new).enumerate();
        for (at, _) in pairs.filter(|(_, (old, new))| old != new) {
            let index = piece * PIECE + at;
            match ranges.last_mut() {
                Some(range) if index - range.end < BLOCK as usize => range.end = index + 1,
                _ => ranges.push(index..index + 1),
            }
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_all_that_differs() {
        let old = vec![0_u8; 20_000];
        let mut new = old.clone();
        assert!(differing(&old, &new).is_empty());
        for at in [0, PIECE - 1, PIECE, 4000, 19_999] {
            new[at] = 1;
        }
        // 4000 is less than a block after what is in front of it
        assert_eq!(differing(&old, &new), [0..4001, 19_999..20_000]);
    }
}
