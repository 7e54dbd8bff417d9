//! Texts cut into chunks of equal length, as measuring and importance matrices need them.

use crate::{Error, Tokenizer};

/// Tokens in chunks of equal length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunks {
    tokens: Vec<u32>,
    chunk_tokens: usize,
    /// What the first token of each chunk is replaced by.
    begin: Option<u32>,
}

/// Why texts cannot be cut into chunks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunksError {
    /// The texts are shorter than one chunk.
    #[error(
        "the text has {found} tokens, and a chunk {chunk_tokens}: give a longer text or shorter \
         chunks"
    )]
    Short {
        /// Tokens of all texts.
        found: usize,
        /// Tokens of a chunk.
        chunk_tokens: usize,
    },
    /// A chunk is too short for anything to be predicted in its second half.
    #[error("chunks of {chunk_tokens} tokens are too short: at least 4 are needed")]
    Tokens {
        /// Tokens of a chunk.
        chunk_tokens: usize,
    },
    /// A text cannot be cut into tokens.
    #[error(transparent)]
    Text(#[from] Error),
}

impl Chunks {
    /// Cuts texts, one after another, into chunks. What is left at the end is dropped.
    ///
    /// If the model expects a token that begins a text, it stands before the first text, and
    /// replaces the first token of every chunk when it is [run](Self::texts). With `special` the
    /// texts may contain special tokens.
    ///
    /// # Errors
    /// If the texts are shorter than a chunk, or a chunk shorter than four tokens.
    pub fn of<'t>(
        tokenizer: &Tokenizer<'_>,
        texts: impl IntoIterator<Item = &'t str>,
        chunk_tokens: usize,
        special: bool,
    ) -> Result<Self, ChunksError> {
        let begin = tokenizer.begin();
        let mut tokens: Vec<u32> = begin.into_iter().collect();
        for text in texts {
            tokenizer.append(text, special, &mut tokens)?;
        }
        Self::of_tokens(tokens, chunk_tokens, begin)
    }

    /// Cuts tokens into chunks. The first token of each is replaced by `begin`.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_tokens(
        mut tokens: Vec<u32>,
        chunk_tokens: usize,
        begin: Option<u32>,
    ) -> Result<Self, ChunksError> {
        if chunk_tokens < 4 {
            return Err(ChunksError::Tokens { chunk_tokens });
        }
        let found = tokens.len();
        if found < chunk_tokens {
            return Err(ChunksError::Short { found, chunk_tokens });
        }
        tokens.truncate(found / chunk_tokens * chunk_tokens);
        Ok(Self { tokens, chunk_tokens, begin })
    }

    /// Leaves out the first chunks, and all after the `most` that follow them. At least one chunk
    /// remains.
    ///
    /// # Errors
    /// If there are fewer chunks than are to be left out.
    pub fn select(&mut self, first: usize, most: usize) -> Result<(), ChunksError> {
        let (found, chunk_tokens) = (self.tokens.len(), self.chunk_tokens);
        let start = first.saturating_mul(chunk_tokens);
        if start >= found {
            let needed = start.saturating_add(chunk_tokens);
            return Err(ChunksError::Short { found, chunk_tokens: needed });
        }
        self.tokens.drain(..start);
        self.tokens.truncate(most.max(1).saturating_mul(chunk_tokens));
        Ok(())
    }

    /// Keeps at most this many chunks, at least one, spread evenly over all.
    pub fn spread(&mut self, most: usize) {
        let (found, most) = (self.len(), most.max(1));
        if most < found {
            let kept: Vec<usize> = (0..most).map(|i| i * found / most).collect();
            self.keep(|chunk| kept.binary_search(&chunk).is_ok());
        }
    }

    /// Keeps the chunks with these numbers, which must be at least one.
    ///
    /// # Panics
    /// If none is kept.
    pub fn keep(&mut self, is_kept: impl Fn(usize) -> bool) {
        let chunks = self.tokens.chunks_exact(self.chunk_tokens).enumerate();
        let kept = chunks.filter(|(chunk, _)| is_kept(*chunk));
        self.tokens = kept.flat_map(|(_, tokens)| tokens).copied().collect();
        assert!(!self.tokens.is_empty(), "a chunk is kept");
    }

    /// The tokens of all chunks, before the first of each is replaced.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens of a chunk.
    pub const fn chunk_tokens(&self) -> usize {
        self.chunk_tokens
    }

    /// Number of chunks.
    #[allow(clippy::len_without_is_empty, reason = "there is at least one")]
    pub fn len(&self) -> usize {
        self.tokens.len() / self.chunk_tokens
    }

    /// The tokens of each chunk as the model gets them.
    pub fn texts(&self) -> Vec<Vec<u32>> {
        let text = |chunk: &[u32]| {
            let mut chunk = chunk.to_vec();
            chunk[0] = self.begin.unwrap_or(chunk[0]);
            chunk
        };
        self.tokens.chunks_exact(self.chunk_tokens).map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_chunks_begin_as_texts_do() {
        let mut chunks = Chunks::of_tokens((0..14).collect(), 4, Some(99)).unwrap();
        assert_eq!((chunks.len(), chunks.tokens().len()), (3, 12));
        assert_eq!(chunks.texts()[1], [99, 5, 6, 7]);
        assert_eq!(Chunks::of_tokens(vec![7; 5], 4, None).unwrap().texts(), [[7; 4]]);
        chunks.select(1, 1).unwrap();
        assert_eq!(chunks.tokens(), [4, 5, 6, 7]);
        let error = chunks.select(1, 1).unwrap_err();
        assert!(matches!(error, ChunksError::Short { found: 4, chunk_tokens: 8 }));
        let mut chunks = Chunks::of_tokens((0..40).collect(), 4, None).unwrap();
        chunks.spread(3);
        assert_eq!(chunks.tokens(), [0, 1, 2, 3, 12, 13, 14, 15, 24, 25, 26, 27]);
        chunks.spread(9);
        chunks.keep(|chunk| chunk == 1);
        assert_eq!(chunks.tokens(), [12, 13, 14, 15]);
        let error = Chunks::of_tokens(vec![1; 3], 4, None).unwrap_err();
        assert!(error.to_string().contains("3 tokens"), "{error}");
        assert!(Chunks::of_tokens(vec![1; 3], 3, None).is_err());
    }
}
