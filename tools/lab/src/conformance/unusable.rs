//! Checkpoints for which the reference writes a file that it cannot load itself.

use std::fs;
use std::path::Path;

use anyhow::ensure;
use granule_checkpoint::arch;
use granule_format::check::{Options, Severity};
use granule_format::container::Entry;
use granule_format::{Draft, Header, Value};
use granule_reader::Model;
use serde::Deserialize;

use super::checkpoints::{AS_EXPECTED, hash};

/// Describes the first fault of a file.
pub(super) fn first_error(file: &[u8]) -> Option<String> {
    let report = granule_format::check(file, &Options::default().with_needed(arch::needed));
    let error = report.findings.iter().find(|finding| finding.rule.severity == Severity::Error);
    error.map(|finding| format!("{}: {}, {}", finding.rule.id, finding.field, finding.found))
}

/// A description of a file of the reference.
#[derive(Deserialize)]
struct Dump {
    file: Hash,
    metadata: Vec<Key>,
}

#[derive(Deserialize)]
struct Hash {
    sha256: String,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

/// Describes the fault of the reference's file, if the file at `path` is that file and further
/// metadata, without which it is invalid. The descriptions in `stored` say which are further; the
/// file without them must have this hash.
pub(super) fn completed(
    path: &Path,
    stored: &Path,
    sha256: &str,
) -> anyhow::Result<Option<String>> {
    for entry in fs::read_dir(stored)? {
        let dump = entry?.path();
        let is_dump = dump.extension().is_some_and(|end| end == "json");
        let Some(dump) = is_dump
            .then(|| serde_json::from_slice::<Dump>(&fs::read(&dump).ok()?).ok())
            .flatten()
            .filter(|dump| dump.file.sha256 == sha256)
        else {
            continue;
        };
        let own = fs::read(path)?;
        let header = Header::parse(&own)?;
        let mut metadata = header.metadata().clone();
        let further = metadata.iter().map(|entry| entry.key.clone());
        let further: Vec<_> =
            further.filter(|key| !dump.metadata.iter().any(|known| known.key == *key)).collect();
        further.iter().for_each(|key| drop(metadata.remove(key)));
        let mut draft = Draft::new(metadata, header.endian())?;
        for tensor in header.tensors() {
            draft.add(&tensor.name, tensor.shape, tensor.ty)?;
        }
        let mut reference = draft.header();
        reference.extend(&own[usize::try_from(header.data_offset())?..]);
        if let (true, Some(fault), None) =
            (hash(&reference) == sha256, first_error(&reference), first_error(&own))
        {
            return Ok(Some(format!(
                "{AS_EXPECTED} {}, without which the reference's file is invalid ({fault})",
                further.join(", ")
            )));
        }
    }
    Ok(None)
}

/// Describes the fault of the reference's file, if its `f16.gguf` is invalid and the file at `path`
/// is valid. An F16 file must then equal the reference's in everything except lists of tokens.
pub(super) fn unusable(path: &Path, stored: &Path) -> anyhow::Result<Option<String>> {
    let reference = stored.join("f16.gguf");
    if !reference.is_file() {
        return Ok(None);
    }
    let Some(error) = first_error(&fs::read(&reference)?) else { return Ok(None) };
    if let Some(own) = first_error(&fs::read(path)?) {
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
