//! A tensor as a checkpoint holds it, whatever the kind of file: rows of values that can be read from anywhere.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::Error;
use crate::data_type::DataType;
use crate::file::DataFile;
use crate::view::View;

/// A tensor of a checkpoint. Its data looks as if it lay in one piece: little-endian values, the last dimension
/// varying fastest.
#[derive(Clone, Debug, Hash)]
pub(crate) struct StoredTensor {
    /// Its name in the checkpoint.
    pub(crate) name: String,
    /// The type of the values that are read, which for quantized tensors is not the one in the file.
    pub(crate) ty: DataType,
    /// In values, outermost dimension first.
    pub(crate) shape: Vec<u64>,
    /// Index of the file.
    pub(super) file: usize,
    pub(super) data: Data,
}

/// A tensor as one file describes it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) ty: DataType,
    /// Outermost dimension first.
    pub(super) shape: Vec<u64>,
    pub(super) data: Data,
}

/// Where the data comes from.
#[derive(Clone, Debug, Hash)]
pub(super) enum Data {
    /// From a file as it is; where it begins, in bytes.
    Range(u64),
    /// From a file, with gaps, in another order of the dimensions, or in the other byte order.
    View(Box<View>),
    /// From several tensors that only together are one.
    Joined(Arc<dyn Joined>),
}

/// Several stored tensors that only together are one: codes and scales.
pub(super) trait Joined: Debug + Send + Sync {
    /// Fills `out` with the data from byte `start` on. Both begin and end with whole numbers, or blocks.
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error>;

    /// Feeds `into` all that decides the data, except for the content of the files; first the kind.
    fn fingerprint(&self, into: &mut dyn Hasher);
}

impl Hash for dyn Joined {
    fn hash<H: Hasher>(&self, into: &mut H) {
        self.fingerprint(into);
    }
}

impl StoredTensor {
    /// Returns the number of values. It fits, and so does the number of bytes: that is checked when a file is opened.
    pub(crate) fn values(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Returns the length of the data in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.values() / self.ty.values() * self.ty.bytes()
    }

    /// Returns the values of a row: the last dimension.
    pub(super) fn columns(&self) -> u64 {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Fills `out` with the data from byte `start` on. Both begin and end with whole numbers, or blocks.
    ///
    /// # Panics
    /// If they do not, or there are no such bytes.
    pub(super) fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let end = start.checked_add(out.len() as u64);
        assert!(end.is_some_and(|end| end <= self.bytes()), "there are no such rows");
        assert!(
            start.is_multiple_of(self.ty.bytes())
                && (out.len() as u64).is_multiple_of(self.ty.bytes())
        );
        match &self.data {
            Data::Range(offset) => files[self.file].read_at(offset + start, out),
            Data::View(view) => view.read(&files[self.file], start, out),
            Data::Joined(joined) => joined.read(files, start, out),
        }
    }
}
