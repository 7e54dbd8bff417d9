//! Checkpoints for which the reference writes a file that it cannot load itself.

use std::fs;
use std::path::Path;

use anyhow::ensure;
use granule_format::Value;
use granule_format::check::{Options, Severity};
use granule_format::container::Entry;
use granule_reader::Model;

use super::checkpoints::AS_EXPECTED;

/// Describes the fault of the reference's file, if its `f16.gguf` is invalid and the file at `path`
/// is valid. An F16 file must then equal the reference's in everything except lists of tokens.
pub(super) fn unusable(path: &Path, stored: &Path) -> anyhow::Result<Option<String>> {
    let reference = stored.join("f16.gguf");
    if !reference.is_file() {
        return Ok(None);
    }
    let first_error = |path: &Path| -> anyhow::Result<Option<String>> {
        let report = granule_format::check(&fs::read(path)?, &Options::default());
        let error = report.findings.iter().find(|finding| finding.rule.severity == Severity::Error);
        Ok(error.map(|finding| format!("{}: {}", finding.rule.id, finding.found)))
    };
    let Some(error) = first_error(&reference)? else { return Ok(None) };
    if let Some(own) = first_error(path)? {
        return Ok(Some(format!("{} is invalid: {own}", path.display())));
    }
    let (found, reference) = (Model::open(path)?, Model::open(reference)?);
    let half = |model: &Model| model.metadata().get("general.file_type").cloned();
    if half(&found) == half(&reference) {
        let tensors = found.tensors().zip(reference.tensors());
        for (found, reference) in tensors {
            ensure!(
                found.name() == reference.name()
                    && found.shape() == reference.shape()
                    && found.read_rows(..)? == reference.read_rows(..)?,
                "{}: other values",
                found.name()
            );
        }
        let others = |model: &Model| -> Vec<_> {
            let entries = model.metadata().iter();
            let is_list = |entry: &&Entry| {
                entry.key.starts_with("tokenizer.ggml.") && matches!(entry.value, Value::Array(_))
            };
            entries.filter(|entry| !is_list(entry)).cloned().collect()
        };
        if others(&found) != others(&reference)
            || found.tensors().len() != reference.tensors().len()
        {
            return Ok(None);
        }
    }
    Ok(Some(format!("{AS_EXPECTED} the reference's file, which is invalid ({error})")))
}
