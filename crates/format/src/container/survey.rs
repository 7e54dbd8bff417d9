//! Reads a damaged header as far as possible.

use super::counts::Counts;
use super::cursor::Cursor;
use super::faults::Faults;
use super::walk::Walk;
use super::{Endian, Fault, Header};
use crate::error::Place;
use crate::prelude::*;
use crate::{Counted, Error, ErrorKind, Limits};

/// The readable part of a damaged header, and every fault in it.
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive] // more may be found out
pub struct Survey {
    /// The header, if magic and version could be read. It is incomplete if a fault stopped the
    /// reading.
    pub header: Option<Header>,
    /// Whether the metadata was read to its end.
    pub metadata_complete: bool,
    /// Whether the tensor table was read to its end; then the metadata was, too.
    pub complete: bool,
    /// Whether the header has every tensor of the table. Those with more dimensions than
    /// [`Shape::MOST`](crate::Shape::MOST) are left out.
    pub all_tensors: bool,
    /// The faults in the order in which they were met.
    pub faults: Vec<Fault>,
}

impl Header {
    /// Reads as much as possible and collects the faults instead of stopping at the first.
    pub fn survey(file: &[u8], limits: &Limits) -> Survey {
        Self::survey_prefix(file, file.len() as u64, limits)
    }

    /// Does the same with the first bytes of a file of `file_bytes` bytes, which must hold the
    /// whole header.
    pub(crate) fn survey_prefix(file: &[u8], file_bytes: u64, limits: &Limits) -> Survey {
        let mut faults = Faults::default();
        let cursor = Cursor::new(file, file_bytes);
        let mut walk = Walk::new(cursor, limits, Some(&mut faults));
        let (mut header, mut metadata_complete) = (None, false);
        let stop = survey(&mut walk, &mut header, &mut metadata_complete)
            .map_err(|error| walk.placed(error));
        let complete = matches!(stop, Ok(Some(_)));
        let listed = header.as_ref().map_or(0, |header: &Header| header.tensors().len() as u64);
        let all_tensors = stop == Ok(Some(listed));
        if let Err(error) = stop {
            faults.note(error);
        }
        // a wrong number of entries puts the start of the table at a wrong place
        let is_of_table =
            |fault: &Fault| matches!(fault.error.place, Place::TensorEntry(_) | Place::Tensor(_));
        if (!complete || faults.list.iter().any(is_of_table))
            && let Some(kind) = fitting_counts(file, limits, &header, complete)
        {
            faults.note(Error::new(kind, 8));
        }
        Survey { header, metadata_complete, complete, all_tensors, faults: faults.list }
    }
}

/// Returns the number of tensors in the table if the whole header was read. An error is the fault
/// that stopped the reading.
fn survey(
    walk: &mut Walk<'_, '_>,
    header: &mut Option<Header>,
    metadata_complete: &mut bool,
) -> Result<Option<u64>, Error> {
    let header = header.insert(Header::start(walk)?);
    let at_counts = walk.cursor.clone();
    let (tensors, entries) = match Counts::read(walk) {
        Ok(counts) => (Some(counts.tensors), counts.entries),
        Err(error) if matches!(error.kind, ErrorKind::Count { .. }) => {
            walk.cursor = at_counts;
            match other_byte_order(walk, header) {
                Some(counts) => (Some(counts.tensors), counts.entries),
                None => (None, entries_behind_bad_count(walk, error)?),
            }
        }
        Err(error) => return Err(error),
    };
    header.read_entries(walk, entries)?;
    *metadata_complete = true;
    let Some(tensors) = tensors else { return Ok(None) };
    header.read_table(walk, tensors)?;
    Ok(Some(tensors))
}

/// One of the counts is too large. If it is only the number of tensors, the metadata can still be
/// read: returns its number of entries.
fn entries_behind_bad_count(walk: &mut Walk<'_, '_>, error: Error) -> Result<u64, Error> {
    let of_entries = matches!(error.kind, ErrorKind::Count { what: Counted::Entries, .. });
    if of_entries {
        return Err(error);
    }
    walk.fault(error)?;
    walk.cursor.count()?;
    let entries = walk.cursor.count()?;
    let least = Counts::least_entry_bytes(walk.cursor.narrow);
    walk.cursor.check_count(Counted::Entries, entries, least)?;
    Ok(entries)
}

/// Reads the counts in the other byte order, if they and the first key make sense in it. Notes the
/// mismatch and switches to that order.
fn other_byte_order(walk: &mut Walk<'_, '_>, header: &mut Header) -> Option<Counts> {
    let version = walk.cursor.endian;
    let body = match version {
        Endian::Little => Endian::Big,
        Endian::Big => Endian::Little,
    };
    let mut cursor = walk.cursor.clone();
    cursor.endian = body;
    let mut trial = Walk::new(cursor, &walk.limits, None);
    let counts = Counts::read(&mut trial).ok()?;
    if counts.entries > 0 {
        let key = trial.cursor.clone().string().ok()?;
        if key.is_empty() || key.len() as u64 > walk.limits.key_bytes {
            return None;
        }
    }
    let at = walk.cursor.position();
    walk.fault(Error::new(ErrorKind::ByteOrder { version, body }, at)).ok()?;
    walk.cursor = trial.cursor;
    header.set_endian(body);
    Some(counts)
}

/// Finds counts near the stored ones with which everything can be read without a fault. Tries fewer
/// tensors only if the table is not `complete`: otherwise a table with a fault in its last tensor
/// would fit without it.
fn fitting_counts(
    file: &[u8],
    limits: &Limits,
    header: &Option<Header>,
    complete: bool,
) -> Option<ErrorKind> {
    let version = header.as_ref()?.version();
    let new_walk = || {
        let mut cursor = Cursor::new(file, file.len() as u64);
        cursor.take(4).ok()?;
        cursor.u32().ok()?;
        cursor.endian = header.as_ref()?.endian();
        cursor.narrow = version == 1;
        Some(Walk::new(cursor, limits, None))
    };
    let stored = Counts::read(&mut new_walk()?).ok()?;
    let fewer_entries = stored.entries.checked_sub(1).map(|entries| (entries, stored.tensors));
    let more_entries = stored.entries.checked_add(1).map(|entries| (entries, stored.tensors));
    let fewer_tensors = stored.tensors.checked_sub(1).map(|tensors| (stored.entries, tensors));
    for (entries, tensors) in [fewer_entries, more_entries, fewer_tensors].into_iter().flatten() {
        // without any tensor, a truncated file would fit
        if tensors == 0 || tensors < stored.tensors && complete {
            continue;
        }
        let mut walk = new_walk()?;
        let mut trial = header.as_ref()?.emptied();
        if Counts::read(&mut walk).is_ok()
            && trial.read_entries(&mut walk, entries).is_ok()
            && trial.read_table(&mut walk, tensors).is_ok()
            && is_zero_padded(file, &trial)
        {
            let stored = (stored.entries, stored.tensors);
            return Some(ErrorKind::Counts { stored, fitting: (entries, tensors) });
        }
    }
    None
}

/// Returns whether there are only zeros between the table and the data. If not, the table
/// continues.
fn is_zero_padded(file: &[u8], header: &Header) -> bool {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let padding = file.get(place(header.table_end())..place(header.data_offset()));
    padding.is_some_and(|padding| padding.iter().all(|byte| *byte == 0))
}
