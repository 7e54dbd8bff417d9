//! Importance matrices: how much each column of a tensor matters.
//!
//! `llama-imatrix` runs a model over a text and sums the squares of what every matrix is multiplied with.
//! Encoders use the mean squares as weights of the error. Two kinds of file hold them: GGUF, and the older
//! `.dat`.

mod dat;
mod gguf;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use granule_format::WriteError;

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
    /// The file's name as it was given.
    file: String,
    datasets: Vec<String>,
    chunks: u32,
    chunk_tokens: u32,
    entries: BTreeMap<String, Vec<f32>>,
}

/// Why a file is not an importance matrix.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportanceError {
    /// A GGUF file that does not parse.
    #[error(transparent)]
    Gguf(#[from] granule_format::Error),
    /// A GGUF file without the keys of an importance matrix.
    #[error("the GGUF file is no importance matrix: the key {key:?} is absent or of another type")]
    Key {
        /// The first key that is missed.
        key: &'static str,
    },
    /// Sums without counts, or counts without sums.
    #[error("tensor {have:?} has no counterpart {lacks:?}")]
    Counterpart {
        /// The tensor that is there.
        have: String,
        /// The tensor that is not.
        lacks: String,
    },
    /// Sums or counts of another type.
    #[error("tensor {name:?} has type {found}, expected F32")]
    Type {
        /// The tensor.
        name: String,
        /// Its type.
        found: granule_format::TensorType,
    },
    /// The sums cannot be shared out among the counts.
    #[error("{name:?} has {values} sums for {counts} counts, expected the same number for each")]
    Counts {
        /// The entry.
        name: String,
        /// How many sums it has.
        values: u64,
        /// How many counts it has.
        counts: u64,
    },
    /// A weight is negative, NaN or infinite.
    #[error("the weight {index} of {name:?} is not finite, or below zero")]
    NotAWeight {
        /// The entry.
        name: String,
        /// Which of its weights, from 0.
        index: usize,
    },
    /// The file ends too early, or has a negative length: it is neither GGUF nor a `.dat` file.
    #[error("neither GGUF nor a .dat file: {what} cannot be read at byte {offset}")]
    Dat {
        /// What was to be read.
        what: &'static str,
        /// Where, in bytes from the start of the file.
        offset: usize,
    },
    /// There is no entry at all.
    #[error("the file has no entries")]
    Empty,
}

/// Why the file of an importance matrix cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportanceFileError {
    /// The operating system's error.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The content is not an importance matrix.
    #[error("cannot use the importance matrix {}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImportanceError,
    },
}

impl Importance {
    /// A matrix without entries. `file` is the name that is noted in the files that are made with it.
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), ..Self::default() }
    }

    /// Sets the weights of a tensor: one for each column, and so for every matrix of its third dimension, one
    /// matrix after another. An entry of the same name is replaced.
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

    /// Notes the texts that the model was run over, in how many chunks of how many tokens.
    pub fn set_texts(&mut self, datasets: Vec<String>, chunks: u32, chunk_tokens: u32) {
        (self.datasets, self.chunks, self.chunk_tokens) = (datasets, chunks, chunk_tokens);
    }

    /// Writes the matrix as a GGUF file, as `llama-imatrix` does: the weights are sums over one row.
    ///
    /// # Errors
    /// If a name cannot be the name of a tensor, or writing fails.
    pub fn write(&self, out: impl io::Write) -> Result<(), WriteError> {
        gguf::write(self, out)
    }

    /// Read a file of either kind.
    ///
    /// # Errors
    /// If it cannot be read, or is not an importance matrix.
    pub fn read(path: &Path) -> Result<Self, ImportanceFileError> {
        let bytes = granule_reader::file::read(path)
            .map_err(|source| ImportanceFileError::Io { path: path.to_owned(), source })?;
        Self::parse(&bytes, &path.to_string_lossy())
            .map_err(|source| ImportanceFileError::Content { path: path.to_owned(), source })
    }

    /// Read the bytes of a file of either kind. `file` is the name that is noted in the files that are made with it.
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

    /// The weights of a tensor: one for each column, and so for every matrix of its third dimension, one
    /// matrix after another.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.entries.get(name).map(Vec::as_slice)
    }

    /// The names of the tensors that it has weights for, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.entries.keys().map(String::as_str)
    }

    /// The file's name as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The texts that the model was run over.
    pub fn datasets(&self) -> &[String] {
        &self.datasets
    }

    /// How many chunks of text the model was run over; 0 if the file does not say.
    pub const fn chunks(&self) -> u32 {
        self.chunks
    }

    /// Tokens in a chunk; 0 if the file does not say.
    pub const fn chunk_tokens(&self) -> u32 {
        self.chunk_tokens
    }
}

/// The weights of one matrix of the third dimension, for `columns` columns. Those of the third dimension serve for each of
/// the fourth; zeros alone, which would keep nothing of the matrix, count as equal weights.
pub fn matrix_weights(weights: &[f32], matrix: u64, columns: usize) -> Cow<'_, [f32]> {
    let matrix = (matrix % (weights.len() / columns) as u64) as usize;
    let weights = &weights[matrix * columns..][..columns];
    if is_zero(weights) { Cow::Owned(vec![1.0; columns]) } else { Cow::Borrowed(weights) }
}

/// Whether columns have nothing but zeros: no sample text has reached them.
fn is_zero(columns: &[f32]) -> bool {
    columns.iter().all(|weight| *weight == 0.0)
}

fn is_weight(value: f32) -> bool {
    value.is_finite() && value >= 0.0
}
