//! JSON as Python values, and back: by the module `json`.

use std::fmt::Display;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::Value as Json;

/// The exception for JSON that cannot be read or written.
pub(crate) fn failed(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Returns the value as `dict`, `list`, `str`, `int`, `float`, `bool` or None.
pub(crate) fn to_python<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    parse(py, &json.to_string())
}

/// Returns the value of a JSON text.
pub(crate) fn parse<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (text,))
}

/// Returns a Python value as JSON text.
pub(crate) fn write(value: &Bound<'_, PyAny>) -> PyResult<String> {
    value.py().import("json")?.call_method1("dumps", (value,))?.extract()
}
