//! Importance matrices.

use std::path::PathBuf;

use granule_convert::WholeFile;
use granule_encode::Importance;
use numpy::PyArray1;
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyTuple};

use crate::array;
use crate::error::Raise;

/// An importance matrix: a mapping from names of tensors to a weight for each column.
#[pyclass(frozen, mapping, module = "granule_gguf", name = "Importance")]
pub(crate) struct PyImportance(Importance);

impl PyImportance {
    pub(crate) fn of(matrix: Importance) -> Self {
        Self(matrix)
    }

    pub(crate) fn matrix(&self) -> &Importance {
        &self.0
    }
}

/// Returns the matrix that is meant: an `Importance`, or the path of a file.
pub(crate) fn importance<'py>(given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyImportance>> {
    if let Ok(importance) = given.cast::<PyImportance>() {
        return Ok(importance.clone());
    }
    let path: PathBuf = given.extract().map_err(|_| {
        PyTypeError::new_err("an importance matrix is an Importance or the path of a file")
    })?;
    let read = given.py().detach(|| Importance::read(&path)).map_err(Raise::raise)?;
    Bound::new(given.py(), PyImportance(read))
}

#[pymethods]
impl PyImportance {
    /// Make an importance matrix of a mapping from names of tensors to weights.
    #[new]
    #[pyo3(signature = (weights, *, name = "made in Python", datasets = None))]
    fn new(
        weights: &Bound<'_, PyAny>,
        name: &str,
        datasets: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let mut matrix = Importance::new(name);
        matrix.set_texts(datasets.unwrap_or_default(), 0, 0);
        for item in weights.call_method0("items")?.try_iter()? {
            let item = item?;
            let pair = item.cast::<PyTuple>()?;
            let name: String = pair.get_item(0)?.extract()?;
            let values = array::floats(&pair.get_item(1)?)?;
            let values = values.as_slice()?.to_vec();
            matrix.insert(name, values).map_err(Raise::raise)?;
        }
        Ok(Self(matrix))
    }

    /// Read a file of either form: GGUF, or the older .dat.
    #[staticmethod]
    fn read(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| Importance::read(&path)).map(Self).map_err(Raise::raise)
    }

    /// Write a GGUF file, as llama-imatrix does.
    fn write(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| {
            let mut file = WholeFile::create(&path, &[]).map_err(Raise::raise)?;
            self.0.write(&mut file).map_err(Raise::raise)?;
            file.finish().map_err(Raise::raise)
        })
    }

    /// The names of the sample texts that the model was run over.
    #[getter]
    fn datasets(&self) -> Vec<String> {
        self.0.datasets().to_vec()
    }

    /// Return the names of the tensors with weights, sorted.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.names())
    }

    fn __getitem__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.0.get(name) {
            Some(weights) => Ok(PyArray1::from_slice(py, weights).into_any()),
            None => Err(PyKeyError::new_err(name.to_owned())),
        }
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<String>().is_ok_and(|name| self.0.get(&name).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.try_iter()
    }

    fn __len__(&self) -> usize {
        self.0.names().len()
    }

    fn __repr__(&self) -> String {
        format!("<Importance {:?}: {} tensors>", self.0.file(), self.0.names().len())
    }
}
