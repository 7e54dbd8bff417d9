//! A folder with a checkpoint in the layout of the Hugging Face libraries.

mod adapter;
mod assemble;
mod describing;
mod exact;
mod factors;
mod folded;
mod further;
mod fuse;
mod ids;
mod left_out;
mod mapping;
mod modules;
mod options;
mod out_type;
mod resampled;
mod rows;
mod target;

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granule_format::{Metadata, TensorType};
use granule_reader::{Source, SourceTensor};

use crate::arch::Arch;
use crate::located::{checkpoint_file, locate};
use crate::weights::Weights;
use crate::{Directory, Error, Folder};
use describing::describing;
use mapping::{Assembled, Piece};

pub use exact::Exactness;
pub use further::FurtherTokens;
pub use options::{BlockEncoder, CheckpointOptions};
pub use out_type::OutType;

/// A checkpoint presented as the GGUF file that the reference's converter would write.
///
/// Opening reads the small files and the headers of the large ones, and checks everything that can
/// be checked (see `spec/checkpoints.md`). Rows are read, rearranged and converted on demand.
#[derive(Debug)]
pub struct Checkpoint {
    arch: Arc<Arch>,
    weights: Weights,
    metadata: Metadata,
    tensors: Vec<SourceTensor>,
    assembled: Vec<Assembled>,
    /// The folder, and that of the target of a draft model, as far as they are on a disk.
    folders: Vec<PathBuf>,
    warnings: Vec<String>,
    file_stem: String,
    mixture: &'static str,
    encoder: Option<BlockEncoder>,
    /// Whether there is a token for each embedding.
    complete: bool,
    /// The results of the search for exact types, if there was one.
    exact: Option<Vec<Exactness>>,
}

impl Checkpoint {
    /// Opens the checkpoint at a path, which names its folder or one of its files.
    ///
    /// # Errors
    /// If a file is missing or damaged, the architecture is unknown, or config, weights and
    /// tokenizer do not match. The error names the file and the tensor.
    pub fn open(path: &Path, options: &CheckpointOptions) -> Result<Self, Error> {
        if let Some(base) = &options.base {
            return adapter::open(&Directory::new(path), base, options);
        }
        let located = locate(path, options.layout)?;
        let folder = Directory::new(&located.folder);
        assemble::assemble(&folder, path, Some(&located), options)
    }

    /// Open the checkpoint in a folder that need not be on a disk.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_folder(folder: &dyn Folder, options: &CheckpointOptions) -> Result<Self, Error> {
        if let Some(base) = &options.base {
            return adapter::open(folder, base, options);
        }
        assemble::assemble(folder, folder.path(), None, options)
    }

    /// Returns whether a file that is not a GGUF file is part of a checkpoint.
    pub fn has_file(path: &Path) -> bool {
        checkpoint_file(path).is_some()
    }

    /// Returns the architecture.
    pub fn arch(&self) -> &Arch {
        &self.arch
    }

    /// Returns warnings about oddities that are not errors, such as a guessed pre-tokenizer or
    /// omitted tensors.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns what [`OutType::Exact`] found out about each tensor whose type it chose; empty for
    /// the other types.
    pub fn exactness(&self) -> &[Exactness] {
        self.exact.as_deref().unwrap_or_default()
    }

    /// Returns the file name that the reference would choose, without `.gguf`.
    pub fn file_stem(&self) -> &str {
        &self.file_stem
    }

    /// Returns the type that the reference would use in the file name and for `{FTYPE}`: `BF16`,
    /// `MXFP4_MOE`.
    pub const fn mixture(&self) -> &'static str {
        self.mixture
    }
}

impl Source for Checkpoint {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    /// The one fault that the reference writes too is the checkpoint's own.
    fn is_new(&self) -> bool {
        self.complete
    }

    fn files(&self) -> Vec<&Path> {
        self.weights.files().collect()
    }

    fn objects(&self) -> Vec<(&Path, &str)> {
        self.weights.objects().collect()
    }

    fn will_read(&self, index: usize) {
        let stored = self.weights.tensors();
        let will_read = |tensor: usize| self.weights.will_read(&stored[tensor]);
        match &self.assembled[index] {
            Assembled::Stored { pieces, .. } => pieces.iter().for_each(|it| will_read(it.tensor)),
            Assembled::Sum(terms) => terms.iter().for_each(|it| will_read(it.tensor)),
            Assembled::Resampled(table) => will_read(table.tensor),
            Assembled::Ids(tensor) => will_read(*tensor),
            Assembled::Computed(_) => {}
        }
    }

    fn read_rows(
        &self,
        index: usize,
        rows: Range<u64>,
        out: &mut Vec<u8>,
    ) -> Result<(), granule_reader::Error> {
        let tensor = &self.tensors[index];
        let TensorType::Known(ty) = tensor.ty else {
            unreachable!("checkpoints only become known types");
        };
        let from = &self.assembled[index];
        let to = rows::To { ty, encoder: self.encoder, exact: self.exact.is_some() };
        Ok(rows::read(&self.weights, from, tensor.shape, to, rows, out)?)
    }

    fn fingerprint(&self, index: usize, mut into: &mut dyn Hasher) {
        match &self.assembled[index] {
            Assembled::Stored { pieces, changes, zeros } => {
                (changes, zeros).hash(&mut into);
                pieces.len().hash(&mut into);
                for Piece { tensor, view, zeros } in pieces {
                    (&self.weights.tensors()[*tensor], view, zeros).hash(&mut into);
                }
            }
            Assembled::Sum(terms) => {
                ("sum", terms.len()).hash(&mut into);
                for Piece { tensor, view, .. } in terms {
                    (&self.weights.tensors()[*tensor], view).hash(&mut into);
                }
            }
            Assembled::Resampled(table) => {
                (table, &self.weights.tensors()[table.tensor]).hash(&mut into);
            }
            Assembled::Ids(tensor) => self.weights.tensors()[*tensor].hash(&mut into),
            Assembled::Computed(values) => {
                values.iter().for_each(|value| value.to_bits().hash(&mut into));
            }
        }
    }

    fn inputs(&self) -> Vec<PathBuf> {
        let mut inputs: Vec<PathBuf> = self.weights.files().map(Path::to_owned).collect();
        self.folders.iter().for_each(|folder| describing(folder, true, &mut inputs));
        inputs
    }
}
