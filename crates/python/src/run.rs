//! Running models over texts: importance matrices, and what quantizing has cost.

use std::fs::File;
use std::io::{BufReader, BufWriter, Empty, Seek, Sink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use granule_checkpoint::{CheckpointOptions, OutType};
use granule_convert::calibration::{self, TEXTS};
use granule_infer::measure::base::{BaseReader, BaseWriter, Form, Heading};
use granule_infer::measure::{self, Estimate, Measured, Scores};
use granule_infer::statistics::CollectOptions;
use granule_infer::stream::{Observed, Options};
use granule_infer::{Chunks, Model, Tokenizer};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{Raise, chain, exception};
use crate::importance::PyImportance;
use crate::source::{self, Opened};
use crate::watch::{pool, watch};

/// Tokens of a chunk, as the reference's programs have it.
const CHUNK_TOKENS: usize = 512;

/// The texts of a caller, and how they are cut.
pub(crate) struct Texts {
    texts: Vec<(String, String)>,
    chunk_tokens: usize,
    chunks: Option<usize>,
}

impl Texts {
    /// Returns these texts, or those of this package.
    pub(crate) fn new(
        texts: Option<Vec<String>>,
        chunk_tokens: Option<usize>,
        chunks: Option<usize>,
    ) -> Self {
        let named = |(i, text)| (format!("text {i}"), text);
        let texts = match texts {
            Some(texts) => texts.into_iter().enumerate().map(named).collect(),
            None => TEXTS.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect(),
        };
        Self { texts, chunk_tokens: chunk_tokens.unwrap_or(CHUNK_TOKENS), chunks }
    }

    fn names(&self) -> Vec<String> {
        self.texts.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Returns the chunks of the texts.
    pub(crate) fn cut(&self, tokenizer: &Tokenizer<'_>) -> PyResult<Chunks> {
        let texts = self.texts.iter().map(|(_, text)| text.as_str());
        let mut chunks =
            Chunks::of(tokenizer, texts, self.chunk_tokens, false).map_err(Raise::raise)?;
        if let Some(most) = self.chunks {
            chunks.select(0, most).map_err(Raise::raise)?;
        }
        Ok(chunks)
    }
}

/// Run a model over texts, and return the importance of every column of every tensor.
///
/// `texts` is a list of strings; without it, texts of this package are used. `chunks` bounds the
/// number of chunks of `chunk_tokens` tokens each.
#[pyfunction]
#[pyo3(signature = (model, texts = None, *, chunk_tokens = None, chunks = None, threads = None))]
pub(crate) fn imatrix(
    py: Python<'_>,
    model: &Bound<'_, PyAny>,
    texts: Option<Vec<String>>,
    chunk_tokens: Option<usize>,
    chunks: Option<usize>,
    threads: Option<usize>,
) -> PyResult<PyImportance> {
    let source = opened(model)?;
    let texts = Texts::new(texts, chunk_tokens, chunks);
    let pool = pool(threads)?;
    let found = watch(py, |stop| {
        let model = Model::open(source.source()).map_err(Raise::raise)?;
        let chunks = texts.cut(&model.tokenizer().map_err(Raise::raise)?)?;
        let options = CollectOptions::default();
        let mut on = |_| not_stopped(stop);
        let collect = || calibration::collect(&model, &chunks, texts.names(), &options, &mut on);
        let found = pool.install(collect).map_err(Raise::raise)?;
        match found.lost.first() {
            Some(lost) if found.lost.len() == chunks.len() => {
                Err(exception("ModelError", format!("no chunk is left: {lost}")))
            }
            _ => found.sums.importance("made in Python").map_err(Raise::raise),
        }
    })??;
    Ok(PyImportance::of(found))
}

/// Measure the perplexity of a model over texts, and what it loses against another one.
///
/// Returns a dict of estimates, each a dict of value and standard error: perplexity; with
/// `against` also base_perplexity, ratio, divergence (Kullback-Leibler), change_rms (of the
/// probabilities) and same_top (the share of equal predictions). The second half of every chunk is
/// scored, as llama-perplexity does.
#[pyfunction]
#[pyo3(name = "measure")]
#[pyo3(signature = (
    model, texts = None, *, against = None, chunk_tokens = None, chunks = None, threads = None
))]
pub(crate) fn measure_model<'py>(
    py: Python<'py>,
    model: &Bound<'py, PyAny>,
    texts: Option<Vec<String>>,
    against: Option<&Bound<'py, PyAny>>,
    chunk_tokens: Option<usize>,
    chunks: Option<usize>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let source = opened(model)?;
    let original = against.map(opened).transpose()?;
    let texts = Texts::new(texts, chunk_tokens, chunks);
    let pool = pool(threads)?;
    let scores = watch(py, |stop| {
        pool.install(|| {
            let base = original.as_ref().map(|original| base_of(original, &texts, stop));
            score(&source, &texts, base.transpose()?, stop)
        })
    })??;
    estimates(py, &scores)
}

/// The estimates, in their order; those of a comparison are there only if there was one.
fn estimates<'py>(py: Python<'py>, scores: &Scores) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("positions", scores.len())?;
    let found: [(&str, Option<Estimate>); 8] = [
        ("perplexity", Some(scores.perplexity())),
        ("base_perplexity", scores.base_perplexity()),
        ("ratio", scores.ratio()),
        ("difference", scores.difference()),
        ("divergence", scores.divergence()),
        ("change", scores.change()),
        ("change_rms", scores.change_rms()),
        ("same_top", scores.same_top()),
    ];
    for (name, estimate) in found {
        let Some(estimate) = estimate else { continue };
        let both = PyDict::new(py);
        both.set_item("value", estimate.value)?;
        both.set_item("error", estimate.error)?;
        dict.set_item(name, both)?;
    }
    Ok(dict)
}

/// The distributions of the original, in a file without a name.
fn base_of(original: &Opened, texts: &Texts, stop: &AtomicBool) -> PyResult<File> {
    let model = predicting(original)?;
    let chunks = texts.cut(&model.tokenizer().map_err(Raise::raise)?)?;
    let heading = Heading {
        chunk_tokens: u32::try_from(chunks.chunk_tokens())?,
        vocabulary: u32::try_from(model.vocabulary())?,
        tokens: chunks.tokens().to_vec(),
    };
    let file = BufWriter::new(tempfile::tempfile()?);
    let mut writer = BaseWriter::start(file, Form::Sparse, heading).map_err(Raise::raise)?;
    let none: Option<&mut BaseReader<Empty>> = None;
    let mut on = |_| not_stopped(stop);
    let measured =
        measure::measure(&model, &chunks, &Options::default(), none, Some(&mut writer), &mut on)
            .map_err(Raise::raise)?;
    scored(measured)?;
    let file = writer.finish().map_err(Raise::raise)?;
    file.into_inner().map_err(|error| error.into_error().into())
}

/// Measures a model, against the distributions in a file if there is one.
fn score(
    source: &Opened,
    texts: &Texts,
    base: Option<File>,
    stop: &AtomicBool,
) -> PyResult<Scores> {
    let model = predicting(source)?;
    let chunks = texts.cut(&model.tokenizer().map_err(Raise::raise)?)?;
    let mut reader = None;
    if let Some(mut file) = base {
        file.rewind()?;
        let bytes = file.metadata()?.len();
        let opened = BaseReader::open(BufReader::with_capacity(1 << 20, file), bytes);
        reader = Some(opened.map_err(Raise::raise)?);
    }
    let none: Option<&mut BaseWriter<Sink>> = None;
    let mut on = |_| not_stopped(stop);
    let measured =
        measure::measure(&model, &chunks, &Options::default(), reader.as_mut(), none, &mut on);
    scored(measured.map_err(Raise::raise)?)
}

fn scored(measured: Measured) -> PyResult<Scores> {
    match measured.lost.first() {
        Some(lost) if measured.scores.is_empty() => {
            Err(exception("ModelError", format!("no chunk is left: {lost}")))
        }
        _ => Ok(measured.scores),
    }
}

fn not_stopped(stop: &AtomicBool) -> Observed {
    if stop.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
}

/// The source of a model that is run: the values of a checkpoint are not rounded.
fn opened(given: &Bound<'_, PyAny>) -> PyResult<std::sync::Arc<Opened>> {
    match given.extract::<PathBuf>() {
        Ok(path) => {
            let out_type = OutType::from_name("f32").unwrap_or_default();
            let options = CheckpointOptions { out_type, ..source::default_options() };
            given.py().detach(|| Opened::open(&path, &options)).map(std::sync::Arc::new)
        }
        Err(_) => source::source(given),
    }
}

/// A model that predicts tokens.
fn predicting(source: &Opened) -> PyResult<Model<'_>> {
    let model = Model::open(source.source()).map_err(Raise::raise)?;
    if !model.predicts() {
        let message = format!("models of {:?} predict no tokens", model.architecture());
        return Err(exception("ModelError", message));
    }
    Ok(model)
}

/// Errors of running a model.
macro_rules! of_models {
    ($($error:ty,)*) => {
        $(impl Raise for $error {
            fn raise(self) -> PyErr {
                exception("ModelError", chain(&self))
            }
        })*
    };
}

of_models! {
    granule_infer::ChunksError,
    granule_infer::TokenizerError,
    granule_infer::measure::MeasureError,
    granule_infer::measure::base::BaseFileError,
}

impl Raise for granule_infer::Error {
    fn raise(self) -> PyErr {
        match self {
            Self::Read(error) => error.raise(),
            error => exception("ModelError", chain(&error)),
        }
    }
}
