//! Code that `generate` and `embed` share: opening a model, its settings, layers, tokenizers.
#![allow(dead_code, reason = "each of the programs uses a part of it")]

pub(crate) mod layers;
pub(crate) mod tokenizer;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use granule_reader::Model;

/// Opens a model by mapping it: nothing is read before it is used, and nothing is copied.
pub(crate) fn open(path: &Path) -> Result<Model> {
    // SAFETY: the program's help asks the user not to change the file while it runs. Where that
    // cannot be promised, `Model::open` reads at positions instead.
    Ok(unsafe { Model::map(path)? })
}

/// The settings of a model, whose keys begin with the name of its architecture.
pub(crate) struct Settings<'m> {
    model: &'m Model,
    architecture: &'static str,
}

impl<'m> Settings<'m> {
    /// The settings of a model, which must have this architecture.
    pub(crate) fn of(model: &'m Model, architecture: &'static str) -> Result<Self> {
        let found = model.metadata().text("general.architecture")?.unwrap_or("no architecture");
        ensure!(found == architecture, "this is for models of {architecture}, not {found}");
        Ok(Self { model, architecture })
    }

    /// An integer that may be missing.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<usize>> {
        Ok(self.model.metadata().integer(&self.key(name))?)
    }

    /// An integer that must be present and not zero.
    pub(crate) fn count(&self, name: &str) -> Result<usize> {
        let key = self.key(name);
        let number = self.integer(name)?.with_context(|| format!("the metadata has no {key}"))?;
        ensure!(number > 0, "{key} is zero");
        Ok(number)
    }

    /// A number with a fraction that may be missing.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f32>> {
        Ok(self.model.metadata().float(&self.key(name))?)
    }

    /// A string that may be missing.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'m str>> {
        Ok(self.model.metadata().text(&self.key(name))?)
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }
}
