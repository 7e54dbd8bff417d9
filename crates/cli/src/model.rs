//! Opening models to run them.

use std::path::Path;

use anyhow::{Context, bail};
use granule_infer::{Model, Tokenizer};
use granule_reader::Source;

/// Open a model to run it.
///
/// # Errors
/// If it cannot be run.
pub(crate) fn open<'s>(path: &Path, source: &'s dyn Source) -> anyhow::Result<Model<'s>> {
    Model::open(source).with_context(|| path.display().to_string())
}

/// Open a model that predicts tokens.
///
/// # Errors
/// If it cannot be run, or predicts nothing.
pub(crate) fn predicting<'s>(path: &Path, source: &'s dyn Source) -> anyhow::Result<Model<'s>> {
    let model = open(path, source)?;
    if !model.predicts() {
        bail!("{}: models of {:?} predict no tokens", path.display(), model.architecture());
    }
    Ok(model)
}

/// The tokenizer of a model.
///
/// # Errors
/// If there is none, or its vocabulary is larger than the embedding.
pub(crate) fn tokenizer<'s>(path: &Path, model: &Model<'s>) -> anyhow::Result<Tokenizer<'s>> {
    let tokenizer = model.tokenizer().with_context(|| path.display().to_string())?;
    if tokenizer.len() > model.vocabulary() {
        bail!(
            "{}: the tokenizer has {} tokens, but the embedding {} rows: they are of different \
             models",
            path.display(),
            tokenizer.len(),
            model.vocabulary()
        );
    }
    Ok(tokenizer)
}
