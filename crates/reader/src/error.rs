use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use granule_format::MetadataError;

/// Why a file cannot be opened or a tensor cannot be read.
///
/// The variants say who is at fault. A row, a buffer or a vector that does not fit the tensor is a
/// mistake of the caller; it is no error but a panic, like an index out of bounds.
///
/// | variant | at fault |
/// |---|---|
/// | [`Io`](Self::Io) | the operating system, or the [storage](crate::ReadAt) |
/// | [`Format`](Self::Format), [`Metadata`](Self::Metadata), [`Set`](Self::Set) | the file |
/// | [`UnfinishedEdit`](Self::UnfinishedEdit) | who interrupted it |
/// | [`Unsupported`](Self::Unsupported) | this version or platform |
///
/// A message says what failed and with which file. The cause is the
/// [`source`](std::error::Error::source); its message is not repeated. Paths are `None` for data
/// that was not opened by a path.
// more can go wrong in later versions
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system or the storage failed.
    #[error("cannot read {}", Named(path.as_deref()))]
    Io {
        /// The file.
        path: Option<PathBuf>,
        /// The failure.
        source: io::Error,
    },
    /// The bytes are not those of a GGUF file.
    #[error("cannot open {}", Named(path.as_deref()))]
    Format {
        /// The file.
        path: Option<PathBuf>,
        /// What is wrong, and where.
        source: Box<granule_format::Error>,
    },
    /// A metadata entry that is needed to open the file has the wrong type or value.
    #[error("cannot open {}", Named(path.as_deref()))]
    Metadata {
        /// The file.
        path: Option<PathBuf>,
        /// What is wrong.
        source: MetadataError,
    },
    /// The files of a split set do not fit together, or some are missing.
    #[error("{}: {fault}", Named(path.as_deref()))]
    Set {
        /// The file that does not fit.
        path: Option<PathBuf>,
        /// What does not fit.
        fault: SetFault,
    },
    /// An edit of the file is going on or was interrupted, so its header may be half old, half new.
    #[error(
        "{}: an edit of this file was interrupted, or is going on; \
         `granule edit {}` puts it right", path.display(), path.display()
    )]
    UnfinishedEdit {
        /// The file.
        path: PathBuf,
    },
    /// A [`Source`](crate::Source) that is not a GGUF file cannot be read; the error is its own.
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// The file may be valid, but this version or platform cannot handle a tensor in it.
    #[error("tensor {name:?}: {reason}")]
    Unsupported {
        /// The tensor.
        name: String,
        /// What is not supported.
        reason: Unsupported,
    },
}

/// What is wrong with a split set.
// more checks may follow
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetFault {
    /// The file states another number of files.
    #[error("split.count is {found}, expected {expected}; the files are not of one set")]
    Count {
        /// What the file states.
        found: u64,
        /// What its name or the other files state.
        expected: u64,
    },
    /// The file states another place in the set.
    #[error("split.no is {found}, expected {expected}; the files are not of one set")]
    Number {
        /// What the file states.
        found: u64,
        /// What its name or its place states.
        expected: u64,
    },
    /// The file states another number of tensors.
    #[error("split.tensors.count is {found}, but the set has {expected} tensors")]
    Tensors {
        /// What the file states.
        found: u64,
        /// How many there are.
        expected: u64,
    },
    /// One file was given that is part of a set.
    #[error("this is one of {count} files of a split set; give all, or open it alone")]
    OnlyOne {
        /// How many files there are.
        count: u64,
    },
    /// The file is part of a set, and its name does not say where the others are.
    #[error("{}", unnamed(*number, *count, *joined))]
    Unnamed {
        /// The place of the file in the set, from 1.
        number: u64,
        /// How many files there are.
        count: u64,
        /// Whether other GGUF files were appended to it.
        joined: bool,
    },
    /// A tensor is in two files.
    #[error("tensor {name:?} is also in another file of the split set")]
    SameTensor {
        /// The tensor.
        name: String,
    },
}

/// What this version or platform cannot handle.
// more limits may become known
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// The type is unknown, so nothing can be said about the tensor's bytes.
    #[error("type {0} is unknown to this version")]
    Type(u32),
    /// The rows, or their values, are more than this platform can address.
    #[error("it is too large for this platform")]
    TooLarge,
}

impl Error {
    pub(crate) fn io(path: Option<&Path>) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.map(Path::to_owned), source }
    }

    pub(crate) fn set(path: Option<&Path>, fault: SetFault) -> Self {
        Self::Set { path: path.map(Path::to_owned), fault }
    }

    pub(crate) fn unsupported(name: &str, reason: Unsupported) -> Self {
        Self::Unsupported { name: name.to_owned(), reason }
    }
}

/// A file in a message.
struct Named<'a>(Option<&'a Path>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(path) => path.display().fmt(f),
            None => f.write_str("data without a path"),
        }
    }
}

/// What the file is, and what to do.
fn unnamed(number: u64, count: u64, joined: bool) -> String {
    let what = format!("the file is shard {number} of {count} of a split set");
    if joined {
        return format!(
            "{what}, with other files appended to it; use the single files: \
             `granule convert PART -t COPY` makes one file of them"
        );
    }
    format!(
        "{what}, but its name does not say so; name it NAME-{number:05}-of-{count:05}.gguf and put \
         the other files of the set next to it"
    )
}
