use std::io;
use std::ops::Range;
use std::path::PathBuf;

use granule_format::BlockType;
use granule_format::container::MetadataError;

use crate::Form;

/// Why a file cannot be opened or a tensor cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system's error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not those of a GGUF file.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file; empty for bytes in memory.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<granule_format::Error>,
    },
    /// A metadata entry that is needed is not what it should be.
    #[error("{}: {source}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: MetadataError,
    },
    /// The shards of a split set do not fit together.
    #[error("{}: {what} is {found}, expected {expected}; the files of a split set belong together", path.display())]
    Shard {
        /// The shard that does not fit.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
        /// What the shard says.
        found: u64,
        /// What the others or its name say.
        expected: u64,
    },
    /// A tensor is in two shards.
    #[error("{}: tensor {name:?} is also in another file of the split set", path.display())]
    TensorInTwoShards {
        /// The second shard that has it.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// The tensor's type is unknown, so nothing can be said about its bytes.
    #[error("tensor {name:?} has type {id}, which this version does not know")]
    UnknownType {
        /// The tensor.
        name: String,
        /// The number of its type.
        id: u32,
    },
    /// Rows were asked for that the tensor does not have.
    #[error("rows {asked:?} of tensor {name:?} were asked for, it has {rows}")]
    Rows {
        /// The tensor.
        name: String,
        /// The rows that were asked for.
        asked: Range<u64>,
        /// How many there are.
        rows: u64,
    },
    /// The caller's buffer does not fit the rows.
    #[error("the buffer has room for {found} values, the rows of tensor {name:?} have {expected}")]
    Buffer {
        /// The tensor.
        name: String,
        /// Length of the buffer.
        found: usize,
        /// Values in the rows.
        expected: u64,
    },
    /// A tensor of three or more dimensions does not have that matrix.
    #[error("matrix {asked} of tensor {name:?} was asked for, it has {matrices}")]
    Matrix {
        /// The tensor.
        name: String,
        /// Index of the matrix that was asked for.
        asked: u64,
        /// How many there are.
        matrices: u64,
    },
    /// The vectors to multiply with do not fit the rows.
    #[error("tensor {name:?} has rows of {columns} values, which {found} values do not fit")]
    Input {
        /// The tensor.
        name: String,
        /// Number of values to multiply with, or of those of one vector.
        found: usize,
        /// Values in a row.
        columns: usize,
    },
    /// The activations were prepared for weights of another type.
    #[error("the activations are in the form {found:?}, tensor {name:?} needs {expected:?}")]
    Form {
        /// The tensor.
        name: String,
        /// The form that the activations have.
        found: Form,
        /// The form that the tensor's type needs.
        expected: Form,
    },
    /// A vector of activations is not whole blocks.
    #[error("{values} values are not whole blocks of {ty}, which have {}", ty.block_values())]
    PartialBlock {
        /// The type of the weights.
        ty: BlockType,
        /// Length of a vector.
        values: usize,
    },
    /// A batch is not whole vectors.
    #[error("{found} values are not whole vectors of {columns}")]
    Batch {
        /// Length of the batch.
        found: usize,
        /// Values in a vector.
        columns: usize,
    },
}
