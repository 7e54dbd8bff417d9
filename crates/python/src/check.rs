//! The validator.

use std::path::{Path, PathBuf};

use granule_convert::check::{check_bytes as check_all, check_file};
use granule_format::check::{Field, FileKind, Finding, Options, Report, rule as rule_named};
use granule_reader::FileMap;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyDict, PyList};
use serde_json::Value as Json;

use crate::error::Raise;
use crate::watch::{pool, watch};

/// Check a file: find everything that is wrong with it.
///
/// Other files of the same split set are looked at too. With `structure_only` the contents of the
/// tensors are skipped.
#[pyfunction]
#[pyo3(signature = (path, *, structure_only = false, threads = None))]
pub(crate) fn check(
    py: Python<'_>,
    path: PathBuf,
    structure_only: bool,
    threads: Option<usize>,
) -> PyResult<PyReport> {
    // SAFETY: the documentation asks that the file is not cut short meanwhile. Nothing is kept of
    // what was read.
    #[allow(unsafe_code, reason = "files larger than the memory are checked too")]
    let file = unsafe { FileMap::open(&path) }.map_err(Raise::raise)?;
    let pool = pool(threads)?;
    let report =
        watch(py, |stop| pool.install(|| check_file(&path, &file, structure_only, Some(stop))))?;
    finished(report)
}

/// Check the bytes of a file.
#[pyfunction]
#[pyo3(signature = (data, *, name = None, structure_only = false, threads = None))]
pub(crate) fn check_bytes(
    py: Python<'_>,
    data: PyBackedBytes,
    name: Option<String>,
    structure_only: bool,
    threads: Option<usize>,
) -> PyResult<PyReport> {
    let options = Options::default()
        .with_structure_only(structure_only)
        .with_needed(granule_checkpoint::arch::needed);
    let base = name.as_deref().map(|name| Path::new(name).file_name().unwrap_or_default());
    let base = base.and_then(|base| base.to_str());
    let options = base.map_or(options, |base| options.with_name(base));
    let pool = pool(threads)?;
    let report = watch(py, |stop| pool.install(|| check_all(&data, &options, Some(stop))))?;
    finished(report)
}

fn finished(report: Option<Report>) -> PyResult<PyReport> {
    // an interruption has been raised before this
    let stopped = || pyo3::exceptions::PyKeyboardInterrupt::new_err(());
    report.map(PyReport).ok_or_else(stopped)
}

/// Return the page of a rule in Markdown: what is wrong, why it is bad, how to fix it.
#[pyfunction]
pub(crate) fn explain(rule: &str) -> PyResult<String> {
    let found = rule_named(rule).or_else(|| rule_named(&rule.to_ascii_uppercase()));
    found
        .map(|rule| rule.page.to_owned())
        .ok_or_else(|| PyKeyError::new_err(format!("there is no rule {rule}")))
}

/// What a check has found.
#[pyclass(frozen, module = "granule_gguf", name = "Report")]
pub(crate) struct PyReport(Report);

#[pymethods]
impl PyReport {
    /// The findings, by their place in the file.
    #[getter]
    fn findings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let findings: PyResult<Vec<_>> =
            self.0.findings.iter().map(|one| Bound::new(py, PyFinding(one.clone()))).collect();
        PyList::new(py, findings?)
    }

    /// Number of findings that make the file invalid.
    #[getter]
    fn errors(&self) -> usize {
        self.0.errors()
    }

    /// Number of findings that do not.
    #[getter]
    fn warnings(&self) -> usize {
        self.0.warnings()
    }

    /// Whether the file is valid.
    #[getter]
    fn valid(&self) -> bool {
        self.0.is_valid(false)
    }

    /// Length of the file in bytes.
    #[getter]
    fn file_bytes(&self) -> u64 {
        self.0.file_bytes
    }

    /// Whether the contents of blocks were checked.
    #[getter]
    fn blocks_checked(&self) -> bool {
        self.0.blocks_checked
    }

    /// What to do with a file that is of another kind; None for a GGUF file.
    #[getter]
    fn advice(&self) -> Option<&'static str> {
        (self.0.kind != FileKind::Gguf).then(|| self.0.kind.advice())
    }

    /// Return whether the file is valid; with `strict`, warnings count as errors.
    #[pyo3(signature = (*, strict = false))]
    fn is_valid(&self, strict: bool) -> bool {
        self.0.is_valid(strict)
    }

    /// Return the report as a dict, in the form of `granule check --json`.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let json = serde_json::to_value(&self.0).map_err(crate::json::failed)?;
        crate::json::to_python(py, &json)
    }

    fn __bool__(&self) -> bool {
        self.0.is_valid(false)
    }

    fn __repr__(&self) -> String {
        let verdict = if self.0.is_valid(false) { "valid" } else { "invalid" };
        format!("<Report: {verdict}, {} findings>", self.0.findings.len())
    }
}

/// A violation of a rule, and its place in the file.
#[pyclass(frozen, module = "granule_gguf", name = "Finding")]
pub(crate) struct PyFinding(Finding);

#[pymethods]
impl PyFinding {
    /// The id of the rule, such as "H003"; `explain` has its page.
    #[getter]
    fn rule(&self) -> &'static str {
        self.0.rule.id
    }

    /// The name of the rule.
    #[getter]
    fn name(&self) -> &'static str {
        self.0.rule.name
    }

    /// "error" or "warning".
    #[getter]
    fn severity(&self) -> String {
        self.0.rule.severity.to_string()
    }

    /// The first violation, in bytes from the start of the file.
    #[getter]
    fn offset(&self) -> u64 {
        self.0.offset
    }

    /// The part of the file, such as `tensor "output.weight" block 17`.
    #[getter]
    fn place(&self) -> String {
        self.0.field.to_string()
    }

    /// The tensor that it is about, if it is about one.
    #[getter]
    fn tensor(&self) -> Option<String> {
        match &self.0.field {
            Field::Tensor { name } | Field::Block { name, .. } => Some(name.clone()),
            _ => None,
        }
    }

    /// What was found.
    #[getter]
    fn found(&self) -> &str {
        &self.0.found
    }

    /// What was expected.
    #[getter]
    fn expected(&self) -> &str {
        &self.0.expected
    }

    /// How many times the rule is broken there.
    #[getter]
    fn times(&self) -> u64 {
        self.0.times
    }

    /// Return the finding as a dict, in the form of `granule check --json`.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let json: Json = serde_json::to_value(&self.0).map_err(crate::json::failed)?;
        let dict = crate::json::to_python(py, &json)?;
        debug_assert!(dict.is_instance_of::<PyDict>());
        Ok(dict)
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Finding {}>", self.0)
    }
}
