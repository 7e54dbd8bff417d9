use std::fmt;

/// Why bytes are not a GGUF file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where, in bytes from the start of the file.
    pub offset: u64,
    /// What was being read: `metadata key 3`, `tensor "blk.0.attn_q.weight"`; may be empty.
    pub field: String,
}

/// What is wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file ends too early.
    #[error("the file ends here: {need} bytes are needed, {left} are left")]
    Truncated {
        /// Bytes that this field takes.
        need: u64,
        /// Bytes up to the end of the file.
        left: u64,
    },
    /// The first four bytes are not `GGUF`.
    #[error("not a GGUF file: the first bytes are {0:02x?}, expected 47 47 55 46 (GGUF)")]
    Magic([u8; 4]),
    /// The version is not 1, 2 or 3 in either byte order.
    #[error("GGUF version {0} is not supported, expected 1, 2 or 3")]
    Version(u32),
}

impl Error {
    /// An error at `offset` in the field that is being read.
    pub fn new(kind: ErrorKind, offset: u64, field: impl Into<String>) -> Self {
        Self { kind, offset, field: field.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl std::error::Error for Error {}
