use std::collections::HashSet;

use super::shard::SHARD_COUNT;
use super::sink::Sink;
use super::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, Endian, MAGIC, Metadata, Shape, TensorInfo, TensorType,
    VERSION, Value, WriteError,
};
use crate::Limits;

/// A header to be: metadata and tensors, with every offset known before any data exists.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    endian: Endian,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    names: HashSet<String>,
    /// Where the data section ends, padding of the last tensor included.
    data_bytes: u64,
    alignment: u64,
}

impl Draft {
    /// A file with this metadata and no tensors yet. The alignment is that of
    /// `general.alignment`, 32 bytes without.
    ///
    /// # Errors
    /// If `general.alignment` is not a U32 that is a power of two, or a key is none that a reader takes: it is
    /// empty, too long, or not printable ASCII.
    pub fn new(metadata: Metadata, endian: Endian) -> Result<Self, WriteError> {
        let is_key = |key: &str| {
            (1..=Limits::DEFAULT.key_bytes).contains(&(key.len() as u64))
                && key.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        if let Some(entry) = metadata.iter().find(|entry| !is_key(&entry.key)) {
            return Err(WriteError::Key(entry.key.clone()));
        }
        let alignment = match metadata.get(ALIGNMENT_KEY) {
            None => DEFAULT_ALIGNMENT,
            Some(Value::U32(alignment)) if alignment.is_power_of_two() => *alignment,
            Some(other) => return Err(WriteError::Alignment(other.clone())),
        };
        let alignment = u64::from(alignment);
        let (tensors, names) = (Vec::new(), HashSet::new());
        Ok(Self { endian, metadata, tensors, names, data_bytes: 0, alignment })
    }

    /// Append a tensor; its data follows that of the one before.
    ///
    /// # Errors
    /// If the name is empty, taken or has control characters, there are more than four dimensions,
    /// the type is unknown, rows are not whole blocks, or the size does not fit.
    pub fn add(
        &mut self,
        name: &str,
        shape: Shape,
        ty: TensorType,
    ) -> Result<&TensorInfo, WriteError> {
        let tensor = TensorInfo { name: name.to_owned(), shape, ty, offset: self.data_bytes };
        if name.is_empty()
            || name.bytes().any(|byte| byte.is_ascii_control())
            || self.names.contains(name)
        {
            return Err(WriteError::Name(name.to_owned()));
        }
        if shape.dimensions().len() > Shape::LEGAL {
            return Err(WriteError::Dimensions(Box::new(tensor)));
        }
        let end = tensor
            .bytes()
            .and_then(|bytes| self.data_bytes.checked_add(bytes))
            .and_then(|end| end.checked_next_multiple_of(self.alignment));
        let Some(end) = end else { return Err(WriteError::Size(Box::new(tensor))) };
        self.data_bytes = end;
        self.names.insert(name.to_owned());
        self.tensors.push(tensor);
        Ok(&self.tensors[self.tensors.len() - 1])
    }

    /// The tensors in the order of the file.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The metadata in the order of the file.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The byte order of every number.
    pub const fn endian(&self) -> Endian {
        self.endian
    }

    /// Alignment of tensor data in bytes.
    pub const fn alignment(&self) -> u64 {
        self.alignment
    }

    /// Bytes of the data section, with the padding behind every tensor.
    pub const fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Magic, version, counts, metadata and tensor table, padded to the alignment if tensors
    /// follow, or could: in a file of a split set.
    pub fn header(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let mut sink = Sink { out: &mut out, endian: self.endian };
        sink.u32(VERSION);
        sink.u64(self.tensors.len() as u64);
        sink.u64(self.metadata.len() as u64);
        for entry in &self.metadata {
            sink.string(entry.key.as_bytes());
            sink.u32(entry.value.value_type() as u32);
            sink.value(&entry.value);
        }
        for tensor in &self.tensors {
            sink.string(tensor.name.as_bytes());
            let dimensions = tensor.shape.dimensions();
            sink.u32(dimensions.len() as u32);
            dimensions.iter().for_each(|dimension| sink.u64(*dimension));
            sink.u32(tensor.ty.id());
            sink.u64(tensor.offset);
        }
        if !self.tensors.is_empty() || self.metadata.get(SHARD_COUNT).is_some() {
            out.resize(out.len().next_multiple_of(self.alignment as usize), 0);
        }
        out
    }
}
