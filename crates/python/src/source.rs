//! Sources of conversions: checkpoints and files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use granule_checkpoint::{Adapter, Checkpoint, CheckpointOptions, FurtherTokens, OutType};
use granule_convert::encode_blocks;
use granule_format::TensorType;
use granule_reader::{GgufSource, Source, SourceTensor, decode_blocks, isa::Isa};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::array::{self, DType, Output, Values};
use crate::error::{Raise, exception};
use crate::model::{Holder, PyMetadata, PyModel};
use crate::watch::watch;

/// An open source.
pub(crate) enum Opened {
    Checkpoint(Box<Checkpoint>),
    File(Box<GgufSource>),
}

impl Opened {
    /// Opens the folder or a file of a checkpoint, or a GGUF file.
    pub(crate) fn open(path: &Path, options: &CheckpointOptions) -> PyResult<Self> {
        if !path.is_dir() && !Checkpoint::has_file(path) {
            return GgufSource::open(path).map(Box::new).map(Self::File).map_err(Raise::raise);
        }
        let opened = Checkpoint::open(path, options);
        opened.map(Box::new).map(Self::Checkpoint).map_err(Raise::raise)
    }

    pub(crate) fn source(&self) -> &dyn Source {
        match self {
            Self::Checkpoint(source) => source.as_ref(),
            Self::File(source) => source.as_ref(),
        }
    }

    pub(crate) fn warnings(&self) -> &[String] {
        match self {
            Self::Checkpoint(source) => source.warnings(),
            Self::File(_) => &[],
        }
    }

    /// Whether it is a checkpoint, which can be converted without a file type.
    pub(crate) fn has_a_type(&self) -> bool {
        matches!(self, Self::Checkpoint(_))
    }
}

/// The options that a caller who names only a path gets.
pub(crate) fn default_options() -> CheckpointOptions {
    CheckpointOptions { encoder: Some(encode_blocks), ..CheckpointOptions::default() }
}

/// Returns the source that is meant: an open `Source`, the path of an open `Model`, or a path.
pub(crate) fn source(given: &Bound<'_, PyAny>) -> PyResult<Arc<Opened>> {
    if let Ok(source) = given.cast::<PySource>() {
        return Ok(Arc::clone(&source.get().opened));
    }
    let path = match given.cast::<PyModel>() {
        Ok(model) => model.get().model.shards()[0].path().map(Path::to_owned).ok_or_else(|| {
            PyValueError::new_err("the model was opened from bytes: a conversion needs a file")
        })?,
        Err(_) => given.extract::<PathBuf>().map_err(|_| {
            PyTypeError::new_err("a source is a path, a Source or a Model that has a path")
        })?,
    };
    given.py().detach(|| Opened::open(&path, &default_options())).map(Arc::new)
}

/// A model that can be converted: a checkpoint, seen as the GGUF file that it becomes, or a GGUF
/// file.
#[pyclass(frozen, module = "granule_gguf", name = "Source")]
pub(crate) struct PySource {
    pub(crate) opened: Arc<Opened>,
}

#[pymethods]
impl PySource {
    /// Open the folder of a checkpoint, one of its files, or a GGUF file.
    ///
    /// `outtype` is the type of a checkpoint's tensors as in convert_hf_to_gguf.py: "auto", "f32",
    /// "f16", "bf16", "q8_0", "tq1_0", "tq2_0" or "exact".
    #[new]
    #[pyo3(signature = (
        path, *, outtype = "auto", model_name = None, metadata = None, arch = None, lora = None,
        base = None, mmproj = false, vocab_only = false, mtp = None, fuse_qkv = false,
        fuse_gate_up_experts = false, fp8_as_q8 = false
    ))]
    #[allow(clippy::too_many_arguments, reason = "they have names in Python")]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        outtype: &str,
        model_name: Option<String>,
        metadata: Option<PathBuf>,
        arch: Option<PathBuf>,
        lora: Option<Vec<PathBuf>>,
        base: Option<PathBuf>,
        mmproj: bool,
        vocab_only: bool,
        mtp: Option<bool>,
        fuse_qkv: bool,
        fuse_gate_up_experts: bool,
        fp8_as_q8: bool,
    ) -> PyResult<Self> {
        let out_type = OutType::from_name(outtype).ok_or_else(|| {
            PyValueError::new_err(format!("{outtype:?} is not an outtype: use f16 or auto"))
        })?;
        let is_name = |arch: &PathBuf| !arch.exists() && arch.extension().is_none();
        let name = arch.as_ref().filter(|arch| is_name(arch));
        let options = CheckpointOptions {
            out_type,
            model_name,
            metadata,
            arch_name: name.and_then(|name| name.to_str()).map(str::to_owned),
            arch_file: arch.filter(|arch| !is_name(arch)),
            adapters: lora.unwrap_or_default().into_iter().map(adapter).collect(),
            base,
            projector: mmproj,
            vocabulary_only: vocab_only,
            further_tokens: match mtp {
                None => FurtherTokens::Keep,
                Some(true) => FurtherTokens::Only,
                Some(false) => FurtherTokens::LeaveOut,
            },
            fuse_qkv,
            fuse_gate_up_experts,
            float8_as_q8: fp8_as_q8,
            ..default_options()
        };
        let opened = py.detach(|| Opened::open(&path, &options))?;
        Ok(Self { opened: Arc::new(opened) })
    }

    /// The metadata of the file that it becomes.
    #[getter]
    fn metadata(&self) -> PyMetadata {
        PyMetadata { model: Holder::Source(Arc::clone(&self.opened)) }
    }

    /// The tensors of the file that it becomes: a dict for each, with name, shape and type.
    #[getter]
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let tensors: PyResult<Vec<_>> = self
            .opened
            .source()
            .tensors()
            .iter()
            .map(|tensor| {
                let dict = PyDict::new(py);
                dict.set_item("name", &tensor.name)?;
                dict.set_item("shape", PyTuple::new(py, shape(tensor))?)?;
                dict.set_item("type", tensor.ty.to_string())?;
                Ok(dict)
            })
            .collect();
        PyList::new(py, tensors?)
    }

    /// What is odd about the source without being an error.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.opened.warnings().to_vec()
    }

    /// Decode rows of the tensor with this name, as the file would have them, to float32.
    #[pyo3(signature = (name, rows = None))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        rows: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let source = self.opened.source();
        let index = source.tensors().iter().position(|tensor| tensor.name == name);
        let index = index.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        let tensor = &source.tensors()[index];
        let TensorType::Known(ty) = tensor.ty else {
            let message = format!("tensor {name:?}: type {} is unknown", tensor.ty);
            return Err(exception("UnsupportedError", message));
        };
        let dimensions = shape(tensor);
        let columns = dimensions.last().copied().unwrap_or(1);
        let count = tensor.shape.rows().and_then(|rows| usize::try_from(rows).ok());
        let range = array::range(rows, count.unwrap_or(0))?;
        let whole = if rows.is_none() { dimensions } else { vec![range.len(), columns] };
        Output::new(py, &whole, DType::F32)?.fill(|py, out| {
            let Values::F32(out) = out else { unreachable!("the array was made for float32") };
            let step = ((1 << 18) / columns.max(1)).max(1);
            watch(py, |stop| {
                let mut blocks = Vec::new();
                for (i, out) in out.chunks_mut((step * columns).max(1)).enumerate() {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    let start = (range.start + i * step) as u64;
                    let rows = start..start + (out.len() / columns) as u64;
                    source.read_rows(index, rows, &mut blocks)?;
                    decode_blocks(Isa::detect(), ty, &blocks, out);
                }
                Ok(())
            })?
            .map_err(|error: granule_reader::Error| error.raise())
        })
    }

    fn __repr__(&self) -> String {
        let source = self.opened.source();
        format!("<Source: {} tensors>", source.tensors().len())
    }
}

fn adapter(path: PathBuf) -> Adapter {
    Adapter { folder: path, scale: 1.0 }
}

/// The dimensions in numpy's order.
fn shape(tensor: &SourceTensor) -> Vec<usize> {
    tensor.shape.dimensions().iter().rev().map(|n| *n as usize).collect()
}
