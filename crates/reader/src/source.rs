//! Where tensors come from.
//!
//! A source looks like a GGUF file that does not exist yet: metadata, and tensors with GGUF names,
//! shapes and types, whose rows are read on demand. For a checkpoint that is the file that the
//! reference's converter would write, so everything after it is the same for both kinds of source.

mod gguf;

use std::hash::Hasher;
use std::ops::Range;
use std::path::{Path, PathBuf};

use granule_format::{Metadata, Shape, TensorType};

use crate::Error;

pub use gguf::GgufSource;

/// Metadata and tensors that can be read row by row, from many threads at once.
pub trait Source: Sync {
    /// The metadata in the order in which it is written.
    fn metadata(&self) -> &Metadata;

    /// The tensors in the order in which they are written.
    fn tensors(&self) -> &[SourceTensor];

    /// The files on a disk that are read: none of them may be written to.
    fn files(&self) -> Vec<&Path>;

    /// What else is read, each with its [version](crate::ReadAt::version): files that are on no
    /// disk of this machine.
    fn objects(&self) -> Vec<(&Path, &str)> {
        Vec::new()
    }

    /// Reads whole rows of the tensor at `index` of [`tensors`](Self::tensors) as blocks of its
    /// type, little-endian. Rows are counted over all dimensions but the first. `out` is replaced.
    ///
    /// # Errors
    /// If the data cannot be read; the error names file and tensor.
    ///
    /// # Panics
    /// If there is no such tensor or no such row.
    fn read_rows(&self, index: usize, rows: Range<u64>, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Feeds `into` everything that decides the bytes of [`read_rows`](Self::read_rows) for the
    /// tensor at `index`, except for the content of [`files`](Self::files): where and how rows are
    /// read, in which order, and what is done to their values. An interrupted conversion continues
    /// only if this is the same as before.
    ///
    /// # Panics
    /// If there is no such tensor.
    fn fingerprint(&self, index: usize, into: &mut dyn Hasher);

    /// Says that the rows of the tensor at `index` are going to be read soon, in the order of such
    /// announcements. It changes no result.
    ///
    /// # Panics
    /// If there is no such tensor.
    fn will_read(&self, index: usize) {
        let _ = index;
    }

    /// Files that no output may replace: [`files`](Self::files), and what else describes the model.
    fn inputs(&self) -> Vec<PathBuf> {
        self.files().into_iter().map(Path::to_owned).collect()
    }

    /// Whether this is the file that a converter would write, and not a file yet. A new file must
    /// be valid; faults of a file that exists are its own.
    fn is_new(&self) -> bool {
        false
    }

    /// How many files the tensors are in: those of a split set, else 1.
    fn shards(&self) -> u32 {
        1
    }

    /// The file that the tensor at `index` is in, from 0.
    fn shard(&self, _index: usize) -> u32 {
        0
    }
}

/// A tensor of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceTensor {
    /// Its GGUF name.
    pub name: String,
    /// Its dimensions, the length of a row first.
    pub shape: Shape,
    /// The type of the rows that [`Source::read_rows`] gives.
    pub ty: TensorType,
}
