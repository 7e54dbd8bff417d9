use std::io;
use std::path::PathBuf;

/// Why something cannot be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system's error, with the file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A GGUF file does not parse.
    #[error("{}: {source}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: granule_format::Error,
    },
    /// The header of the output cannot be laid out.
    #[error(transparent)]
    Write(#[from] granule_format::WriteError),
}
