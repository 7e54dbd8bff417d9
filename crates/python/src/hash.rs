//! Hashes of tensor data.

use std::path::PathBuf;

use granule_convert::hash::manifest::{Manifest, ManifestError};
use granule_convert::hash::{self, Algorithm, HashOptions, Hashes};
use granule_reader::Source;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::error::{Raise, chain, exception};
use crate::source::source;
use crate::watch::{bounded, watch};

/// Hash the data of a model: of each tensor, and of all together.
///
/// `model` is a path, a Source or a Model; a checkpoint is hashed as the file that it becomes, and
/// a split set as the file that it would be joined to. `algorithms` are "sha256", "blake3", "sha1",
/// "xxh64" and "uuid". Returns a dict for each: "whole", and if `tensors` is true "tensors", which
/// maps their names to hashes. All hashes are hexadecimal digits, those of llama-gguf-hash.
#[pyfunction]
#[pyo3(name = "hash")]
#[pyo3(signature = (model, algorithms = None, *, tensors = true, threads = None))]
pub(crate) fn hash_model<'py>(
    py: Python<'py>,
    model: &Bound<'py, PyAny>,
    algorithms: Option<Vec<String>>,
    tensors: bool,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let algorithms = match algorithms {
        Some(names) => named(&names)?,
        None => vec![Algorithm::Sha256],
    };
    let opened = source(model)?;
    let model = opened.source();
    let found = hashes(py, model, &algorithms, tensors, threads)?;
    let all = PyDict::new(py);
    for Hashes { algorithm, tensors: of_tensors, whole } in found {
        let dict = PyDict::new(py);
        dict.set_item("whole", whole)?;
        if tensors && algorithm.is_for_tensors() {
            let names = PyDict::new(py);
            for (tensor, hash) in model.tensors().iter().zip(of_tensors) {
                names.set_item(&tensor.name, hash)?;
            }
            dict.set_item("tensors", names)?;
        }
        all.set_item(algorithm.name(), dict)?;
    }
    Ok(all)
}

/// Compare the hashes of a model with a manifest, as `granule hash` and llama-gguf-hash write it.
///
/// `manifest` is the path of the file. `name` is that of the model in it, if the manifest is about
/// several; without it, its path. Without `algorithms` the strongest of the manifest is used.
/// Returns a dict for each hash: "algorithm", "tensor" (None for the data of all), "hash", and
/// "outcome", which is "same", "differs", "not_listed" (the manifest says nothing about it) or
/// "missing" (the model lacks the tensor).
#[pyfunction]
#[pyo3(signature = (model, manifest, *, name = None, algorithms = None, threads = None))]
pub(crate) fn check_hashes<'py>(
    py: Python<'py>,
    model: &Bound<'py, PyAny>,
    manifest: PathBuf,
    name: Option<String>,
    algorithms: Option<Vec<String>>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyList>> {
    let opened = source(model)?;
    let model = opened.source();
    let text = std::fs::read_to_string(&manifest)?;
    let manifest = Manifest::parse(&text).map_err(Raise::raise)?;
    let strongest = Algorithm::STRONGEST_FIRST.iter().copied();
    let strongest = strongest.filter(|algorithm| manifest.algorithms().contains(algorithm));
    let algorithms = match algorithms {
        Some(names) => named(&names)?,
        None => strongest.take(1).collect(),
    };
    let name = name.unwrap_or_else(|| {
        model.inputs().first().map(|path| path.display().to_string()).unwrap_or_default()
    });
    let of_tensors = manifest.has_tensors(&name, model).map_err(Raise::raise)?;
    let found = hashes(py, model, &algorithms, of_tensors, threads)?;
    let list = PyList::empty(py);
    for compared in manifest.compare(&name, model, &found).map_err(Raise::raise)? {
        let dict = PyDict::new(py);
        dict.set_item("algorithm", compared.algorithm.name())?;
        dict.set_item("tensor", compared.tensor)?;
        dict.set_item("hash", Some(compared.hash).filter(|hash| !hash.is_empty()))?;
        dict.set_item("outcome", compared.outcome.name())?;
        list.append(dict)?;
    }
    Ok(list)
}

fn hashes(
    py: Python<'_>,
    model: &dyn Source,
    algorithms: &[Algorithm],
    tensors: bool,
    threads: Option<usize>,
) -> PyResult<Vec<Hashes>> {
    let threads = threads.filter(|threads| *threads > 0).map(bounded);
    let found = watch(py, |stop| {
        let options = HashOptions { algorithms, tensors, threads, stop: Some(stop) };
        hash::hash(model, &options, &|_| {})
    })?;
    found.map_err(Raise::raise)
}

fn named(names: &[String]) -> PyResult<Vec<Algorithm>> {
    let known = || {
        let names: Vec<&str> = Algorithm::ALL.iter().map(|it| it.name()).collect();
        names.join(", ")
    };
    let algorithm = |name: &String| {
        Algorithm::from_name(name).ok_or_else(|| {
            PyValueError::new_err(format!("{name:?} is no hash; it can be {}", known()))
        })
    };
    names.iter().map(algorithm).collect()
}

impl Raise for ManifestError {
    fn raise(self) -> PyErr {
        exception("ManifestError", chain(&self))
    }
}
