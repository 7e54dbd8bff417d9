//! Plans and conversions.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use granule_convert::plan::run_all;
use granule_convert::recipe::Split;
use granule_convert::run::{Event, Part, PartError, RunOptions, Summary};
use granule_convert::{Plan, Recipe};
use granule_encode::Effort;
use granule_format::FileType;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::calibrate::Arguments;
use crate::error::{Raise, exception};
use crate::importance::importance;
use crate::json;
use crate::watch::{bounded, watch_with};

/// Return the plan of a conversion as a dict: the type of every tensor with the reason.
///
/// `convert` runs it, as it is or edited. Options are those of a recipe: pure,
/// leave_output_tensor, output_tensor_type, token_embedding_type, tensor_types (a list of
/// "REGEX=TYPE"), prune_layers, keep_split, split, override_kv (a list of "KEY=TYPE:VALUE"),
/// allow_requantize, allow_missing, allow_invalid, no_fallback, include_weights, exclude_weights.
#[pyfunction]
#[pyo3(signature = (source, r#type, *, imatrix = None, effort = 0, **options))]
pub(crate) fn plan<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    r#type: &str,
    imatrix: Option<&Bound<'py, PyAny>>,
    effort: u8,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let source = crate::source::source(source)?;
    let importance = imatrix.map(importance).transpose()?;
    let importance = importance.as_ref().map(|it| it.get().matrix());
    let recipe = recipe(py, r#type, effort, options)?;
    let plan = py.detach(|| Plan::new(source.source(), &recipe, importance));
    json::parse(py, &plan.map_err(Raise::raise)?.to_json())
}

/// Convert a checkpoint or a GGUF file.
///
/// `source` is a path, a Source or a Model. `type` is a file type such as "Q4_K_M", `plan` a dict
/// from `plan` in its place; without both, a checkpoint gets the type of its source. `progress` is
/// called with a Progress now and then; what it raises ends the run, as Ctrl-C does. A run that was
/// interrupted is continued by the same call. `part`, such as "3/16", writes a part of the files of
/// a split result, so that several machines can write one.
///
/// With `effort=1` better codes are searched for longer. With `effort=2` the model runs over texts
/// while it is quantized, and the codes of each matrix make up for each other's errors:
/// `calibrate` is a list of texts, or True for texts of this package, and `calibration_chunks`
/// bounds the number of their chunks. `save_statistics` saves to a file what the run tells, and
/// `statistics` uses such a file in place of a run.
#[pyfunction]
#[pyo3(signature = (
    source, output, r#type = None, *, plan = None, imatrix = None, effort = 0, calibrate = None,
    calibration_chunks = None, statistics = None, save_statistics = None, threads = None,
    verify = false, restart = false, part = None, progress = None, **options
))]
#[allow(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn convert<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    output: PathBuf,
    r#type: Option<&str>,
    plan: Option<&Bound<'py, PyAny>>,
    imatrix: Option<&Bound<'py, PyAny>>,
    effort: u8,
    calibrate: Option<&Bound<'py, PyAny>>,
    calibration_chunks: Option<usize>,
    statistics: Option<PathBuf>,
    save_statistics: Option<PathBuf>,
    threads: Option<usize>,
    verify: bool,
    restart: bool,
    part: Option<&str>,
    progress: Option<Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<PySummary> {
    granule_convert::run::check_output(&output).map_err(Raise::raise)?;
    let part: Option<Part> = part
        .map(|part| {
            part.parse().map_err(|error: PartError| PyValueError::new_err(error.to_string()))
        })
        .transpose()?;
    let source = crate::source::source(source)?;
    let inputs = imatrix.and_then(|given| given.extract::<PathBuf>().ok());
    let inputs: Vec<PathBuf> = inputs.into_iter().chain(statistics.clone()).collect();
    let importance = imatrix.map(importance).transpose()?;
    let importance = importance.as_ref().map(|it| it.get().matrix());
    let chosen = match (r#type, plan) {
        (Some(_), Some(_)) => {
            return Err(PyTypeError::new_err("give type or plan, not both: a plan has its types"));
        }
        (None, Some(plan)) if options.is_none() => {
            let text = match plan.extract::<String>() {
                Ok(text) => text,
                Err(_) => json::write(plan)?,
            };
            Plan::from_json(&text, source.source(), importance)
        }
        (None, Some(_)) => {
            return Err(PyTypeError::new_err("a plan has its options: make it with them"));
        }
        (Some(name), None) => {
            let recipe = recipe(py, name, effort, options)?;
            py.detach(|| Plan::new(source.source(), &recipe, importance))
        }
        (None, None) if options.is_some() || !source.has_a_type() => {
            return Err(PyTypeError::new_err("no file type given: pass one, such as \"Q4_K_M\""));
        }
        (None, None) => Plan::as_is(source.source(), &Split::NONE, false),
    };
    let chosen = chosen.map_err(Raise::raise)?;
    let given =
        Arguments { calibrate, chunks: calibration_chunks, statistics, save: save_statistics };
    let calibration = given.calibration(py, &source, &chosen)?.map(Arc::new);
    let (events, received) = channel();
    let events = Mutex::new(events);
    let callback = progress.map(|progress| progress.unbind());
    let (last, warnings) = (PyProgress::default(), source.warnings().to_vec());
    let mut reported = Reported { received, callback, last, warnings };
    let result = watch_with(
        py,
        |py| reported.tell(py),
        |stop| {
            let options = RunOptions {
                threads: threads.filter(|threads| *threads > 0).map(bounded),
                restart,
                verify,
                inputs,
                calibration,
                stop: Some(stop.clone()),
                part,
                ..RunOptions::default()
            };
            let plans = [(&chosen, output.as_path())];
            run_all(source.source(), &plans, importance, &options, &|event| send(&events, &event))
        },
    )?;
    let mut warnings = reported.warnings;
    warnings.extend(chosen.warnings().iter().map(ToString::to_string));
    result.map(|summary| PySummary { summary, warnings }).map_err(Raise::raise)
}

/// The recipe of a file type and options.
fn recipe(
    py: Python<'_>,
    name: &str,
    effort: u8,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Recipe> {
    let file_type: FileType = name.parse().map_err(Raise::raise)?;
    let dict = PyDict::new(py);
    if let Some(options) = options {
        dict.update(options.as_mapping())?;
    }
    if dict.contains("file_type")? || dict.contains("effort")? {
        return Err(PyTypeError::new_err("file_type and effort are arguments of their own"));
    }
    dict.set_item("file_type", file_type.name())?;
    let text = json::write(&dict)?;
    let recipe: Recipe = serde_json::from_str(&text)
        .map_err(|error| exception("PlanError", format!("the options do not fit: {error}")))?;
    let effort = Effort::from_number(effort)
        .ok_or_else(|| PyValueError::new_err("effort can be 0, 1 or 2"))?;
    Ok(Recipe { effort, ..recipe })
}

/// Passes an event on to the thread that called.
fn send(events: &Mutex<Sender<Told>>, event: &Event<'_>) {
    let told = match event {
        Event::Started { values, tensors, resumed } => {
            Told::Started { values: *values, tensors: *tensors, resumed: *resumed }
        }
        Event::Tensor { name } => Told::Tensor((*name).to_owned()),
        Event::Progress { values } => Told::Values(*values),
        Event::Finishing => Told::Stage("finishing"),
        Event::Verifying => Told::Stage("verifying"),
        Event::FewInputs { tensor, expert, inputs, matrices } => Told::Warning(format!(
            "{tensor}: expert {expert} met {inputs} tokens of the texts; matrices of experts that \
             met few ({matrices} in all) are encoded with the mean of all experts"
        )),
        Event::ChunkLost { lost } => Told::Warning(lost.to_string()),
        _ => return,
    };
    let events = events.lock().unwrap_or_else(|poison| poison.into_inner());
    // nobody listens any more once the run has been stopped
    let _ = events.send(told);
}

enum Told {
    Started { values: u64, tensors: usize, resumed: usize },
    Tensor(String),
    Values(u64),
    Stage(&'static str),
    Warning(String),
}

/// What has been told of a run, and whom to tell.
struct Reported {
    received: Receiver<Told>,
    callback: Option<Py<PyAny>>,
    last: PyProgress,
    warnings: Vec<String>,
}

impl Reported {
    /// Calls the caller's function with the latest state, if there is anything new.
    fn tell(&mut self, py: Python<'_>) -> PyResult<()> {
        let mut is_new = false;
        for told in self.received.try_iter() {
            is_new = true;
            match told {
                Told::Started { values, tensors, resumed } => {
                    (self.last.total_values, self.last.tensors) = (values, tensors);
                    (self.last.resumed, self.last.stage) = (resumed, "encoding");
                }
                Told::Tensor(name) => self.last.tensor = Some(name),
                // chunks of different threads arrive in any order
                Told::Values(values) => self.last.values = self.last.values.max(values),
                Told::Stage(stage) => self.last.stage = stage,
                Told::Warning(text) => self.warnings.push(text),
            }
        }
        match &self.callback {
            Some(callback) if is_new => callback.call1(py, (self.last.clone(),)).map(|_| ()),
            _ => Ok(()),
        }
    }
}

/// How far a conversion is.
#[pyclass(frozen, get_all, module = "granule_gguf", name = "Progress")]
#[derive(Clone)]
pub(crate) struct PyProgress {
    /// "opening", "encoding", "finishing" or "verifying".
    stage: &'static str,
    /// Values that are written.
    values: u64,
    /// Values that are to be written.
    total_values: u64,
    /// The tensor that was begun last.
    tensor: Option<String>,
    /// Tensors that are to be read.
    tensors: usize,
    /// Tensors that an interrupted run has completed.
    resumed: usize,
}

impl Default for PyProgress {
    fn default() -> Self {
        let (values, total_values, tensors, resumed) = (0, 0, 0, 0);
        Self { stage: "opening", values, total_values, tensor: None, tensors, resumed }
    }
}

#[pymethods]
impl PyProgress {
    /// The part of the values that are written, from 0 to 1.
    #[getter]
    fn fraction(&self) -> f64 {
        match self.total_values {
            0 => 0.0,
            total => self.values as f64 / total as f64,
        }
    }

    fn __repr__(&self) -> String {
        format!("<Progress {}: {:.1} %>", self.stage, 100.0 * self.fraction())
    }
}

/// The result of a conversion.
#[pyclass(frozen, module = "granule_gguf", name = "Summary")]
pub(crate) struct PySummary {
    summary: Summary,
    warnings: Vec<String>,
}

#[pymethods]
impl PySummary {
    /// Pairs of paths and sizes in bytes of the files that were written.
    #[getter]
    fn files<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pair = |(path, bytes): &(PathBuf, u64)| (path.as_path().to_owned(), *bytes);
        PyList::new(py, self.summary.files.iter().map(pair))
    }

    /// Number of values that were read.
    #[getter]
    fn values(&self) -> u64 {
        self.summary.values
    }

    /// Bytes of tensor data in the files, without padding.
    #[getter]
    fn data_bytes(&self) -> u64 {
        self.summary.data_bytes
    }

    /// Tensors that an interrupted run had completed.
    #[getter]
    fn resumed(&self) -> usize {
        self.summary.resumed
    }

    /// Duration of the run.
    #[getter]
    fn seconds(&self) -> f64 {
        self.summary.elapsed.as_secs_f64()
    }

    /// Tensors and rows that were compared with the source; None if that was not asked for.
    #[getter]
    fn verified<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let verified = self.summary.verified.as_ref();
        verified.map(|it| (it.tensors, it.rows).into_pyobject(py)).transpose()
    }

    /// What was odd without being an error.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    fn __repr__(&self) -> String {
        let names = self.summary.files.iter().map(|(path, _)| path.display().to_string());
        format!("<Summary: {}>", names.collect::<Vec<_>>().join(", "))
    }
}
