//! Files that hold the distributions of a base model, so that it runs once for many candidates.
//!
//! Two forms are read and written. [`Form::Llama`] is that of `llama-perplexity`: 16 bits for each
//! token of the vocabulary and each position. [`Form::Sparse`] lists only the tokens whose
//! probability counts, in steps that are finer where it is large. It takes about a third of the
//! room, and its divergences are more exact. `spec/logits.md` describes both.

mod cursor;
mod error;
mod llama;
mod sparse;

use std::io::{Read, Write};

pub use error::BaseFileError;

use super::{Base, LogitError, first_scored, scored};
use cursor::Cursor;

/// How a file stores distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 16 bits a token, as `llama-perplexity --kl-divergence-base`.
    Llama,
    /// The tokens that count.
    Sparse,
}

/// What a file is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Tokens in a chunk.
    pub chunk_tokens: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// The tokens of all chunks, before the first of each is replaced.
    pub tokens: Vec<u32>,
}

impl Heading {
    /// The tokens of each chunk.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.tokens.chunks_exact(self.chunk_tokens as usize)
    }

    /// The tokens that follow the scored positions of a chunk.
    fn targets(&self, chunk: usize) -> &[u32] {
        let length = self.chunk_tokens as usize;
        &self.tokens[chunk * length..][..length][first_scored(length) + 1..]
    }
}

/// Writes a file, chunk by chunk.
#[derive(Debug)]
pub struct BaseWriter<W> {
    out: W,
    form: Form,
    heading: Heading,
    written: usize,
}

impl<W: Write> BaseWriter<W> {
    /// Writes the heading.
    ///
    /// # Errors
    /// If writing fails.
    ///
    /// # Panics
    /// If the tokens are not whole chunks, or a number does not fit the file.
    pub fn start(mut out: W, form: Form, heading: Heading) -> Result<Self, BaseFileError> {
        let length = heading.chunk_tokens as usize;
        assert!(length > 0 && heading.tokens.len().is_multiple_of(length), "whole chunks");
        match form {
            Form::Llama => llama::write_heading(&mut out, &heading)?,
            Form::Sparse => sparse::write_heading(&mut out, &heading)?,
        }
        Ok(Self { out, form, heading, written: 0 })
    }

    /// Writes the scored positions of the next chunk: their logits, one row after another.
    ///
    /// # Errors
    /// If writing fails or a logit is not finite.
    ///
    /// # Panics
    /// If the number of logits is not that of the scored positions, or all chunks are written.
    pub fn chunk(&mut self, logits: &[f32]) -> Result<(), BaseFileError> {
        let vocabulary = self.heading.vocabulary as usize;
        let rows = scored(self.heading.chunk_tokens as usize);
        assert_eq!(logits.len(), rows * vocabulary, "a row of logits for each scored position");
        let mut bytes = Vec::new();
        let targets = self.heading.targets(self.written);
        for (row, target) in logits.chunks_exact(vocabulary).zip(targets) {
            let done = match self.form {
                Form::Llama => llama::write_row(row, &mut bytes),
                Form::Sparse => sparse::write_row(row, *target, &mut bytes),
            };
            done.map_err(|source| self.fault(source))?;
        }
        if self.form == Form::Sparse {
            let length = u32::try_from(bytes.len()).map_err(|_| BaseFileError::TooLarge)?;
            self.out.write_all(&length.to_le_bytes())?;
        }
        self.out.write_all(&bytes)?;
        self.written += 1;
        Ok(())
    }

    /// Ends the file and returns the output.
    ///
    /// # Errors
    /// If writing fails.
    ///
    /// # Panics
    /// If chunks are missing.
    pub fn finish(mut self) -> Result<W, BaseFileError> {
        assert_eq!(self.written, self.heading.chunks().len(), "all chunks are written");
        self.out.flush()?;
        Ok(self.out)
    }

    fn fault(&self, source: LogitError) -> BaseFileError {
        BaseFileError::Logits { chunk: self.written, source }
    }
}

/// Reads a file of either form, chunk by chunk.
#[derive(Debug)]
pub struct BaseReader<R> {
    input: R,
    form: Form,
    heading: Heading,
    /// Chunks that have been read, and bytes that are left.
    read: usize,
    left: u64,
    /// Whether other chunks follow those that are read.
    is_part: bool,
}

impl<R: Read> BaseReader<R> {
    /// Reads the heading. `bytes` is the length of the file.
    ///
    /// # Errors
    /// If the input is no such file, or its length is not the one that follows from its heading.
    pub fn open(mut input: R, bytes: u64) -> Result<Self, BaseFileError> {
        let mut magic = [0; 8];
        input.read_exact(&mut magic).map_err(|error| BaseFileError::head(error, "a magic"))?;
        let form = match &magic {
            llama::MAGIC => Form::Llama,
            sparse::MAGIC => Form::Sparse,
            _ => return Err(BaseFileError::Magic),
        };
        let mut numbers = [0; 12];
        input.read_exact(&mut numbers).map_err(|error| BaseFileError::head(error, "the sizes"))?;
        let mut cursor = Cursor::new(&numbers);
        let [chunk_tokens, vocabulary, chunks] = [cursor.u32()?, cursor.u32()?, cursor.u32()?];
        let too_small = scored(chunk_tokens as usize) == 0 || vocabulary == 0 || chunks == 0;
        if too_small || [chunk_tokens, vocabulary, chunks].into_iter().any(|n| n > i32::MAX as u32)
        {
            return Err(BaseFileError::Sizes { chunk_tokens, vocabulary, chunks });
        }
        let count = u64::from(chunk_tokens) * u64::from(chunks);
        let left = bytes.saturating_sub(20);
        let needed = match form {
            Form::Llama => llama::data_bytes(chunk_tokens, vocabulary, chunks),
            Form::Sparse => Some(0),
        };
        let needed = needed.and_then(|data| data.checked_add(count.checked_mul(4)?));
        let needed = needed.ok_or(BaseFileError::TooLarge)?;
        if needed > left || (form == Form::Llama && needed != left) {
            return Err(BaseFileError::Length { needed: needed + 20, found: bytes });
        }
        let mut bytes = vec![0; (count * 4) as usize];
        input.read_exact(&mut bytes).map_err(|error| BaseFileError::head(error, "the tokens"))?;
        let tokens: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        if let Some(token) = tokens.iter().find(|token| **token >= vocabulary) {
            return Err(BaseFileError::Token { token: *token, vocabulary });
        }
        let heading = Heading { chunk_tokens, vocabulary, tokens };
        let left = left - count * 4;
        Ok(Self { input, form, heading, read: 0, left, is_part: false })
    }

    /// What the file is about.
    pub fn heading(&self) -> &Heading {
        &self.heading
    }

    /// How the file stores distributions.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Leaves out the first chunks, and all after the `most` that follow them. Nothing must have
    /// been read.
    ///
    /// # Errors
    /// If the file has fewer chunks, is damaged or cannot be read.
    pub fn select(&mut self, first: usize, most: usize) -> Result<(), BaseFileError> {
        for _ in 0..first {
            self.next_chunk()?;
        }
        let length = self.heading.chunk_tokens as usize;
        let end = first.saturating_add(most).saturating_mul(length).min(self.heading.tokens.len());
        self.heading.tokens.truncate(end);
        self.heading.tokens.drain(..self.read * length);
        self.read = 0;
        self.is_part = true;
        Ok(())
    }

    /// Reads the distributions of the scored positions of the next chunk; `None` after the last.
    ///
    /// # Errors
    /// If the file is damaged or cannot be read.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<Base>>, BaseFileError> {
        let chunk = self.read;
        if chunk == self.heading.chunks().len() {
            let spare = BaseFileError::Spare { bytes: self.left };
            return if self.left == 0 || self.is_part { Ok(None) } else { Err(spare) };
        }
        let rows = scored(self.heading.chunk_tokens as usize);
        let row_bytes = llama::row_bytes(self.heading.vocabulary) as usize;
        let length = match self.form {
            Form::Llama => rows as u64 * row_bytes as u64,
            Form::Sparse => {
                let bytes = self.take(4, chunk)?;
                u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            }
        };
        let bytes = self.take(length, chunk)?;
        let targets = self.heading.targets(chunk);
        let vocabulary = self.heading.vocabulary;
        let mut bases = Vec::with_capacity(rows);
        if self.form == Form::Llama {
            for (row, target) in bytes.chunks_exact(row_bytes).zip(targets) {
                let base = llama::read_row(row, vocabulary, *target);
                bases.push(base.ok_or(BaseFileError::Damaged { chunk, row: bases.len() })?);
            }
        } else {
            let mut cursor = Cursor::new(&bytes);
            for row in 0..rows {
                let base = sparse::read_row(&mut cursor, vocabulary).ok();
                bases.push(base.flatten().ok_or(BaseFileError::Damaged { chunk, row })?);
            }
            if !cursor.is_empty() {
                return Err(BaseFileError::Damaged { chunk, row: rows });
            }
        }
        self.read += 1;
        Ok(Some(bases))
    }

    fn take(&mut self, bytes: u64, chunk: usize) -> Result<Vec<u8>, BaseFileError> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(BaseFileError::Short { chunk, needed: bytes, left: self.left })?;
        let mut taken = vec![0; bytes as usize];
        self.input.read_exact(&mut taken)?;
        Ok(taken)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
