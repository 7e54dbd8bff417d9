use super::value::Walk;
use super::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, Endian, MAGIC, Metadata, Shape, TensorInfo, TensorType,
    Value, ValueType,
};
use crate::block::REMOVED;
use crate::cursor::Cursor;
use crate::error::Place;
use crate::{Error, ErrorKind, Limits};

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

/// What could be read of a damaged header, and every fault that was met.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The header, if magic, version and counts could be read. Behind the first fault that stops the reading
    /// it is incomplete.
    pub header: Option<Header>,
    /// Whether the reading came to the end of the tensor table.
    pub complete: bool,
    /// The faults in the order in which they were met.
    pub faults: Vec<Error>,
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
        let mut walk = Walk {
            cursor: Cursor::new(prefix, file_bytes),
            limits: *limits,
            faults: None,
            raw_strings: false,
        };
        let mut header = Self::start(&mut walk)?;
        header.read_body(&mut walk)?;
        Ok(header)
    }

    /// Read as much as can be read and collect the faults instead of stopping at the first.
    pub fn survey(file: &[u8], limits: &Limits) -> Survey {
        let mut faults = Vec::new();
        let mut walk = Walk {
            cursor: Cursor::new(file, file.len() as u64),
            limits: *limits,
            faults: Some(&mut faults),
            raw_strings: false,
        };
        let mut header = match Self::start(&mut walk) {
            Ok(header) => header,
            Err(error) => {
                faults.push(error);
                return Survey { header: None, complete: false, faults };
            }
        };
        let result = header.read_body(&mut walk);
        let complete = result.is_ok();
        faults.extend(result.err());
        Survey { header: Some(header), complete, faults }
    }

    /// Magic and version.
    fn start(walk: &mut Walk<'_, '_>) -> Result<Self, Error> {
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

    fn read_body(&mut self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        let narrow = walk.cursor.narrow;
        let tensors = walk.cursor.count()?;
        walk.cursor.check_count("tensors", tensors, if narrow { 20 } else { 24 })?;
        let entries = walk.cursor.count()?;
        walk.cursor.check_count("metadata entries", entries, if narrow { 9 } else { 13 })?;
        for index in 0..entries {
            self.read_entry(walk, index)?;
        }
        self.check_keys(walk)?;
        self.read_alignment(walk)?;
        for index in 0..tensors {
            self.read_tensor(walk, index)?;
        }
        self.table_end = walk.cursor.position();
        self.index_names(walk)?;
        self.data_offset = self.table_end.next_multiple_of(u64::from(self.alignment));
        self.check_spans(walk)
    }

    fn read_entry(&mut self, walk: &mut Walk<'_, '_>, index: u64) -> Result<(), Error> {
        let within = |error: Error| error.within(Place::Key(index));
        let key_at = walk.cursor.position();
        let bytes = walk.cursor.string().map_err(within)?;
        let key = checked_key(walk, bytes, key_at).map_err(within)?;
        let value_at = walk.cursor.position();
        let of_value = |error: Error| error.within(Place::Value(key.clone()));
        let id = walk.cursor.u32().map_err(of_value)?;
        let ty = ValueType::from_id(id)
            .ok_or_else(|| of_value(Error::new(ErrorKind::ValueType(id), value_at)))?;
        walk.raw_strings = key.starts_with("tokenizer.");
        let noted = walk.faults.as_ref().map_or(0, |faults| faults.len());
        let value = Value::read(walk, ty).map_err(of_value)?;
        for fault in walk.faults.iter_mut().flat_map(|faults| &mut faults[noted..]) {
            fault.place = Place::Value(key.clone());
        }
        self.metadata.push(&key, value);
        self.spans.push(EntrySpan { key: key_at, value: value_at, end: walk.cursor.position() });
        Ok(())
    }

    fn check_keys(&self, walk: &mut Walk<'_, '_>) -> Result<(), Error> {
        let entries: Vec<_> = self.metadata.iter().collect();
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|i| (&entries[*i].key, *i));
        let mut twice: Vec<usize> = order
            .windows(2)
            .filter(|pair| entries[pair[0]].key == entries[pair[1]].key)
            .map(|pair| pair[1])
            .collect();
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

    fn read_tensor(&mut self, walk: &mut Walk<'_, '_>, index: u64) -> Result<(), Error> {
        let within = |error: Error| error.within(Place::TensorEntry(index));
        let at = walk.cursor.position();
        let bytes = walk.cursor.string().map_err(within)?;
        let name = checked_tensor_name(walk, bytes, at).map_err(within)?;
        let of_tensor = |error: Error| error.within(Place::Tensor(name.clone()));
        let (shape, ty, offset) = read_shape(walk).map_err(of_tensor)?;
        let tensor = TensorInfo { name: name.clone(), shape, ty, offset };
        check_size(walk, &tensor, at).map_err(of_tensor)?;
        self.tensors.push(tensor);
        self.tensor_offsets.push(at);
        Ok(())
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
            let Some(bytes) = tensor.bytes() else { continue };
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

    /// Length of the file in bytes.
    pub const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }
}

fn checked_key(walk: &mut Walk<'_, '_>, bytes: &[u8], at: u64) -> Result<String, Error> {
    let most = walk.limits.key_bytes;
    let name = String::from_utf8_lossy(bytes).into_owned();
    if bytes.is_empty() {
        walk.fault(Error::new(ErrorKind::EmptyName, at))?;
    }
    if bytes.len() as u64 > most {
        let kind = ErrorKind::LongName { bytes: bytes.len() as u64, most };
        walk.fault(Error::new(kind, at))?;
    }
    if let Some(byte) = bytes.iter().copied().find(|byte| !(b' '..=b'~').contains(byte)) {
        walk.fault(Error::new(ErrorKind::NameByte { name: name.clone(), byte }, at))?;
    }
    Ok(name)
}

fn checked_tensor_name(walk: &mut Walk<'_, '_>, bytes: &[u8], at: u64) -> Result<String, Error> {
    let most = walk.limits.tensor_name_bytes;
    let name = String::from_utf8_lossy(bytes).into_owned();
    if bytes.is_empty() {
        walk.fault(Error::new(ErrorKind::EmptyName, at))?;
    }
    if bytes.len() as u64 > most {
        let kind = ErrorKind::LongName { bytes: bytes.len() as u64, most };
        walk.fault(Error::new(kind, at))?;
    }
    if str::from_utf8(bytes).is_err() {
        walk.fault(Error::new(ErrorKind::NotUtf8, at))?;
    } else if let Some(byte) = bytes.iter().copied().find(u8::is_ascii_control) {
        walk.fault(Error::new(ErrorKind::NameByte { name: name.clone(), byte }, at))?;
    }
    Ok(name)
}

/// What follows a tensor's name in the table.
fn read_shape(walk: &mut Walk<'_, '_>) -> Result<(Shape, TensorType, u64), Error> {
    let at = walk.cursor.position();
    let count = walk.cursor.u32()?;
    let most = walk.limits.dimensions.min(4);
    if count > most {
        return Err(Error::new(ErrorKind::Dimensions { dimensions: count, most }, at));
    }
    let mut dimensions = [1; 4];
    for dimension in dimensions.iter_mut().take(count as usize) {
        *dimension = walk.cursor.count()?;
    }
    let shape = Shape::new(&dimensions[..count as usize]).expect("at most four dimensions");
    let ty = TensorType::from_id(walk.cursor.u32()?);
    Ok((shape, ty, walk.cursor.u64()?))
}

/// Sizes that no reader could handle, and types that no reader knows any more.
fn check_size(walk: &mut Walk<'_, '_>, tensor: &TensorInfo, at: u64) -> Result<(), Error> {
    let too_large = || ErrorKind::TensorTooLarge(tensor.shape.dimensions().to_vec());
    let kind = if tensor.shape.dimensions().iter().any(|dimension| *dimension > i64::MAX as u64) {
        too_large()
    } else if let TensorType::Unknown(id) = tensor.ty {
        match REMOVED.iter().find(|removed| removed.0 == id) {
            Some((id, name, instead)) => ErrorKind::RemovedType { id: *id, name, instead },
            None if tensor.shape.values().is_none() => too_large(),
            None => return Ok(()),
        }
    } else if let Some(ty) = tensor.ty.known()
        && !tensor.shape.row().is_multiple_of(ty.block_values() as u64)
    {
        let (row, block) = (tensor.shape.row(), ty.block_values() as u64);
        ErrorKind::PartialBlock { row, block, ty: tensor.ty }
    } else if tensor.shape.values().is_none()
        || tensor.bytes().is_none_or(|bytes| bytes > i64::MAX as u64)
    {
        too_large()
    } else {
        return Ok(());
    };
    walk.fault(Error::new(kind, at))
}
