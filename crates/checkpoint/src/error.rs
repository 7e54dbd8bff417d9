use std::io;
use std::path::{Path, PathBuf};

use crate::{ExportError, Problem};

/// An error that stops reading a checkpoint or exporting a GGUF file as one.
///
/// The messages do not include the [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system reported an error about a file.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A GGUF file cannot be read.
    #[error(transparent)]
    Read(granule_reader::Error),
    /// A file of a checkpoint is not valid.
    #[error("{}: {}{problem}", path.display(), of(tensor.as_deref()))]
    Invalid {
        /// The file, or the folder if a file is missing.
        path: PathBuf,
        /// The tensor's name in the checkpoint, if the error is about a tensor.
        tensor: Option<String>,
        /// The problem.
        problem: Box<Problem>,
    },
    /// The GGUF file cannot become a checkpoint.
    #[error(transparent)]
    Export(Box<ExportError>),
    /// The caller set the flag to stop.
    #[error("interrupted")]
    Stopped,
}

impl From<ExportError> for Error {
    fn from(error: ExportError) -> Self {
        Self::Export(Box::new(error))
    }
}

impl From<granule_reader::Error> for Error {
    fn from(error: granule_reader::Error) -> Self {
        Self::Read(error)
    }
}

/// Converts the errors of a [`Source`](granule_reader::Source), which the reader reports as its
/// own.
impl From<Error> for granule_reader::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Read(error) => error,
            error => Self::Source(Box::new(error)),
        }
    }
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn in_file(path: &Path, problem: impl Into<Problem>) -> Self {
        Self::Invalid { path: path.to_owned(), tensor: None, problem: Box::new(problem.into()) }
    }

    pub(crate) fn of_tensor(path: &Path, tensor: &str, problem: Problem) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            tensor: Some(tensor.to_owned()),
            problem: Box::new(problem),
        }
    }
}

fn of(tensor: Option<&str>) -> String {
    tensor.map(|name| format!("tensor {name:?}: ")).unwrap_or_default()
}
