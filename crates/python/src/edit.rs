//! Changing the metadata and the names of tensors of files.

use std::path::PathBuf;

use granule_convert::diff;
use granule_convert::edit::{self, Change, Edit, EditOptions, ROOM, Recovered, Way};
use granule_format::{Metadata, Value};
use granule_reader::{Model, file};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::diff::of_metadata;
use crate::error::{Raise, noted};
use crate::value;
use crate::watch::watch;

/// Change the metadata or the names of tensors of a GGUF file, in place where it fits.
///
/// Changes are made in this order: `remove` (keys), `rename` (from key to key), `rename_tensors` (a
/// mapping from names to names, or a function that returns the new name), `chat_template` (a text,
/// or a mapping from names to texts), `set` (from key to value), `special_tokens` (from a kind such
/// as "eos" to the text of a token). A key that is there keeps its type; values of numpy have a
/// type of their own.
///
/// The header is written over if the new one fits in front of the tensors; otherwise a new file
/// replaces the old one. An interruption leaves the old or the new file. With `output` a new file
/// is written there, with `copy` in any case; `reserve` leaves bytes of room for later edits;
/// `dry_run` changes nothing. What `check` would then call invalid is refused.
///
/// Returns a dict: "way" is "nothing", "in_place" or "copy"; "bytes_written", "room", "metadata"
/// (as in `diff`), "renamed_tensors", and "recovered", which is "old" or "new" if an edit of this
/// file had been interrupted and was put right.
#[pyfunction]
#[pyo3(name = "edit")]
#[pyo3(signature = (
    path, *, set = None, remove = None, rename = None, rename_tensors = None, chat_template = None,
    special_tokens = None, output = None, copy = false, reserve = None, dry_run = false
))]
#[allow(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn edit_file<'py>(
    py: Python<'py>,
    path: PathBuf,
    set: Option<&Bound<'py, PyAny>>,
    remove: Option<Vec<String>>,
    rename: Option<&Bound<'py, PyAny>>,
    rename_tensors: Option<&Bound<'py, PyAny>>,
    chat_template: Option<&Bound<'py, PyAny>>,
    special_tokens: Option<&Bound<'py, PyAny>>,
    output: Option<PathBuf>,
    copy: bool,
    reserve: Option<u64>,
    dry_run: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let mut recovered = Recovered::Nothing;
    if !dry_run && file::has_unfinished_edit(&path) {
        recovered = py.detach(|| edit::recover(&path)).map_err(Raise::raise)?;
    }
    let mut changes: Vec<Change> = remove.into_iter().flatten().map(Change::Remove).collect();
    if let Some(rename) = rename {
        let pairs = pairs(rename, "rename")?.into_iter();
        changes.extend(pairs.map(|(from, to)| Change::Rename { from, to }));
    }
    // what follows depends on what the file has
    let needs_file = set.is_some() || rename_tensors.is_some_and(|it| it.is_callable());
    let file = match needs_file {
        true => Some(py.detach(|| Model::open_alone(&path)).map_err(Raise::raise)?),
        false => None,
    };
    if let Some(given) = rename_tensors {
        let pairs = match file.as_ref().filter(|_| given.is_callable()) {
            Some(file) => named_by(given, file)?,
            None => pairs(given, "rename_tensors")?,
        };
        changes.push(Change::NameTensors(pairs));
    }
    if let Some(given) = chat_template {
        let templates = match given.extract::<String>() {
            Ok(text) => vec![("default".to_owned(), text)],
            Err(_) => pairs(given, "chat_template")?,
        };
        changes.push(Change::ChatTemplates(templates));
    }
    if let (Some(set), Some(file)) = (set, &file) {
        let values = values(set, file.metadata(), &changes)?;
        changes.extend(values.into_iter().map(|(key, value)| Change::SetValue { key, value }));
    }
    if let Some(tokens) = special_tokens {
        let pairs = pairs(tokens, "special_tokens")?.into_iter();
        changes.extend(pairs.map(|(kind, token)| Change::SpecialToken { kind, token }));
    }
    drop(file);
    let options = EditOptions { output, copy, reserve };
    let edit = py.detach(|| Edit::plan(&path, &changes, &options)).map_err(Raise::raise)?;
    if !dry_run {
        watch(py, |stop| edit.run(Some(stop), &|_| {}))?.map_err(Raise::raise)?;
    }
    described(py, &edit, recovered)
}

/// What was or would be changed.
fn described<'py>(
    py: Python<'py>,
    edit: &Edit,
    recovered: Recovered,
) -> PyResult<Bound<'py, PyDict>> {
    let (way, bytes) = match edit.way() {
        Way::Nothing => ("nothing", 0),
        Way::InPlace { bytes } => ("in_place", bytes),
        Way::Copy { bytes } => ("copy", bytes),
    };
    let mut changed = diff::metadata(edit.before(), edit.after());
    changed.retain(|change| change.key != ROOM);
    let renamed = PyDict::new(py);
    for (before, after) in edit.renamed() {
        renamed.set_item(before, after)?;
    }
    let dict = PyDict::new(py);
    dict.set_item("way", way)?;
    dict.set_item("bytes_written", bytes)?;
    dict.set_item("room", edit.room())?;
    dict.set_item("metadata", of_metadata(py, &changed)?)?;
    dict.set_item("renamed_tensors", renamed)?;
    let recovered = match recovered {
        Recovered::Nothing => None,
        Recovered::Old => Some("old"),
        Recovered::New => Some("new"),
    };
    dict.set_item("recovered", recovered)?;
    Ok(dict)
}

/// The pairs of texts of a mapping.
fn pairs(given: &Bound<'_, PyAny>, argument: &str) -> PyResult<Vec<(String, String)>> {
    let wrong = || PyTypeError::new_err(format!("{argument} must be a mapping from str to str"));
    let items = given.call_method0("items").map_err(|_| wrong())?;
    let pair = |item: PyResult<Bound<'_, PyAny>>| item?.extract().map_err(|_| wrong());
    items.try_iter()?.map(pair).collect()
}

/// The names that a function gives other ones, with these.
fn named_by(function: &Bound<'_, PyAny>, file: &Model) -> PyResult<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for tensor in file.tensors() {
        let Ok(name) = function.call1((tensor.name(),))?.extract::<String>() else {
            return Err(PyTypeError::new_err("rename_tensors must return the name of a tensor"));
        };
        if name != tensor.name() {
            pairs.push((tensor.name().to_owned(), name));
        }
    }
    Ok(pairs)
}

/// Keys and values, which have the type of what the changes so far leave under the key.
fn values(
    set: &Bound<'_, PyAny>,
    metadata: &Metadata,
    changes: &[Change],
) -> PyResult<Vec<(String, Value)>> {
    let Ok(items) = set.call_method0("items") else {
        return Err(PyTypeError::new_err("set must be a mapping from keys to values"));
    };
    let mut values = Vec::new();
    for item in items.try_iter()? {
        let item = item?;
        let pair = item.cast::<PyTuple>()?;
        let key: String = pair.get_item(0)?.extract()?;
        let given = pair.get_item(1)?;
        let value = match present(&key, metadata, changes) {
            Some(present) => value::like(&given, present),
            None => value::from_python(&given),
        };
        let place = format!("key {key:?}");
        values.push((key, value.map_err(|error| noted(set.py(), error, &place))?));
    }
    Ok(values)
}

/// The value of a key after removals and renamings.
fn present<'m>(key: &str, metadata: &'m Metadata, changes: &[Change]) -> Option<&'m Value> {
    let mut key = key;
    for change in changes.iter().rev() {
        match change {
            Change::Remove(removed) if removed == key => return None,
            Change::Rename { from, to } if to == key => key = from,
            Change::Rename { from, .. } if from == key => return None,
            _ => {}
        }
    }
    metadata.get(key)
}
