//! Importance matrices: how much each column of a tensor matters.
//!
//! `llama-imatrix` runs a model over sample text and sums the squares of the activations that every
//! matrix is multiplied with. Encoders weight the error by the mean squares. Two file formats hold
//! them: GGUF, and the older `.dat`.

mod dat;
mod gguf;
mod statistics;
mod sums;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use granule_format::WriteError;

pub use statistics::ColumnStatistics;
pub use sums::{ColumnSums, ImportanceSums};

/// Importance weights for the tensors of a model.
///
/// ```
/// use granule_encode::Importance;
///
/// let mut importance = Importance::new("made by hand");
/// importance.insert("blk.0.ffn_up.weight", vec![0.5, 2.0, 1.0])?;
/// let mut file = Vec::new();
/// importance.write(&mut file)?;
/// assert_eq!(Importance::parse(&file, "made by hand")?, importance);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Importance {
    /// The file name as it was given.
    file: String,
    datasets: Vec<String>,
    chunks: u32,
    chunk_tokens: u32,
    entries: BTreeMap<String, Vec<f32>>,
}

/// The reason why a file is not an importance matrix.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportanceError {
    /// The GGUF file cannot be parsed.
    #[error(transparent)]
    Gguf(#[from] granule_format::Error),
    /// The GGUF file lacks the keys of an importance matrix.
    #[error(
        "the GGUF file is not an importance matrix: key {key:?} is missing or has the wrong type"
    )]
    Key {
        /// The first missing key.
        key: &'static str,
    },
    /// A tensor of sums has no tensor of counts, or the reverse.
    #[error("tensor {have:?} has no counterpart {lacks:?}")]
    Counterpart {
        /// The tensor that is present.
        have: String,
        /// The tensor that is missing.
        lacks: String,
    },
    /// A tensor of sums or counts has another type.
    #[error("tensor {name:?} has type {found}, expected F32")]
    Type {
        /// The tensor.
        name: String,
        /// Its type.
        found: granule_format::TensorType,
    },
    /// The number of sums is not a multiple of the number of counts.
    #[error("{name:?} has {values} sums and {counts} counts, expected the same number per count")]
    Counts {
        /// The entry.
        name: String,
        /// Number of sums.
        values: u64,
        /// Number of counts.
        counts: u64,
    },
    /// Files that are merged have sums for different numbers of columns or matrices.
    #[error("{name:?} has {found} sums in one file and {expected} in another")]
    Merge {
        /// The entry.
        name: String,
        /// Number of sums in the files before.
        expected: u64,
        /// Number of sums in the file that is added.
        found: u64,
    },
    /// A weight is negative, NaN or infinite.
    #[error("weight {index} of {name:?} is negative or not finite")]
    NotAWeight {
        /// The entry.
        name: String,
        /// Index of the weight in the entry, from 0.
        index: usize,
    },
    /// The file ends too early, or has a negative length: it is neither GGUF nor a `.dat` file.
    #[error("neither GGUF nor a .dat file: {what} cannot be read at byte {offset}")]
    Dat {
        /// The field that was being read.
        what: &'static str,
        /// Its offset, in bytes from the start of the file.
        offset: usize,
    },
    /// The file has no entries.
    #[error("the file has no entries")]
    Empty,
}

/// The reason why an importance matrix file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportanceFileError {
    /// The operating system reported an error.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The content is not an importance matrix.
    #[error("cannot use the importance matrix {}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The reason why it cannot be used.
        source: ImportanceError,
    },
}

impl Importance {
    /// Returns a matrix without entries. `file` is the name that is recorded in files made with it.
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), ..Self::default() }
    }

    /// Sets the weights of a tensor: one for each column. A tensor of three dimensions has one for
    /// each column of each matrix, one matrix after another. An entry of the same name is replaced.
    ///
    /// # Errors
    /// If there are no weights, or one is negative, NaN or infinite.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        weights: Vec<f32>,
    ) -> Result<(), ImportanceError> {
        let name = name.into();
        if weights.is_empty() {
            return Err(ImportanceError::Counts { name, values: 0, counts: 1 });
        }
        if let Some(index) = weights.iter().position(|weight| !is_weight(*weight)) {
            return Err(ImportanceError::NotAWeight { name, index });
        }
        self.entries.insert(name, weights);
        Ok(())
    }

    /// Records which sample texts the model was run over, and in how many chunks of how many
    /// tokens.
    pub fn set_texts(&mut self, datasets: Vec<String>, chunks: u32, chunk_tokens: u32) {
        (self.datasets, self.chunks, self.chunk_tokens) = (datasets, chunks, chunk_tokens);
    }

    /// Writes the matrix as a GGUF file, as `llama-imatrix` does: the weights are sums over one
    /// row.
    ///
    /// # Errors
    /// If a name is not a valid tensor name, or writing fails.
    pub fn write(&self, out: impl io::Write) -> Result<(), WriteError> {
        gguf::write(self, out)
    }

    /// Reads a file of either format.
    ///
    /// # Errors
    /// If it cannot be read, or is not an importance matrix.
    pub fn read(path: &Path) -> Result<Self, ImportanceFileError> {
        let bytes = granule_reader::file::read(path)
            .map_err(|source| ImportanceFileError::Io { path: path.to_owned(), source })?;
        Self::parse(&bytes, &path.to_string_lossy())
            .map_err(|source| ImportanceFileError::Content { path: path.to_owned(), source })
    }

    /// Parses the bytes of a file of either format. `file` is the name that is recorded in files
    /// made with it.
    ///
    /// # Errors
    /// If the bytes are not an importance matrix.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, ImportanceError> {
        let mut importance = if bytes.starts_with(&granule_format::container::MAGIC) {
            gguf::parse(bytes)?
        } else {
            dat::parse(bytes)?
        };
        file.clone_into(&mut importance.file);
        if importance.entries.is_empty() {
            return Err(ImportanceError::Empty);
        }
        for (name, weights) in &importance.entries {
            if let Some(index) = weights.iter().position(|weight| !is_weight(*weight)) {
                return Err(ImportanceError::NotAWeight { name: name.clone(), index });
            }
        }
        Ok(importance)
    }

    /// Returns the weights of a tensor: one for each column. A tensor of three dimensions has one
    /// for each column of each matrix, one matrix after another.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.entries.get(name).map(Vec::as_slice)
    }

    /// Returns the names of the tensors with weights, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.entries.keys().map(String::as_str)
    }

    /// The file name as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the names of the sample texts that the model was run over.
    pub fn datasets(&self) -> &[String] {
        &self.datasets
    }

    /// Returns the number of chunks of text that the model was run over; 0 if the file does not
    /// say.
    pub const fn chunks(&self) -> u32 {
        self.chunks
    }

    /// Returns the number of tokens in a chunk; 0 if the file does not say.
    pub const fn chunk_tokens(&self) -> u32 {
        self.chunk_tokens
    }
}

/// Returns the weights of one matrix of a tensor, for `columns` columns. Every index of the fourth
/// dimension uses the same weights. If all are zero, which would preserve nothing of the matrix,
/// they are replaced by equal weights.
pub fn matrix_weights(weights: &[f32], matrix: u64, columns: usize) -> Cow<'_, [f32]> {
    let matrix = (matrix % (weights.len() / columns) as u64) as usize;
    let weights = &weights[matrix * columns..][..columns];
    if is_zero(weights) { Cow::Owned(vec![1.0; columns]) } else { Cow::Borrowed(weights) }
}

/// Returns whether all weights are zero: the sample text never reached these columns.
fn is_zero(columns: &[f32]) -> bool {
    columns.iter().all(|weight| *weight == 0.0)
}

fn is_weight(value: f32) -> bool {
    value.is_finite() && value >= 0.0
}
