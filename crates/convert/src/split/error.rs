use std::path::PathBuf;

use super::MOST_FILES;

/// Why something cannot be split or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// There would be more files than the keys can count.
    #[error("{files} files would be written, but a split set has at most {MOST_FILES}")]
    TooManyFiles {
        /// How many there would be.
        files: u64,
    },
    /// The names of a split set are ASCII digits after a name, which has to be UTF-8.
    #[error("{}: the name of a split set must be UTF-8", path.display())]
    Name {
        /// The name.
        path: PathBuf,
    },
    /// A file is not named as one of a split set.
    #[error(
        "{}: this is not the name of a file of a split set, NAME-00001-of-00003.gguf; \
         name one of the files to join",
        path.display()
    )]
    NotOfASet {
        /// The file.
        path: PathBuf,
    },
    /// A file does not say that it is one of a split set.
    #[error(
        "{}: its metadata lack {key}, so it is no file of a split set, whatever its name",
        path.display()
    )]
    NoKeys {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// A part has another byte order than the first.
    #[error("{}: its byte order is not that of the first file of the set", path.display())]
    ByteOrder {
        /// The file.
        path: PathBuf,
    },
    /// An interrupted join has begun a result of another form.
    #[error(
        "{}: the interrupted join was begun {} --without-split-keys; continue it like that",
        path.display(), if *without { "with" } else { "without" }
    )]
    OtherKeys {
        /// The output.
        path: PathBuf,
        /// Whether the result lacks the keys of a split set.
        without: bool,
    },
    /// A part has changed since an interrupted join has recorded it.
    #[error(
        "{}: this part has changed since the join was begun; put the former one back to continue",
        path.display()
    )]
    PartChanged {
        /// The file.
        path: PathBuf,
    },
}
