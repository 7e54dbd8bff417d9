use std::io::{Read, Write};

use rayon::prelude::*;

use super::base::{BaseFileError, BaseReader, BaseWriter};
use super::{Base, LogitError, Score, Scores, first_scored, saved, score, scored};
use crate::statistics::Lost;
use crate::stream::{self, Fault, Observed, Observer, Options};
use crate::{Chunks, Error, Model, Place};

/// What [`measure`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// The scores of the chunks.
    pub scores: Scores,
    /// The chunks that were left, because a number was not finite. They have no scores.
    pub lost: Vec<Lost>,
}

impl Measured {
    /// Adds what was found in the chunks that follow.
    pub fn append(&mut self, other: Self) {
        other.scores.chunks().iter().for_each(|chunk| self.scores.push(chunk.clone()));
        self.lost.extend(other.lost);
        Lost::sort(&mut self.lost);
    }

    /// Returns the bytes that [`from_bytes`](Self::from_bytes) reads.
    pub fn to_bytes(all: &[&Self]) -> Vec<u8> {
        saved::write(all)
    }

    /// Returns what [`to_bytes`](Self::to_bytes) wrote; `None` if the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Vec<Self>> {
        saved::read(bytes)
    }
}

/// Why a model cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The model cannot be run.
    #[error(transparent)]
    Run(#[from] Error),
    /// The file of the base cannot be read or written.
    #[error("the distributions of the base")]
    Base(#[from] BaseFileError),
    /// The base was computed for other tokens.
    #[error(
        "the base has chunks of {base_tokens} tokens ({base_chunks} of them), the text {chunks} \
         of {tokens}, or their tokens differ: measure with the text that the base was made with"
    )]
    OtherTokens {
        /// Tokens of a chunk of the base.
        base_tokens: usize,
        /// Chunks of the base.
        base_chunks: usize,
        /// Tokens of a chunk of the text.
        tokens: usize,
        /// Chunks of the text.
        chunks: usize,
    },
    /// The base has another vocabulary than the model.
    #[error(
        "the base has a vocabulary of {base} tokens, the model one of {model}: their probabilities \
         cannot be compared"
    )]
    Vocabulary {
        /// Tokens of the base.
        base: usize,
        /// Tokens of the model.
        model: usize,
    },
    /// A chunk has numbers that are not finite, and the base must be whole.
    #[error("a base must be whole")]
    NotWhole(#[source] Lost),
    /// Logits cannot be scored.
    #[error("chunk {chunk} cannot be scored")]
    Logits {
        /// The chunk.
        chunk: usize,
        /// The reason.
        source: LogitError,
    },
}

/// Runs a model over chunks and scores its predictions, against `base` if there is one. With `save`
/// its distributions are written. [`Options::logits_from`] is set here. `progress` is called with
/// the number of each layer that begins; its error ends the run.
///
/// # Errors
/// If the model cannot be run, or the base is for other tokens or damaged.
pub fn measure<R: Read, W: Write>(
    model: &Model<'_>,
    chunks: &Chunks,
    options: &Options,
    base: Option<&mut BaseReader<R>>,
    save: Option<&mut BaseWriter<W>>,
    progress: &mut dyn FnMut(usize) -> Observed,
) -> Result<Measured, MeasureError> {
    if let Some(base) = &base {
        let heading = base.heading();
        let (base_tokens, tokens) = (heading.chunk_tokens as usize, chunks.chunk_tokens());
        if base_tokens != tokens || heading.tokens != chunks.tokens() {
            let (base_chunks, chunks) = (heading.chunks().len(), chunks.len());
            return Err(MeasureError::OtherTokens { base_tokens, base_chunks, tokens, chunks });
        }
        let (base, model) = (heading.vocabulary as usize, model.vocabulary());
        if base != model {
            return Err(MeasureError::Vocabulary { base, model });
        }
    }
    let mut scorer = Scorer {
        chunks,
        base,
        read: 0,
        save,
        buffer: Vec::new(),
        found: Measured::default(),
        error: None,
        progress,
    };
    let first = first_scored(chunks.chunk_tokens());
    let options = Options { logits_from: Some(first), ..options.clone() };
    let done = stream::run(model, &chunks.texts(), &options, &mut scorer);
    if let Some(error) = scorer.error {
        return Err(error);
    }
    done?;
    Lost::sort(&mut scorer.found.lost);
    Ok(scorer.found)
}

struct Scorer<'a, R, W> {
    chunks: &'a Chunks,
    base: Option<&'a mut BaseReader<R>>,
    /// Chunks of the base that have been read.
    read: usize,
    save: Option<&'a mut BaseWriter<W>>,
    /// Logits of the chunk that is being computed.
    buffer: Vec<f32>,
    found: Measured,
    /// Why the run was ended.
    error: Option<MeasureError>,
    progress: &'a mut dyn FnMut(usize) -> Observed,
}

impl<R: Read, W: Write> Scorer<'_, R, W> {
    /// Scores a chunk whose logits are complete.
    fn chunk(&mut self, chunk: usize) -> Result<(), MeasureError> {
        let length = self.chunks.chunk_tokens();
        let targets = &self.chunks.tokens()[chunk * length..][..length][first_scored(length) + 1..];
        let bases = self.bases(chunk)?;
        let vocabulary = self.buffer.len() / targets.len();
        let rows = self.buffer.par_chunks_exact(vocabulary).enumerate();
        let scores = rows.map(|(row, logits)| {
            let base = bases.as_ref().and_then(|bases| bases.get(row));
            score(logits, targets[row], base)
        });
        let scores = scores.collect::<Result<Vec<Score>, LogitError>>();
        let scores = scores.map_err(|source| MeasureError::Logits { chunk, source })?;
        self.found.scores.push(scores);
        if let Some(save) = &mut self.save {
            save.chunk(&self.buffer)?;
        }
        Ok(())
    }

    /// The base's distributions of a chunk. Chunks that were left are skipped.
    fn bases(&mut self, chunk: usize) -> Result<Option<Vec<Base>>, MeasureError> {
        let Some(base) = &mut self.base else { return Ok(None) };
        let mut bases = None;
        while self.read <= chunk {
            bases = base.next_chunk()?;
            self.read += 1;
        }
        Ok(bases)
    }

    fn end_with(&mut self, error: MeasureError) -> Observed {
        self.error = Some(error);
        Err("the run was ended".into())
    }
}

impl<R: Read, W: Write> Observer for Scorer<'_, R, W> {
    fn layer(&mut self, layer: usize) -> Observed {
        (self.progress)(layer)
    }

    fn fault(&mut self, fault: &Fault<'_>) -> Observed {
        let lost = Lost::from(fault);
        if self.save.is_some() {
            return self.end_with(MeasureError::NotWhole(lost));
        }
        self.buffer.clear();
        self.found.lost.push(lost);
        Ok(())
    }

    fn logits(&mut self, place: Place, logits: &[f32]) -> Observed {
        let length = self.chunks.chunk_tokens();
        let row = place.position - first_scored(length);
        if row == 0 {
            self.buffer.clear();
        }
        // nothing follows the last position
        if row < scored(length) {
            self.buffer.extend_from_slice(logits);
        }
        if row + 1 == scored(length)
            && let Err(error) = self.chunk(place.chunk)
        {
            return self.end_with(error);
        }
        Ok(())
    }
}
