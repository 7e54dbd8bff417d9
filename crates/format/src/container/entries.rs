//! Reading the header up to the metadata's end.

use super::counts::Counts;
use super::name::checked_name;
use super::walk::Walk;
use super::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, Endian, EntrySpan, Header, MAGIC, Metadata, Value, ValueType,
};
use crate::error::Place;
use crate::prelude::*;
use crate::{Error, ErrorKind};

impl Header {
    /// Magic and version.
    pub(super) fn start(walk: &mut Walk<'_, '_>) -> Result<Self, Error> {
        let magic = walk.cursor.take(4)?;
        if magic != MAGIC {
            let magic = magic.try_into().expect("four bytes were taken");
            return Err(Error::new(ErrorKind::Magic(magic), 0));
        }
        let version = walk.cursor.u32()?;
        let (version, endian) = match version {
            1..=3 => (version, Endian::Little),
            _ if (1..=3).contains(&version.swap_bytes()) => (version.swap_bytes(), Endian::Big),
            _ => return Err(Error::new(ErrorKind::Version(version), 4)),
        };
        walk.cursor.endian = endian;
        walk.cursor.narrow = version == 1;
        Ok(Self {
            version,
            endian,
            metadata: Metadata::new(),
            tensors: Vec::new(),
            by_name: Vec::new(),
            spans: Vec::new(),
            tensor_offsets: Vec::new(),
            alignment: DEFAULT_ALIGNMENT,
            table_end: walk.cursor.position(),
            data_offset: 0,
            file_bytes: walk.cursor.file_bytes(),
        })
    }

    /// Reads the metadata and its alignment.
    pub(super) fn read_entries(
        &mut self,
        walk: &mut Walk<'_, '_>,
        entries: u64,
    ) -> Result<(), Error> {
        self.reserve_entries(walk, entries);
        let stop = (0..entries).try_for_each(|index| self.read_entry(walk, index));
        if stop.is_err() && walk.is_strict() {
            return stop;
        }
        self.finish_entries(walk)?;
        stop
    }

    pub(super) fn reserve_entries(&mut self, walk: &Walk<'_, '_>, entries: u64) {
        let room = walk.cursor.room_for(entries, Counts::least_entry_bytes(walk.cursor.narrow));
        self.metadata.reserve_exact(room);
        self.spans.reserve_exact(room);
    }

    /// Checks the entries against each other and reads the alignment.
    pub(super) fn finish_entries(&mut self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        let place = core::mem::take(&mut walk.place);
        self.check_keys(walk)?;
        self.read_alignment(walk)?;
        walk.place = place;
        Ok(())
    }

    fn read_entry(&mut self, walk: &mut Walk<'_, '_>, index: u64) -> Result<(), Error> {
        let start = EntryStart::read(walk, index)?;
        self.read_value(walk, &start)
    }

    pub(super) fn read_value(
        &mut self,
        walk: &mut Walk<'_, '_>,
        start: &EntryStart,
    ) -> Result<(), Error> {
        walk.place = Place::Value(start.key.clone());
        walk.raw_strings = start.key.starts_with("tokenizer.");
        let value = Value::read(walk, start.ty)?;
        self.metadata.push(&start.key, value);
        let end = walk.cursor.position();
        self.spans.push(EntrySpan { key: start.key_at, value: start.value_at, end });
        Ok(())
    }

    fn check_keys(&self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        let entries: Vec<_> = self.metadata.iter().collect();
        let mut twice: Vec<usize> = (0..entries.len()).collect();
        twice.sort_unstable_by_key(|i| (&entries[*i].key, *i));
        let mut before: Option<usize> = None;
        twice.retain(|i| {
            let before = before.replace(*i);
            before.is_some_and(|before| entries[before].key == entries[*i].key)
        });
        twice.sort_unstable();
        for i in twice {
            let kind = ErrorKind::DuplicateKey(entries[i].key.clone());
            walk.fault(Error::new(kind, self.spans[i].key).within(Place::Key(i as u64)))?;
        }
        Ok(())
    }

    fn read_alignment(&mut self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        let Some(index) = self.metadata.iter().position(|entry| entry.key == ALIGNMENT_KEY) else {
            return Ok(());
        };
        let kind = match self.metadata.get(ALIGNMENT_KEY) {
            Some(Value::U32(alignment)) if alignment.is_power_of_two() => {
                self.alignment = *alignment;
                return Ok(());
            }
            Some(Value::U32(alignment)) => ErrorKind::Alignment(*alignment),
            Some(other) => ErrorKind::AlignmentType(other.value_type()),
            None => return Ok(()),
        };
        let place = Place::Value(ALIGNMENT_KEY.to_owned());
        walk.fault(Error::new(kind, self.spans[index].value).within(place))
    }
}

/// The part of a metadata entry before its value.
#[derive(Clone, Debug)]
pub(super) struct EntryStart {
    key: String,
    key_at: u64,
    value_at: u64,
    ty: ValueType,
}

impl EntryStart {
    pub(super) fn read(walk: &mut Walk<'_, '_>, index: u64) -> Result<Self, Error> {
        walk.place = Place::Key(index);
        let key_at = walk.cursor.position();
        let bytes = walk.cursor.string()?;
        let key = checked_key(walk, bytes, key_at)?;
        walk.place = Place::Value(key.clone());
        let value_at = walk.cursor.position();
        let id = walk.cursor.u32()?;
        let ty =
            ValueType::from_id(id).ok_or_else(|| Error::new(ErrorKind::ValueType(id), value_at))?;
        Ok(Self { key, key_at, value_at, ty })
    }
}

/// The key that these bytes are: printable ASCII.
fn checked_key(walk: &mut Walk<'_, '_>, bytes: &[u8], at: u64) -> Result<String, Error> {
    let name = checked_name(walk, bytes, at, walk.limits.key_bytes)?;
    if let Some(byte) = bytes.iter().copied().find(|byte| !(b' '..=b'~').contains(byte)) {
        walk.fault(Error::new(ErrorKind::NameByte { name: name.clone(), byte }, at))?;
    }
    Ok(name)
}
