use super::walk::Walk;
use super::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, Endian, HeaderParser, MAGIC, Metadata, Shape, TensorInfo,
    TensorType, Value, ValueType,
};
use crate::block::REMOVED;
use crate::error::Place;
use crate::{Counted, Error, ErrorKind, Limits};

/// Everything in a file but the tensors' data: metadata and the table of tensors.
///
/// It owns what it holds, so it can live beside the bytes or the map that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    version: u32,
    endian: Endian,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    /// Indices into `tensors`, sorted by name.
    by_name: Vec<u32>,
    spans: Vec<EntrySpan>,
    tensor_offsets: Vec<u64>,
    alignment: u32,
    table_end: u64,
    data_offset: u64,
    file_bytes: u64,
}

/// Where a metadata entry lies, in bytes from the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntrySpan {
    /// The length of the key.
    pub key: u64,
    /// The type of the value.
    pub value: u64,
    /// Behind the value.
    pub end: u64,
}

impl Header {
    /// Read the header of a file that is wholly in `file`.
    ///
    /// Afterwards the data of every tensor of a known type lies inside the file. Nothing is
    /// reserved for a count before it was compared with the bytes that are left.
    ///
    /// # Errors
    /// The first fault: truncation, unknown version or value type, duplicate names, sizes that do not
    /// fit.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        Self::parse_prefix(file, file.len() as u64, &Limits::DEFAULT)
    }

    /// Read the header from the first bytes of a file of `file_bytes` bytes.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`ErrorKind::PrefixTooShort`] if the header goes on behind
    /// `prefix`.
    pub fn parse_prefix(prefix: &[u8], file_bytes: u64, limits: &Limits) -> Result<Self, Error> {
        HeaderParser::new(file_bytes, limits).parse(prefix)
    }

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

    /// The rest is in the other byte order than the version.
    pub(super) const fn set_endian(&mut self, endian: Endian) {
        self.endian = endian;
    }

    /// What was known behind the version.
    pub(super) fn emptied(&self) -> Self {
        Self {
            metadata: Metadata::new(),
            tensors: Vec::new(),
            by_name: Vec::new(),
            spans: Vec::new(),
            tensor_offsets: Vec::new(),
            alignment: DEFAULT_ALIGNMENT,
            ..*self
        }
    }

    /// The metadata, and what it says about the alignment.
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

    /// Check the entries together, and see what they say about the alignment.
    pub(super) fn finish_entries(&mut self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        let place = std::mem::take(&mut walk.place);
        self.check_keys(walk)?;
        self.read_alignment(walk)?;
        walk.place = place;
        Ok(())
    }

    /// The table of tensors, and whether their data lies in the file.
    pub(super) fn read_table(
        &mut self,
        walk: &mut Walk<'_, '_>,
        tensors: u64,
    ) -> Result<(), Error> {
        self.reserve_tensors(walk, tensors);
        let stop = (0..tensors).try_for_each(|index| self.read_tensor(walk, index));
        if stop.is_err() && walk.is_strict() {
            return stop;
        }
        self.finish_table(walk, stop.is_ok())?;
        stop
    }

    pub(super) fn reserve_tensors(&mut self, walk: &Walk<'_, '_>, tensors: u64) {
        let room = walk.cursor.room_for(tensors, Counts::least_tensor_bytes(walk.cursor.narrow));
        self.tensors.reserve_exact(room);
        self.tensor_offsets.reserve_exact(room);
    }

    /// Check the tensors together; where their data lies only if the table is `complete`.
    pub(super) fn finish_table(
        &mut self,
        walk: &mut Walk<'_, '_>,
        complete: bool,
    ) -> Result<(), Error> {
        let place = std::mem::take(&mut walk.place);
        self.index_names(walk)?;
        self.table_end = walk.cursor.position();
        self.data_offset = self.table_end.next_multiple_of(u64::from(self.alignment));
        if complete {
            self.check_spans(walk)?;
        }
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

    pub(super) fn read_tensor(&mut self, walk: &mut Walk<'_, '_>, index: u64) -> Result<(), Error> {
        walk.place = Place::TensorEntry(index);
        let at = walk.cursor.position();
        let bytes = walk.cursor.string()?;
        let name = checked_tensor_name(walk, bytes, at)?;
        walk.place = Place::Tensor(name.clone());
        let Some((shape, ty, offset)) = read_shape(walk)? else { return Ok(()) };
        let tensor = TensorInfo { name, shape, ty, offset };
        self.check_size(walk, &tensor, at)?;
        self.tensors.push(tensor);
        self.tensor_offsets.push(at);
        Ok(())
    }

    /// Sizes that no reader could handle, and types that no reader knows any more.
    fn check_size(
        &self,
        walk: &mut Walk<'_, '_>,
        tensor: &TensorInfo,
        at: u64,
    ) -> Result<(), Error> {
        let dimensions = tensor.shape.dimensions();
        let too_large = || Some(ErrorKind::TensorTooLarge(dimensions.to_vec()));
        if dimensions.iter().any(|dimension| *dimension > i64::MAX as u64)
            || tensor.shape.values().is_none()
        {
            walk.fault(Error::new(ErrorKind::TensorTooLarge(dimensions.to_vec()), at))?;
            return Ok(());
        }
        let kind = match tensor.ty {
            TensorType::Unknown(id) => {
                let removed = REMOVED.iter().find(|removed| removed.0 == id);
                removed.map(|&(id, name, instead)| ErrorKind::RemovedType { id, name, instead })
            }
            TensorType::Known(ty)
                if !tensor.shape.row().is_multiple_of(ty.block_values() as u64) =>
            {
                let (row, block) = (tensor.shape.row(), ty.block_values() as u64);
                Some(ErrorKind::PartialBlock { row, block, ty: tensor.ty })
            }
            TensorType::Known(_) => match tensor.bytes() {
                Some(bytes) if self.padded(bytes).is_some() => None,
                _ => too_large(),
            },
        };
        kind.map_or(Ok(()), |kind| walk.fault(Error::new(kind, at)))
    }

    /// `bytes` rounded up to the alignment; `None` if that does not fit.
    pub(crate) fn padded(&self, bytes: u64) -> Option<u64> {
        bytes.checked_next_multiple_of(u64::from(self.alignment))
    }

    fn index_names(&mut self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        let tensors = &self.tensors;
        // a table of 2^32 tensors would take 100 GB
        self.by_name = (0..tensors.len() as u32).collect();
        self.by_name.sort_by_key(|i| (&tensors[*i as usize].name, *i));
        let mut twice: Vec<usize> = self
            .by_name
            .windows(2)
            .filter(|pair| tensors[pair[0] as usize].name == tensors[pair[1] as usize].name)
            .map(|pair| pair[1] as usize)
            .collect();
        twice.sort_unstable();
        for i in twice {
            let kind = ErrorKind::DuplicateTensor(tensors[i].name.clone());
            let place = Place::TensorEntry(i as u64);
            walk.fault(Error::new(kind, self.tensor_offsets[i]).within(place))?;
        }
        Ok(())
    }

    fn check_spans(&self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        for (tensor, at) in self.tensors.iter().zip(&self.tensor_offsets) {
            // sizes that do not fit are faults already
            let Some(bytes) = tensor.bytes().filter(|bytes| self.padded(*bytes).is_some()) else {
                continue;
            };
            let start = self.data_offset.checked_add(tensor.offset);
            let end = start.and_then(|start| start.checked_add(bytes));
            if end.is_none_or(|end| end > self.file_bytes) {
                let kind = ErrorKind::OutsideFile {
                    start: start.unwrap_or(u64::MAX),
                    end: end.unwrap_or(u64::MAX),
                    file: self.file_bytes,
                };
                walk.fault(Error::new(kind, *at).within(Place::Tensor(tensor.name.clone())))?;
            }
        }
        Ok(())
    }

    /// The version of the format: 1, 2 or 3.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The byte order of every number in the file.
    pub const fn endian(&self) -> Endian {
        self.endian
    }

    /// The metadata in the order of the file.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where each metadata entry lies in the file, in the order of the entries.
    pub fn entry_spans(&self) -> &[EntrySpan] {
        &self.spans
    }

    /// The tensors in the order of the table.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Where each tensor's entry in the table begins, in bytes from the start of the file.
    pub fn tensor_entry_offsets(&self) -> &[u64] {
        &self.tensor_offsets
    }

    /// The tensor with this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let at = self
            .by_name
            .binary_search_by(|i| self.tensors[*i as usize].name.as_str().cmp(name))
            .ok()?;
        Some(&self.tensors[self.by_name[at] as usize])
    }

    /// The alignment of tensor data, in bytes.
    pub const fn alignment(&self) -> u32 {
        self.alignment
    }

    /// Behind the last byte of the tensor table, in bytes from the start of the file.
    pub const fn table_end(&self) -> u64 {
        self.table_end
    }

    /// Where the data section begins, in bytes from the start of the file.
    pub const fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Behind the data of all tensors and its padding, in bytes from the start of the file; `None` if
    /// the size of a tensor is not known.
    pub fn data_end(&self) -> Option<u64> {
        let end = |tensor: &TensorInfo| self.padded(tensor.offset.checked_add(tensor.bytes()?)?);
        let mut ends = self.tensors.iter().map(end);
        let data = ends.try_fold(0, |last, end| end.map(|end: u64| end.max(last)))?;
        self.data_offset.checked_add(data)
    }

    /// Length of the file in bytes.
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
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

/// The name that these bytes are: UTF-8 without control characters.
fn checked_tensor_name(walk: &mut Walk<'_, '_>, bytes: &[u8], at: u64) -> Result<String, Error> {
    let name = checked_name(walk, bytes, at, walk.limits.tensor_name_bytes)?;
    if str::from_utf8(bytes).is_err() {
        walk.fault(Error::new(ErrorKind::NotUtf8, at))?;
    } else if let Some(byte) = bytes.iter().copied().find(u8::is_ascii_control) {
        walk.fault(Error::new(ErrorKind::NameByte { name: name.clone(), byte }, at))?;
    }
    Ok(name)
}

/// What keys and tensor names have in common: their length. What is not UTF-8 is replaced.
fn checked_name(
    walk: &mut Walk<'_, '_>,
    bytes: &[u8],
    at: u64,
    most: u64,
) -> Result<String, Error> {
    if bytes.is_empty() {
        walk.fault(Error::new(ErrorKind::EmptyName, at))?;
    }
    if bytes.len() as u64 > most {
        let kind = ErrorKind::LongName { bytes: bytes.len() as u64, most };
        walk.fault(Error::new(kind, at))?;
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// What follows a tensor's name in the table; nothing if it has too many dimensions to be kept.
fn read_shape(walk: &mut Walk<'_, '_>) -> Result<Option<(Shape, TensorType, u64)>, Error> {
    /// With more dimensions than this the number itself is not believed.
    const MOST_SKIPPED: u32 = 64;
    let at = walk.cursor.position();
    let count = walk.cursor.u32()?;
    let most = walk.limits.dimensions.min(Shape::MOST as u32);
    if count > most {
        let error = Error::new(ErrorKind::Dimensions { dimensions: count, most }, at);
        if count > MOST_SKIPPED {
            return Err(error);
        }
        walk.fault(error)?;
    }
    let mut dimensions = Vec::with_capacity(Shape::LEGAL);
    for _ in 0..count {
        dimensions.push(walk.cursor.count()?);
    }
    let ty = TensorType::from_id(walk.cursor.u32()?);
    let offset = walk.cursor.u64()?;
    Ok(Shape::as_stored(&dimensions).map(|shape| (shape, ty, offset)))
}

/// What precedes the value of a metadata entry.
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

/// The two counts that follow the version.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) tensors: u64,
    pub(super) entries: u64,
}

impl Counts {
    /// A name's length, number of dimensions, type, offset.
    const fn least_tensor_bytes(narrow: bool) -> u64 {
        if narrow { 20 } else { 24 }
    }

    /// A key's length, type, a value of one byte.
    pub(super) const fn least_entry_bytes(narrow: bool) -> u64 {
        if narrow { 9 } else { 13 }
    }

    /// Both, each compared with the bytes that are left.
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
