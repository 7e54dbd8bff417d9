//! The types of blocks.

use granule_encode::{Weighting, encoder};
use granule_format::BlockType;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A type of block: how values are stored.
#[pyclass(frozen, module = "granule_gguf", name = "BlockType", eq, hash)]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PyBlockType(pub(crate) BlockType);

#[pymethods]
impl PyBlockType {
    /// Its name, such as ``Q4_K``.
    #[getter]
    fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The number that stands in the tensor table.
    #[getter]
    fn id(&self) -> u32 {
        self.0.id()
    }

    /// Values in a block.
    #[getter]
    fn block_values(&self) -> usize {
        self.0.block_values()
    }

    /// Bytes of a block.
    #[getter]
    fn block_bytes(&self) -> usize {
        self.0.block_bytes()
    }

    /// The average number of bits for a value.
    #[getter]
    fn bits_per_value(&self) -> f64 {
        self.0.bits_per_value()
    }

    /// Whether it is made of blocks with a scale, rather than of plain numbers.
    #[getter]
    fn is_quantized(&self) -> bool {
        self.0.is_quantized()
    }

    /// How its encoder uses importance: "ignored", "optional" or "required"; None if the type can
    /// only be decoded.
    #[getter]
    fn importance(&self) -> Option<&'static str> {
        encoder(self.0).map(|encoder| match encoder.weighting() {
            Weighting::Ignored => "ignored",
            Weighting::Optional => "optional",
            Weighting::Required => "required",
        })
    }

    fn __repr__(&self) -> String {
        format!("<BlockType {}>", self.0)
    }

    fn __str__(&self) -> &'static str {
        self.0.name()
    }
}

/// Return all types of blocks, in the order of their numbers.
#[pyfunction]
pub(crate) fn block_types(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let types: PyResult<Vec<_>> =
        BlockType::ALL.iter().map(|ty| Bound::new(py, PyBlockType(*ty))).collect();
    PyTuple::new(py, types?)
}

/// Return the type of blocks with this name, in any case, or this number.
#[pyfunction]
pub(crate) fn block_type(r#type: &Bound<'_, PyAny>) -> PyResult<PyBlockType> {
    crate::array::block_type(r#type).map(PyBlockType)
}
