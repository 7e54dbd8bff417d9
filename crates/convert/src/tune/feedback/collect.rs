//! Moments of the inputs of a model as it is, on one machine or on several.
//!
//! A run with feedback sees the inputs that come through the matrices quantized before, so it
//! cannot be shared by chunks of text. The inputs of the original can.

use std::path::{Path, PathBuf};

use granule_infer::statistics::moments::collect::{self, Matrices, UNIT};
use granule_infer::statistics::{ExactMoments, Lost, Moments};
use granule_infer::stream::Observed;
use granule_infer::{Chunks, Model};
use serde::{Deserialize, Serialize};

use super::Calibration;
use super::saved::{Entry, Saver, architecture};
use crate::Error;
use crate::run::{Part, of_chunks_anywhere};
use crate::text_part::{Kind, PartWriter, TextPartError, open_all};

/// What is the same for all parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    identity: String,
    architecture: Option<String>,
    tokens: usize,
    /// Names, columns and numbers of matrices of the tensors, in their order.
    tensors: Vec<(String, usize, usize)>,
}

/// Runs a model over chunks and writes second moments of its inputs to a file, which serves
/// [`Saved`](super::Saved). With a part, only its chunks are run, and [`join`] makes the file of
/// all parts. `progress` is called with the number of each layer that begins; its error ends the
/// run. Returns the chunks that were left.
///
/// # Errors
/// If the model cannot be run, the file cannot be written, or the text has too few chunks for the
/// part.
pub fn save_moments(
    model: &Model<'_>,
    chunks: &Chunks,
    all_experts: bool,
    path: &Path,
    part: Option<Part>,
    progress: &mut dyn FnMut(usize) -> Observed,
) -> Result<Vec<Lost>, Error> {
    let source = model.source();
    let name = |index: usize| source.tensors()[index].name.as_str();
    let tensors = collect::tensors(model).into_iter();
    let about = About {
        identity: of_chunks_anywhere(source, chunks, &all_experts.to_string())?,
        architecture: architecture(source),
        tokens: chunks.tokens().len(),
        tensors: tensors.map(|it| (name(it.index).to_owned(), it.columns, it.count)).collect(),
    };
    let inputs = source.inputs();
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let mut own = chunks.clone();
    let mut first = 0;
    let mut out = match part {
        None => Out::Saver(about.saver(path, &inputs)?),
        Some(part) => {
            let units = chunks.len().div_ceil(UNIT);
            if part.count() as usize > units {
                return Err(Error::TooManyParts { part, units, chunks: UNIT });
            }
            let range = part.share(units);
            first = range.start * UNIT;
            own.select(first, range.len() * UNIT).expect("the first chunk is there");
            let about = serde_json::to_value(&about).expect("its keys are strings");
            Out::Part(PartWriter::create(path, &inputs, Kind::Moments, part, &about)?)
        }
    };
    let mut sink = |tensor: &Matrices, moments: Vec<ExactMoments>| -> Observed {
        Ok(out.add(name(tensor.index), &moments)?)
    };
    let lost = collect::collect(model, &own, all_experts, &span, &mut sink, progress);
    let mut lost = lost.map_err(|error| match error {
        granule_infer::Error::Observer(error) => match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::Run(granule_infer::Error::Observer(error)),
        },
        error => Error::Run(error),
    })?;
    lost.iter_mut().for_each(|lost| lost.place.chunk += first);
    match lost.first() {
        Some(left) if lost.len() == own.len() && part.is_none() => {
            return Err(Error::NoChunk(left.clone()));
        }
        _ => out.finish()?,
    }
    Ok(lost)
}

/// Puts the moments of all parts of a run together, to the file of a run without parts. Returns the
/// number of tensors.
///
/// # Errors
/// If a part cannot be read, is damaged or missing, or if the file cannot be written.
pub fn join(paths: &[PathBuf], to: &Path) -> Result<usize, Error> {
    let mut parts = open_all(paths, Kind::Moments)?;
    let damaged = |path: &Path| Error::from(TextPartError::Damaged { path: path.to_owned() });
    let Some(first) = parts.first() else { return Err(damaged(to)) };
    let about: About =
        serde_json::from_value(first.about().clone()).map_err(|_| damaged(first.path()))?;
    let inputs: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let mut saver = about.saver(to, &inputs)?;
    for (name, columns, count) in &about.tensors {
        let mut sum = vec![ExactMoments::new(*columns, span(*columns)); *count];
        for part in &mut parts {
            let own = part.record()?;
            let own = own.and_then(|bytes| ExactMoments::all_from_bytes(&bytes));
            let own = own.filter(|own| own.len() == *count);
            let mut pairs = sum.iter_mut().zip(own.iter().flatten());
            if own.is_none() || !pairs.all(|(sum, own)| sum.merge(own)) {
                return Err(damaged(part.path()));
            }
        }
        saver.add(name, &rounded(&sum))?;
    }
    for part in &mut parts {
        // after the last record the hash is compared
        if part.record()?.is_some() {
            return Err(damaged(part.path()));
        }
    }
    saver.finish()?;
    Ok(about.tensors.len())
}

impl About {
    fn saver(&self, path: &Path, inputs: &[&Path]) -> Result<Saver, Error> {
        let entries = self.tensors.iter().map(|(name, columns, matrices)| {
            let (values, matrices) = (Moments::values(*columns, span(*columns)), *matrices);
            Entry { name, values, matrices }
        });
        let entries: Vec<Entry<'_>> = entries.collect();
        let architecture = self.architecture.as_deref();
        Saver::create(path, inputs, architecture, Some(Calibration::WIDTH), self.tokens, &entries)
    }
}

/// Where moments are written.
enum Out {
    Saver(Saver),
    Part(PartWriter),
}

impl Out {
    fn add(&mut self, name: &str, moments: &[ExactMoments]) -> Result<(), Error> {
        match self {
            Self::Saver(saver) => saver.add(name, &rounded(moments)),
            Self::Part(writer) => {
                let mut bytes = Vec::new();
                moments.iter().for_each(|moments| moments.to_bytes(&mut bytes));
                writer.record(&bytes)
            }
        }
    }

    fn finish(self) -> Result<(), Error> {
        match self {
            Self::Saver(saver) => saver.finish(),
            Self::Part(writer) => writer.finish(),
        }
    }
}

fn rounded(moments: &[ExactMoments]) -> Vec<Moments> {
    moments.iter().map(ExactMoments::moments).collect()
}

/// The columns of a span for a matrix.
fn span(_: usize) -> usize {
    Calibration::WIDTH
}
