use std::io;
use std::path::{Path, PathBuf};

use crate::source::Problem;

use granule_format::{BlockType, Defect};

use crate::encode::EncodeError;
use crate::importance::ImportanceError;
use crate::plan::PlanError;
use crate::recipe::RecipeError;

/// Why something cannot be converted.
///
/// A message does not repeat the cause that is the [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system's error, with the file.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A GGUF file cannot be read.
    #[error(transparent)]
    Read(#[from] granule_reader::Error),
    /// The folder for an output does not exist.
    #[error("{}: the folder {} does not exist; create it first", path.display(), folder.display())]
    NoFolder {
        /// The output.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// An output would replace a folder.
    #[error("{}: this is a folder; give the name of a file", path.display())]
    OutputIsFolder {
        /// The output.
        path: PathBuf,
    },
    /// An output would replace what it is made from.
    #[error("{}: the output is also an input; give another name", path.display())]
    OutputIsInput {
        /// The output.
        path: PathBuf,
    },
    /// Two outputs have the same path.
    #[error("{}: two outputs would have this name", path.display())]
    OutputTwice {
        /// The output.
        path: PathBuf,
    },
    /// Another run is writing the output.
    #[error("{}: another run is writing this file", path.display())]
    Busy {
        /// The output.
        path: PathBuf,
    },
    /// Something that is no file has the temporary name of an output.
    #[error("{}: {} is in the way; remove it", path.display(), part.display())]
    InTheWay {
        /// The output.
        path: PathBuf,
        /// Its temporary name.
        part: PathBuf,
    },
    /// What an interrupted run has left is not of this run.
    #[error(
        "{}: {} is of a run with another source, other options or another version, and cannot be continued; without --resume it is replaced",
        path.display(), part.display()
    )]
    OtherRun {
        /// The output.
        path: PathBuf,
        /// Its temporary name.
        part: PathBuf,
    },
    /// The run was told to stop.
    #[error(
        "interrupted; the same command with --resume continues with the tensors that are complete"
    )]
    Interrupted,
    /// The outputs do not fit the disk.
    #[error("{}: {needed} bytes are needed, {free} are free; free some space or write elsewhere", folder.display())]
    Space {
        /// Where the outputs would be.
        folder: PathBuf,
        /// Bytes that they take.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A finished file does not hold what its source says.
    #[error(
        "{}: tensor {tensor:?}{} is not what the source says: the file was damaged on its way to the disk, or changed since; convert again",
        path.display(), row.map_or(String::new(), |row| format!(", row {row},"))
    )]
    Differs {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The row, over all dimensions but the first; `None` if the tensor is missing or has another shape or type.
        row: Option<u64>,
    },
    /// The threads cannot be started.
    #[error("the threads cannot be started: {0}")]
    Threads(rayon::ThreadPoolBuildError),
    /// Nothing can be said about the bytes of a tensor of an unknown type, not even how many there are.
    #[error("tensor {tensor:?} has type {id}, which this version does not know")]
    UnknownType {
        /// The tensor.
        tensor: String,
        /// The number of its type.
        id: u32,
    },
    /// A value of a tensor is NaN or infinite.
    #[error(
        "tensor {tensor:?}, row {row}, column {column}: the value is {value}; only finite values can be encoded"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The row, over all dimensions but the first.
        row: u64,
        /// The column.
        column: u64,
        /// What it is.
        value: f32,
    },
    /// Values of a tensor are beyond the range of the type.
    #[error(
        "tensor {tensor:?}, row {row}, columns from {column} on: the values do not fit {ty} ({defect}); choose another type for this tensor"
    )]
    OutOfRange {
        /// The tensor.
        tensor: String,
        /// The row, over all dimensions but the first.
        row: u64,
        /// The first column of the block that would be invalid.
        column: u64,
        /// The type to encode to.
        ty: BlockType,
        /// What would be wrong with the block.
        defect: Defect,
    },
    /// A tensor cannot be encoded.
    #[error("tensor {tensor:?} cannot be encoded")]
    Encode {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        source: EncodeError,
    },
    /// A tensor that is copied has an invalid block.
    #[error("tensor {tensor:?}, row {row}, block {block} ({ty}): {defect}; the source is damaged")]
    Defect {
        /// The tensor.
        tensor: String,
        /// Its type.
        ty: BlockType,
        /// The row, over all dimensions but the first.
        row: u64,
        /// The block in the row.
        block: u64,
        /// What is wrong with it.
        defect: Defect,
    },
    /// A file of a checkpoint is not what it must be.
    #[error("{}: {}{problem}", path.display(), of(tensor.as_deref()))]
    Checkpoint {
        /// The file, or the folder where a file is missing.
        path: PathBuf,
        /// The tensor by its name in the checkpoint, if it is about one.
        tensor: Option<String>,
        /// What is wrong.
        problem: Box<Problem>,
    },
    /// The header of the output cannot be laid out.
    #[error(transparent)]
    Write(#[from] granule_format::WriteError),
    /// An importance matrix cannot be read.
    #[error("cannot use the importance matrix {}", path.display())]
    Importance {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImportanceError,
    },
    /// A GGUF file cannot become a checkpoint.
    #[error(transparent)]
    Export(Box<crate::export::ExportError>),
    /// An option cannot be understood.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe cannot be carried out on this source.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl From<crate::export::ExportError> for Error {
    fn from(error: crate::export::ExportError) -> Self {
        Self::Export(Box::new(error))
    }
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn in_file(path: &Path, problem: impl Into<Problem>) -> Self {
        Self::Checkpoint { path: path.to_owned(), tensor: None, problem: Box::new(problem.into()) }
    }

    pub(crate) fn of_tensor(path: &Path, tensor: &str, problem: Problem) -> Self {
        Self::Checkpoint {
            path: path.to_owned(),
            tensor: Some(tensor.to_owned()),
            problem: Box::new(problem),
        }
    }
}

fn of(tensor: Option<&str>) -> String {
    tensor.map(|name| format!("tensor {name:?}: ")).unwrap_or_default()
}
