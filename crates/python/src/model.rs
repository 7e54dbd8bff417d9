//! Open files.

use std::path::PathBuf;
use std::sync::Arc;

use granule_format::{Endian, Metadata};
use granule_reader::Model;
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyDict, PyIterator, PyList, PyTuple};

use crate::error::Raise;
use crate::tensor::PyTensor;
use crate::value;

/// Open a GGUF file; if it is one of a split set, all its files.
#[pyfunction]
#[pyo3(signature = (path, *, mmap = true, alone = false))]
pub(crate) fn open(py: Python<'_>, path: PathBuf, mmap: bool, alone: bool) -> PyResult<PyModel> {
    let options = Model::options().alone(alone);
    let model = py.detach(|| match mmap {
        #[allow(unsafe_code, reason = "large models are not copied to memory")]
        // SAFETY: the documentation asks that files are not cut short while they are open, as that
        // of `numpy.memmap` does. Bytes that change are other numbers, not other code.
        true => unsafe { options.map(path) },
        false => options.open(path),
    });
    Ok(PyModel { model: Arc::new(model.map_err(Raise::raise)?) })
}

/// Open a GGUF file that is in memory.
#[pyfunction]
#[pyo3(signature = (data, *, alone = false))]
pub(crate) fn open_bytes(data: PyBackedBytes, alone: bool) -> PyResult<PyModel> {
    let model = Model::options().alone(alone).bytes(data);
    Ok(PyModel { model: Arc::new(model.map_err(Raise::raise)?) })
}

/// An open GGUF file, or all files of a split set: a mapping from names to tensors.
#[pyclass(frozen, mapping, module = "granule_gguf", name = "Model")]
pub(crate) struct PyModel {
    pub(crate) model: Arc<Model>,
}

impl PyModel {
    fn at(&self, index: usize) -> PyTensor {
        PyTensor::new(Arc::clone(&self.model), index)
    }
}

#[pymethods]
impl PyModel {
    /// The metadata; of a split set, that of its first file.
    #[getter]
    fn metadata(&self) -> PyMetadata {
        PyMetadata { model: Holder::File(Arc::clone(&self.model)) }
    }

    /// The tensors, in the order of the files.
    #[getter]
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let tensors: PyResult<Vec<_>> =
            (0..self.model.tensors().len()).map(|i| Bound::new(py, self.at(i))).collect();
        PyList::new(py, tensors?)
    }

    /// The paths of the files; empty if the file was given as bytes.
    #[getter]
    fn paths(&self) -> Vec<PathBuf> {
        let shards = self.model.shards().iter();
        shards.filter_map(|shard| shard.path().map(ToOwned::to_owned)).collect()
    }

    /// The version of the format.
    #[getter]
    fn version(&self) -> u32 {
        self.model.header().version()
    }

    /// The alignment of the tensors' data, in bytes.
    #[getter]
    fn alignment(&self) -> u32 {
        self.model.header().alignment()
    }

    /// The byte order of the file: "little" or "big".
    #[getter]
    fn byteorder(&self) -> &'static str {
        match self.model.header().endian() {
            Endian::Little => "little",
            Endian::Big => "big",
        }
    }

    /// Return the names of the tensors.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.model.tensors().map(|tensor| tensor.name()))
    }

    /// Return the tensors.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.tensors(py)
    }

    /// Return pairs of names and tensors.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pair = |(i, tensor): (usize, granule_reader::Tensor<'_>)| {
            Ok((tensor.name().to_owned(), Bound::new(py, self.at(i))?))
        };
        let pairs: PyResult<Vec<_>> = self.model.tensors().enumerate().map(pair).collect();
        PyList::new(py, pairs?)
    }

    /// Return the tensor with this name, or `default`.
    #[pyo3(signature = (name, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.model.tensor_index(name) {
            Some(index) => Ok(Some(Bound::new(py, self.at(index))?.into_any())),
            None => Ok(default),
        }
    }

    fn __getitem__(&self, name: &str) -> PyResult<PyTensor> {
        match self.model.tensor_index(name) {
            Some(index) => Ok(self.at(index)),
            None => Err(PyKeyError::new_err(name.to_owned())),
        }
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        name.extract::<String>().is_ok_and(|name| self.model.tensor(&name).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.try_iter()
    }

    fn __len__(&self) -> usize {
        self.model.tensors().len()
    }

    fn __repr__(&self) -> String {
        let path = self.paths().first().map(|path| path.display().to_string());
        let path = path.unwrap_or_else(|| "bytes".to_owned());
        format!("<Model {path}: {} tensors>", self.model.tensors().len())
    }
}

/// What has metadata.
pub(crate) enum Holder {
    File(Arc<Model>),
    Source(Arc<crate::source::Opened>),
}

/// Metadata entries, in the order of the file: a mapping from keys to Python values.
///
/// Values are made when they are asked for: the tokens of a vocabulary take a moment.
#[pyclass(frozen, mapping, module = "granule_gguf", name = "Metadata")]
pub(crate) struct PyMetadata {
    pub(crate) model: Holder,
}

impl PyMetadata {
    fn metadata(&self) -> &Metadata {
        match &self.model {
            Holder::File(model) => model.metadata(),
            Holder::Source(source) => source.source().metadata(),
        }
    }
}

#[pymethods]
impl PyMetadata {
    /// Return the keys.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.metadata().iter().map(|entry| entry.key.as_str()))
    }

    /// Return the values.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let values: PyResult<Vec<_>> =
            self.metadata().iter().map(|entry| value::to_python(py, &entry.value)).collect();
        PyList::new(py, values?)
    }

    /// Return pairs of keys and values.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pairs: PyResult<Vec<_>> = self
            .metadata()
            .iter()
            .map(|entry| Ok((entry.key.as_str(), value::to_python(py, &entry.value)?)))
            .collect();
        PyList::new(py, pairs?)
    }

    /// Return the value of a key, or `default`.
    #[pyo3(signature = (key, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.metadata().get(key) {
            Some(value) => value::to_python(py, value).map(Some),
            None => Ok(default),
        }
    }

    /// Return the type that the value of a key is stored with, such as "U32", "String" or
    /// "Array[F32]".
    fn type_of(&self, key: &str) -> PyResult<String> {
        let value = self.metadata().get(key);
        let value = value.ok_or_else(|| PyKeyError::new_err(key.to_owned()))?;
        Ok(value::type_name(value))
    }

    /// Return all entries as a dict.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for entry in self.metadata() {
            dict.set_item(entry.key.as_str(), value::to_python(py, &entry.value)?)?;
        }
        Ok(dict)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.metadata().get(key) {
            Some(value) => value::to_python(py, value),
            None => Err(PyKeyError::new_err(key.to_owned())),
        }
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> bool {
        key.extract::<String>().is_ok_and(|key| self.metadata().get(&key).is_some())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.try_iter()
    }

    fn __len__(&self) -> usize {
        self.metadata().len()
    }

    fn __repr__(&self) -> String {
        format!("<Metadata: {} entries>", self.metadata().len())
    }
}

/// Returns metadata made of a mapping.
pub(crate) fn metadata(given: Option<&Bound<'_, PyAny>>) -> PyResult<Metadata> {
    let mut metadata = Metadata::new();
    let Some(given) = given else { return Ok(metadata) };
    if let Ok(copied) = given.cast::<PyMetadata>() {
        return Ok(copied.get().metadata().clone());
    }
    let Ok(items) = given.call_method0("items") else {
        return Err(PyTypeError::new_err("metadata must be a mapping from keys to values"));
    };
    for item in items.try_iter()? {
        let item = item?;
        let pair = item.cast::<PyTuple>()?;
        let key: String = pair.get_item(0)?.extract()?;
        let value = value::from_python(&pair.get_item(1)?)
            .map_err(|error| crate::error::noted(pair.py(), error, &format!("key {key:?}")))?;
        metadata.set(&key, value);
    }
    Ok(metadata)
}
