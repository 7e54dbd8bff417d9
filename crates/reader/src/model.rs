use std::collections::HashMap;
use std::path::{Path, PathBuf};

use granule_format::{Header, Metadata};

use crate::storage::Storage;
use crate::{Error, OpenOptions, Tensor};

/// An open GGUF file, or all files of a split set.
///
/// ```no_run
/// let model = granule_reader::Model::open("model.gguf")?;
/// let tensor = model.tensor("token_embd.weight").expect("a language model");
/// let mut row = vec![0.0; tensor.row_values()];
/// tensor.decode_rows(7..8, &mut row)?;
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
    #[allow(unsafe_code, reason = "the caller promises what the map needs")]
    pub unsafe fn map(path: impl AsRef<Path>) -> Result<Self, Error> {
        // SAFETY: the caller of this function makes the same promise.
        unsafe { Self::options().map(path) }
    }

    /// Opens a file that is in memory with the default [`OpenOptions`]: see
    /// [`OpenOptions::from_bytes`].
    ///
    /// # Errors
    /// As [`OpenOptions::from_bytes`].
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self, Error> {
        Self::options().from_bytes(bytes)
    }

    /// The defaults of all ways of opening a file, to be changed.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    pub(crate) fn assemble(shards: Vec<Shard>) -> Result<Self, Error> {
        let mut model = Self { shards, tensors: Vec::new(), by_name: HashMap::new() };
        for (s, shard) in model.shards.iter().enumerate() {
            for (t, tensor) in shard.header.tensors().iter().enumerate() {
                let name = tensor.name.clone();
                if model.by_name.insert(name, model.tensors.len()).is_some() {
                    let (path, name) = (shard.path.clone(), tensor.name.clone());
                    return Err(Error::TensorInTwoShards { path, name });
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

    /// The tensors in the order of the files.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        (0..self.tensors.len()).map(|index| self.tensor_at(index))
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

impl Shard {
    pub(crate) fn new(path: Option<PathBuf>, header: Header, storage: Storage) -> Self {
        Self { path, header, storage }
    }

    /// Where the file is; `None` if it is in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
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
