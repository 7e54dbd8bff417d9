use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::path::Path;

use granule_format::Metadata;

use super::{Source, SourceTensor};
use crate::{Error, Model};

/// A GGUF file, or a split set by any of its files, as a source.
///
/// The keys that describe the split (`split.*`) are those of the first file.
#[derive(Debug)]
pub struct GgufSource {
    model: Model,
    tensors: Vec<SourceTensor>,
}

impl GgufSource {
    /// Open the file; its tensors are read at positions when they are needed.
    ///
    /// # Errors
    /// If a file cannot be read or is no GGUF file, or the shards do not fit together.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Model::open(path).map(Self::from)
    }

    /// The open file.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

/// A file, or a split set, that was opened by other means than a path.
impl From<Model> for GgufSource {
    fn from(model: Model) -> Self {
        let tensors = model
            .tensors()
            .map(|tensor| SourceTensor {
                name: tensor.name().to_owned(),
                shape: tensor.shape(),
                ty: tensor.ty(),
            })
            .collect();
        Self { model, tensors }
    }
}

impl Source for GgufSource {
    fn metadata(&self) -> &Metadata {
        self.model.metadata()
    }

    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    fn files(&self) -> Vec<&Path> {
        let on_disk = self.model.shards().iter().filter(|shard| shard.version().is_none());
        on_disk.filter_map(|shard| shard.path()).collect()
    }

    fn objects(&self) -> Vec<(&Path, &str)> {
        let mut objects = Vec::new();
        for shard in self.model.shards() {
            if let Some(version) = shard.version() {
                objects.push((shard.path().unwrap_or(Path::new("")), version));
            }
        }
        objects
    }

    fn will_read(&self, index: usize) {
        self.model.tensor_at(index).will_read();
    }

    fn read_rows(&self, index: usize, rows: Range<u64>, out: &mut Vec<u8>) -> Result<(), Error> {
        // the tensor's rows are counted in `usize`: beyond that there are none
        let row = |row: u64| usize::try_from(row).expect("the tensor has such a row");
        let rows = row(rows.start)..row(rows.end);
        self.model.tensor_at(index).read_rows_into(rows, out)
    }

    fn fingerprint(&self, index: usize, mut into: &mut dyn Hasher) {
        let tensor = self.model.tensor_at(index);
        let offset = tensor.info().offset;
        (self.shard(index), tensor.name(), tensor.ty().id(), offset).hash(&mut into);
    }

    fn shards(&self) -> u32 {
        // a set has at most 65,535 files
        self.model.shards().len() as u32
    }

    fn shard(&self, index: usize) -> u32 {
        let holder = self.model.tensor_at(index).shard();
        let is_holder = |shard: &_| std::ptr::eq(shard, holder);
        self.model.shards().iter().position(is_holder).unwrap_or(0) as u32
    }
}
