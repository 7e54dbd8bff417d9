use super::{DEFAULT_ALIGNMENT, Endian, Metadata, TensorInfo};
use crate::prelude::*;

/// Everything in a file except the data of the tensors: metadata and the table of tensors.
///
/// It owns its contents, so it can be stored next to the bytes or the memory map that it was read
/// from.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub(super) version: u32,
    pub(super) endian: Endian,
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<TensorInfo>,
    /// Indices into `tensors`, sorted by name.
    pub(super) by_name: Vec<u32>,
    pub(super) spans: Vec<EntrySpan>,
    pub(super) tensor_offsets: Vec<u64>,
    pub(super) alignment: u32,
    pub(super) table_end: u64,
    pub(super) data_offset: u64,
    pub(super) file_bytes: u64,
}

/// Where a metadata entry lies, in bytes from the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive] // more places may be kept
pub struct EntrySpan {
    /// The length of the key.
    pub key: u64,
    /// The type of the value.
    pub value: u64,
    /// The end of the value.
    pub end: u64,
}

impl Header {
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

    /// Returns the place of each metadata entry in the file, in the order of the entries.
    pub fn entry_spans(&self) -> &[EntrySpan] {
        &self.spans
    }

    /// The tensors in the order of the table.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Returns the offset of each tensor's entry in the table, in bytes from the start of the file.
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

    /// Returns the end of the tensor table, in bytes from the start of the file.
    pub const fn table_end(&self) -> u64 {
        self.table_end
    }

    /// Returns the offset of the data section, in bytes from the start of the file.
    pub const fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Returns the end of the data of all tensors, padding included, in bytes from the start of the
    /// file; `None` if the size of a tensor is unknown.
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

    /// `bytes` rounded up to the alignment; `None` if that does not fit.
    pub(crate) fn padded(&self, bytes: u64) -> Option<u64> {
        bytes.checked_next_multiple_of(u64::from(self.alignment))
    }

    /// Sets the byte order of everything after the version.
    pub(super) const fn set_endian(&mut self, endian: Endian) {
        self.endian = endian;
    }

    /// Returns the header as it was after the version was read.
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
}
