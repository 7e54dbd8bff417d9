use alloc::collections::BTreeSet;

use super::shard::SHARD_COUNT;
use super::sink::Sink;
use super::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, Endian, MAGIC, Metadata, Shape, TensorInfo, TensorType,
    VERSION, Value, WriteError,
};
use crate::Limits;
use crate::prelude::*;

/// The header of a file to be written: metadata and tensors, with every offset known before any
/// data exists.
///
/// ```
/// use granule_format::{BlockType, Draft, Endian, Header, Metadata, Shape, WriteError};
///
/// let mut draft = Draft::new(Metadata::new(), Endian::Little)?;
/// let shape = |dimensions: &[u64]| Shape::new(dimensions).expect("at most four dimensions");
/// draft.add("token_embd.weight", shape(&[256, 10]), BlockType::Q4_K.into())?;
/// let norm = draft.add("output_norm.weight", shape(&[256]), BlockType::F32.into())?;
/// assert_eq!(norm.offset, 10 * 144);
///
/// // the file is the header, then the data of the tensors; nothing of it is read for the header
/// let mut file = draft.header();
/// file.resize(file.len() + draft.data_bytes() as usize, 0);
/// let header = Header::parse(&file).expect("what a draft writes is legal");
/// assert_eq!(header.tensors(), draft.tensors());
/// # Ok::<(), WriteError>(())
/// ```
///
/// [`Writer`](crate::Writer) writes a whole file from a draft.
#[derive(Clone, Debug, Default)]
#[must_use = "a draft is what a `Writer` starts with"]
pub struct Draft {
    endian: Endian,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    names: BTreeSet<String>,
    /// Where the data section ends, padding of the last tensor included.
    data_bytes: u64,
    alignment: u64,
}

impl Draft {
    /// Creates a draft with this metadata and no tensors. The alignment is `general.alignment`, or
    /// 32 bytes if that is absent.
    ///
    /// # Errors
    /// If `general.alignment` is not a U32 that is a power of two, or a key is empty, too long or
    /// not printable ASCII.
    pub fn new(metadata: Metadata, endian: Endian) -> Result<Self, WriteError> {
        if let Some(entry) = metadata.iter().find(|entry| !is_key(&entry.key)) {
            return Err(WriteError::Key(entry.key.clone()));
        }
        let alignment = match metadata.get(ALIGNMENT_KEY) {
            None => DEFAULT_ALIGNMENT,
            Some(Value::U32(alignment)) if alignment.is_power_of_two() => *alignment,
            Some(other) => return Err(WriteError::Alignment(other.clone())),
        };
        let alignment = u64::from(alignment);
        let (tensors, names) = (Vec::new(), BTreeSet::new());
        Ok(Self { endian, metadata, tensors, names, data_bytes: 0, alignment })
    }

    /// Appends a tensor. Its data follows that of the tensor before it.
    ///
    /// # Errors
    /// If the name is empty, already used or has control characters, if there are more than four
    /// dimensions, if the type is unknown, if rows are not whole blocks, or if the size overflows.
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

    /// Sets a metadata key and moves it to the end.
    ///
    /// # Errors
    /// If it is `general.alignment`, by which the tensors are placed already, or no legal key.
    pub fn set_last(&mut self, key: &str, value: impl Into<Value>) -> Result<(), WriteError> {
        if key == ALIGNMENT_KEY {
            return Err(WriteError::Alignment(value.into()));
        }
        if !is_key(key) {
            return Err(WriteError::Key(key.to_owned()));
        }
        self.metadata.set_last(key, value);
        Ok(())
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

    /// Returns the bytes of the data section, including the padding after every tensor.
    pub const fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// Returns the bytes of the header: magic, version, counts, metadata and tensor table. They are
    /// padded to the alignment if there are tensors or the file belongs to a split set.
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

/// Whether a key can be written.
fn is_key(key: &str) -> bool {
    (1..=Limits::DEFAULT.key_bytes).contains(&(key.len() as u64))
        && key.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
