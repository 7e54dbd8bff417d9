use super::walk::Walk;
use crate::{Counted, Error};

/// The two counts that follow the version.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) tensors: u64,
    pub(super) entries: u64,
}

impl Counts {
    /// A name's length, number of dimensions, type, offset.
    pub(super) const fn least_tensor_bytes(narrow: bool) -> u64 {
        if narrow { 20 } else { 24 }
    }

    /// A key's length, type, a value of one byte.
    pub(super) const fn least_entry_bytes(narrow: bool) -> u64 {
        if narrow { 9 } else { 13 }
    }

    /// Reads both counts and compares each with the remaining bytes.
    pub(super) fn read(walk: &mut Walk<'_, '_>) -> Result<Self, Error> {
        let narrow = walk.cursor.narrow;
        let tensors = walk.cursor.count()?;
        walk.cursor.check_count(Counted::Tensors, tensors, Self::least_tensor_bytes(narrow))?;
        let entries = walk.cursor.count()?;
        let least = Self::least_entry_bytes(narrow);
        walk.cursor.check_count(Counted::Entries, entries, least)?;
        Ok(Self { tensors, entries })
    }
}
