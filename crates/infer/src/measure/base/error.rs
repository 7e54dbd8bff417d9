use std::io;

use super::LogitError;

/// The reason why a file of base distributions cannot be used or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseFileError {
    /// The operating system reported an error.
    #[error("cannot read or write the data")]
    Io(#[from] io::Error),
    /// The file does not begin as one of either form does.
    #[error(
        "the file holds no distributions: it begins neither with \"_logits_\" nor with \"_sparse_\""
    )]
    Magic,
    /// The file ends inside its heading.
    #[error("the file ends before {what}")]
    Heading {
        /// What should follow.
        what: &'static str,
    },
    /// A number of the heading is zero or too large.
    #[error(
        "the heading says {chunks} chunks of {chunk_tokens} tokens for a vocabulary of \
         {vocabulary}: no position of them can be scored"
    )]
    Sizes {
        /// Tokens in a chunk.
        chunk_tokens: u32,
        /// Tokens in the vocabulary.
        vocabulary: u32,
        /// Chunks.
        chunks: u32,
    },
    /// The file has another length than its heading says.
    #[error("the file has {found} bytes, but its heading needs {needed}: is it complete?")]
    Length {
        /// Bytes that the heading asks for.
        needed: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// A token is not in the vocabulary.
    #[error("token {token} of the text is not in the file's vocabulary of {vocabulary} tokens")]
    Token {
        /// The token.
        token: u32,
        /// Tokens in the vocabulary.
        vocabulary: u32,
    },
    /// The file ends too early.
    #[error("chunk {chunk} needs {needed} bytes, but {left} are left: is the file complete?")]
    Short {
        /// The chunk, from 0.
        chunk: usize,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// A chunk contains what no writer writes.
    #[error("position {row} of chunk {chunk} is damaged")]
    Damaged {
        /// The chunk, from 0.
        chunk: usize,
        /// The scored position in it, from 0.
        row: usize,
    },
    /// Bytes follow the last chunk.
    #[error("{bytes} bytes follow the last chunk")]
    Spare {
        /// How many.
        bytes: u64,
    },
    /// A size does not fit the file.
    #[error("the sizes are too large for a file")]
    TooLarge,
    /// Numbers end too early.
    #[error("the data end too early")]
    End,
    /// A row cannot be stored.
    #[error("chunk {chunk} cannot be stored")]
    Logits {
        /// The chunk, from 0.
        chunk: usize,
        /// The reason.
        source: LogitError,
    },
}

impl BaseFileError {
    pub(super) fn head(error: io::Error, what: &'static str) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Heading { what },
            _ => Self::Io(error),
        }
    }
}
