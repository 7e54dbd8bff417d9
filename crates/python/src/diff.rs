//! Two models compared.

use std::collections::HashSet;
use std::sync::Arc;

use granule_convert::diff::{
    self, Described, DiffOptions, Difference, Errors, MetadataChange, Tensors,
};
use granule_format::Value;
use granule_reader::Source;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::error::Raise;
use crate::source::{Opened, source};
use crate::value;
use crate::watch::{bounded, watch};

/// Compare two models: their metadata, their tensors and the values in these.
///
/// Each is a path, a Source or a Model; a checkpoint is compared as the file that it becomes.
/// `filter` chooses keys and names of tensors: a pattern of `re` that is searched in them, or a
/// function. Returns a dict: "same" tells whether there is no difference, "metadata" has a dict for
/// each key that differs, "tensors" the number of tensors that are the same and a dict for each
/// difference, the greatest relative error first. Errors are those of `after` if the values of
/// `before` are taken for the true ones.
#[pyfunction]
#[pyo3(name = "diff")]
#[pyo3(signature = (
    before, after, *, metadata = true, tensors = true, filter = None, threads = None
))]
pub(crate) fn diff_models<'py>(
    py: Python<'py>,
    before: &Bound<'py, PyAny>,
    after: &Bound<'py, PyAny>,
    metadata: bool,
    tensors: bool,
    filter: Option<&Bound<'py, PyAny>>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyDict>> {
    let (before, after) = (source(before)?, source(after)?);
    let chosen = filter.map(|filter| chosen(filter, [&before, &after])).transpose()?;
    let wanted = |name: &str| chosen.as_ref().is_none_or(|chosen| chosen.contains(name));
    let (one, other) = (before.source(), after.source());
    let found = PyDict::new(py);
    let mut same = true;
    found.set_item("same", same)?;
    if metadata {
        let mut changes = diff::metadata(one.metadata(), other.metadata());
        changes.retain(|change| wanted(change.key));
        same &= changes.is_empty();
        found.set_item("metadata", of_metadata(py, &changes)?)?;
    }
    if tensors {
        let threads = threads.filter(|threads| *threads > 0).map(bounded);
        let compared = watch(py, |stop| {
            let options = DiffOptions { filter: &wanted, threads, stop: Some(stop) };
            diff::tensors(one, other, &options, &|_| {})
        })?;
        let Tensors { same: number, differences } = compared.map_err(Raise::raise)?;
        same &= differences.is_empty();
        let differences: Vec<_> =
            differences.iter().map(|it| of_tensor(py, it)).collect::<PyResult<_>>()?;
        let dict = PyDict::new(py);
        dict.set_item("same", number)?;
        dict.set_item("differences", PyList::new(py, differences)?)?;
        found.set_item("tensors", dict)?;
    }
    found.set_item("same", same)?;
    Ok(found)
}

/// The keys and the names of tensors that a pattern or a function chooses.
fn chosen(filter: &Bound<'_, PyAny>, models: [&Arc<Opened>; 2]) -> PyResult<HashSet<String>> {
    let function = match filter.is_instance_of::<PyString>() {
        true => filter.py().import("re")?.call_method1("compile", (filter,))?.getattr("search")?,
        false => filter.clone(),
    };
    let mut chosen = HashSet::new();
    for model in models {
        let model: &dyn Source = model.source();
        let keys = model.metadata().iter().map(|entry| entry.key.as_str());
        for name in keys.chain(model.tensors().iter().map(|tensor| tensor.name.as_str())) {
            if !chosen.contains(name) && function.call1((name,))?.is_truthy()? {
                chosen.insert(name.to_owned());
            }
        }
    }
    Ok(chosen)
}

/// Keys that differ: a dict for each, with the values and their types. What is not there is None.
pub(crate) fn of_metadata<'py>(
    py: Python<'py>,
    changes: &[MetadataChange<'_>],
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for change in changes {
        let dict = PyDict::new(py);
        dict.set_item("key", change.key)?;
        let side = |name: &str, value: Option<&Value>| {
            let python = value.map(|value| value::to_python(py, value)).transpose()?;
            dict.set_item(name, python)?;
            dict.set_item(format!("{name}_type"), value.map(value::type_name))
        };
        side("before", change.before)?;
        side("after", change.after)?;
        if let Some(positions) = &change.positions {
            dict.set_item("differing_elements", positions.count)?;
            dict.set_item("first_differing", &positions.first)?;
        }
        list.append(dict)?;
    }
    Ok(list)
}

fn of_tensor<'py>(py: Python<'py>, difference: &Difference) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let described = |is: &Described| {
        let described = PyDict::new(py);
        described.set_item("type", is.ty.to_string())?;
        // in the order of numpy
        let shape = is.shape.dimensions().iter().rev();
        described.set_item("shape", PyTuple::new(py, shape)?)?;
        Ok::<_, PyErr>(described)
    };
    let kind = match difference {
        Difference::Removed { name, described: is } => {
            dict.set_item("name", name)?;
            dict.set_item("before", described(is)?)?;
            "removed"
        }
        Difference::Added { name, described: is } => {
            dict.set_item("name", name)?;
            dict.set_item("after", described(is)?)?;
            "added"
        }
        Difference::Renamed { before, after, described: is } => {
            dict.set_item("name", before)?;
            dict.set_item("after_name", after)?;
            dict.set_item("before", described(is)?)?;
            "renamed"
        }
        Difference::Shape { name, before, after } => {
            dict.set_item("name", name)?;
            dict.set_item("before", described(before)?)?;
            dict.set_item("after", described(after)?)?;
            "shape"
        }
        Difference::Values { name, before, after, errors } => {
            dict.set_item("name", name)?;
            dict.set_item("before", before.to_string())?;
            dict.set_item("after", after.to_string())?;
            dict.set_item("errors", errors.map(|errors| of_values(py, &errors)).transpose()?)?;
            "values"
        }
        _ => "other",
    };
    dict.set_item("kind", kind)?;
    Ok(dict)
}

fn of_values<'py>(py: Python<'py>, errors: &Errors) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("differing", errors.differing)?;
    dict.set_item("relative", errors.relative)?;
    dict.set_item("greatest", errors.greatest)?;
    dict.set_item("greatest_at", errors.greatest_at)?;
    dict.set_item("cosine", errors.cosine)?;
    dict.set_item("not_finite", errors.not_finite)?;
    Ok(dict)
}
