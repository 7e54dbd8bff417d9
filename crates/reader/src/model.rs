use std::collections::HashMap;
use std::iter::FusedIterator;
use std::ops::Range;
use std::path::{Path, PathBuf};

use granule_format::{Header, Metadata};

use crate::error::SetFault;
use crate::storage::Storage;
use crate::{Error, OpenOptions, ReadAt, Tensor};

/// An open GGUF file, or all files of a split set.
///
/// ```no_run
/// let model = granule_reader::Model::open("model.gguf")?;
/// for tensor in &model {
///     println!("{}: {} x {}", tensor.name(), tensor.rows(), tensor.row_values());
/// }
/// # Ok::<(), granule_reader::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    shards: Vec<Shard>,
    /// Shard and index of every tensor, in the order of the files.
    tensors: Vec<(usize, usize)>,
    by_name: HashMap<String, usize>,
}

/// One file of a model.
#[derive(Debug)]
pub struct Shard {
    path: Option<PathBuf>,
    header: Header,
    pub(crate) storage: Storage,
}

impl Model {
    /// Opens a file with the default [`OpenOptions`]: see [`OpenOptions::open`].
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::options().open(path)
    }

    /// Opens this file only, even if it is one of a split set: the tensors are those that it has.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open_alone(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::options().alone(true).open(path)
    }

    /// Maps a file with the default [`OpenOptions`]: see [`OpenOptions::map`].
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    ///
    /// # Safety
    /// As [`OpenOptions::map`].
    #[cfg(feature = "mmap")]
    #[allow(unsafe_code, reason = "the caller promises what the map needs")]
    pub unsafe fn map(path: impl AsRef<Path>) -> Result<Self, Error> {
        // SAFETY: the caller of this function makes the same promise.
        unsafe { Self::options().map(path) }
    }

    /// Opens a file in memory with the default [`OpenOptions`]: see [`OpenOptions::bytes`].
    ///
    /// # Errors
    /// As [`OpenOptions::bytes`].
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self, Error> {
        Self::options().bytes(bytes)
    }

    /// Opens a file from anything that can be read at positions, with the default [`OpenOptions`]:
    /// see [`OpenOptions::storage`].
    ///
    /// # Errors
    /// As [`OpenOptions::storage`].
    pub fn from_storage(storage: impl ReadAt + 'static) -> Result<Self, Error> {
        Self::options().storage(storage)
    }

    /// The default options of opening, to be changed.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    pub(crate) fn assemble(shards: Vec<Shard>) -> Result<Self, Error> {
        let mut model = Self { shards, tensors: Vec::new(), by_name: HashMap::new() };
        for (s, shard) in model.shards.iter().enumerate() {
            for (t, tensor) in shard.header.tensors().iter().enumerate() {
                let name = tensor.name.clone();
                if model.by_name.insert(name, model.tensors.len()).is_some() {
                    let name = tensor.name.clone();
                    return Err(Error::set(shard.path(), SetFault::SameTensor { name }));
                }
                model.tensors.push((s, t));
            }
        }
        Ok(model)
    }

    /// The metadata; of a split set, that of its first file.
    pub fn metadata(&self) -> &Metadata {
        self.shards[0].header.metadata()
    }

    /// The header of the first or only file.
    pub fn header(&self) -> &Header {
        &self.shards[0].header
    }

    /// The files, in the order of the set.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The tensor with this name.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        self.by_name.get(name).map(|index| self.tensor_at(*index))
    }

    /// The index of the tensor with this name in the order of the files, for
    /// [`tensor_at`](Self::tensor_at).
    pub fn tensor_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The tensors in the order of the files.
    pub fn tensors(&self) -> Tensors<'_> {
        Tensors { model: self, left: 0..self.tensors.len() }
    }

    /// The tensor at an index in the order of the files.
    ///
    /// # Panics
    /// If there are fewer tensors.
    pub fn tensor_at(&self, index: usize) -> Tensor<'_> {
        let (shard, tensor) = self.tensors[index];
        let shard = &self.shards[shard];
        Tensor::new(shard, &shard.header.tensors()[tensor])
    }
}

impl<'m> IntoIterator for &'m Model {
    type Item = Tensor<'m>;
    type IntoIter = Tensors<'m>;

    fn into_iter(self) -> Tensors<'m> {
        self.tensors()
    }
}

/// The tensors of a [`Model`] in the order of its files: see [`Model::tensors`].
#[derive(Clone, Debug)]
#[must_use = "iterators do nothing unless they are used"]
pub struct Tensors<'m> {
    model: &'m Model,
    left: Range<usize>,
}

impl<'m> Iterator for Tensors<'m> {
    type Item = Tensor<'m>;

    fn next(&mut self) -> Option<Tensor<'m>> {
        self.left.next().map(|index| self.model.tensor_at(index))
    }

    fn nth(&mut self, n: usize) -> Option<Tensor<'m>> {
        self.left.nth(n).map(|index| self.model.tensor_at(index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<'m> DoubleEndedIterator for Tensors<'m> {
    fn next_back(&mut self) -> Option<Tensor<'m>> {
        self.left.next_back().map(|index| self.model.tensor_at(index))
    }
}

impl ExactSizeIterator for Tensors<'_> {}

impl FusedIterator for Tensors<'_> {}

impl Shard {
    pub(crate) fn new(path: Option<PathBuf>, header: Header, storage: Storage) -> Self {
        Self { path, header, storage }
    }

    /// The path by which the file was opened; `None` if it was given as bytes or storage.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What tells this content of the file from any other: see [`ReadAt::version`]. `None` for
    /// files on a disk.
    pub fn version(&self) -> Option<&str> {
        self.storage.version()
    }

    /// The file's own header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All bytes of the file, if they are mapped or in memory.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.storage.bytes()
    }
}
