use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use granule_format::MetadataError;

/// Why a file cannot be opened or a tensor cannot be read.
///
/// A message says what failed and with which file; the cause is the
/// [`source`](std::error::Error::source), whose message is not repeated. Paths are `None` for files
/// in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system's error.
    #[error("cannot read {}", Named(path.as_deref()))]
    Io {
        /// The file.
        path: Option<PathBuf>,
        /// The system's error.
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
    /// A metadata entry that is needed is not what it should be.
    #[error("cannot open {}", Named(path.as_deref()))]
    Metadata {
        /// The file.
        path: Option<PathBuf>,
        /// What is wrong.
        source: MetadataError,
    },
    /// The shards of a split set do not fit together.
    #[error(
        "{}: {what} is {found}, expected {expected}; the files of a split set belong together",
        Named(path.as_deref())
    )]
    Shard {
        /// The shard that does not fit.
        path: Option<PathBuf>,
        /// What does not fit.
        what: &'static str,
        /// What the shard says.
        found: u64,
        /// What the others or its name say.
        expected: u64,
    },
    /// The file is one of a split set, and its name does not tell where the others are.
    #[error("{}: {}", Named(path.as_deref()), lone_shard(*number, *count, *joined))]
    LoneShard {
        /// The file.
        path: Option<PathBuf>,
        /// Which of the files it is, from 1.
        number: u64,
        /// How many files there are.
        count: u64,
        /// Whether another GGUF file was joined to its end.
        joined: bool,
    },
    /// A tensor is in two shards.
    #[error("{}: tensor {name:?} is also in another file of the split set", Named(path.as_deref()))]
    TensorInTwoShards {
        /// The second shard that has it.
        path: Option<PathBuf>,
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
    /// A [`Source`](crate::Source) that is not a GGUF file cannot be read; the error is its own.
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(crate) fn io(path: Option<&Path>) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.map(Path::to_owned), source }
    }
}

/// A file in a message.
struct Named<'a>(Option<&'a Path>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(path) => path.display().fmt(f),
            None => f.write_str("the file in memory"),
        }
    }
}

/// What the file is, and what to do.
fn lone_shard(number: u64, count: u64, joined: bool) -> String {
    let what = format!("the file is shard {number} of {count} of a split set");
    if joined {
        return format!(
            "{what}, with other files joined to its end; take the single files: \
             `granule convert PART -t COPY` makes one file of them"
        );
    }
    format!(
        "{what}, but its name does not say so; name it NAME-{number:05}-of-{count:05}.gguf and put the \
         other files of the set next to it"
    )
}
