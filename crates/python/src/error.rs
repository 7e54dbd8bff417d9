//! Errors of the libraries as Python exceptions.
//!
//! The classes are written in Python (`granule_gguf/errors.py`). Failures of the operating system
//! become the `OSError` that Python itself would raise, such as `FileNotFoundError`.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use granule_encode::{EncodeError, ImportanceError, ImportanceFileError};
use granule_format::block::UnknownBlockType;
use granule_format::{UnknownFileType, WriteError};
use pyo3::exceptions::{PyIsADirectoryError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// An error that Python code can catch.
pub(crate) trait Raise {
    /// Returns the exception.
    fn raise(self) -> PyErr;
}

/// The attributes of an exception.
#[derive(Default)]
struct Attributes<'a> {
    path: Option<&'a Path>,
    tensor: Option<&'a str>,
    offset: Option<u64>,
}

/// Returns an exception of a class of `granule_gguf.errors`.
pub(crate) fn exception(class: &str, message: impl Display) -> PyErr {
    with(class, message, Attributes::default())
}

fn with(class: &str, message: impl Display, attributes: Attributes<'_>) -> PyErr {
    let message = message.to_string();
    Python::attach(|py| {
        let make = || {
            let named = PyDict::new(py);
            named.set_item("path", attributes.path)?;
            named.set_item("tensor", attributes.tensor)?;
            named.set_item("offset", attributes.offset)?;
            let class = py.import("granule_gguf.errors")?.getattr(class)?;
            class.call((message,), Some(&named))
        };
        // without its class an exception still tells why
        make().map_or_else(|error| error, PyErr::from_value)
    })
}

/// The message of an error and of its causes.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text
}

/// The `OSError` for a failure of the operating system.
fn os(path: Option<&Path>, error: &io::Error) -> PyErr {
    let path = path.map(Path::to_owned);
    match error.raw_os_error() {
        Some(code) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((code, text, path.map(PathBuf::into_os_string)))
        }
        None => {
            let text = match path {
                Some(path) => format!("{}: {error}", path.display()),
                None => error.to_string(),
            };
            match error.kind() {
                io::ErrorKind::IsADirectory => PyIsADirectoryError::new_err(text),
                _ => PyOSError::new_err(text),
            }
        }
    }
}

impl Raise for granule_reader::Error {
    fn raise(self) -> PyErr {
        let text = chain(&self);
        match &self {
            Self::Io { path, source } => os(path.as_deref(), source),
            Self::Format { path, source } => {
                let path = path.as_deref();
                let offset = Some(source.offset);
                with("FormatError", text, Attributes { path, offset, ..Default::default() })
            }
            Self::Metadata { path, .. } => {
                let path = path.as_deref();
                with("MetadataError", text, Attributes { path, ..Default::default() })
            }
            Self::Set { path, .. } => {
                let path = path.as_deref();
                with("SplitError", text, Attributes { path, ..Default::default() })
            }
            Self::Unsupported { name, .. } => {
                let tensor = Some(name.as_str());
                with("UnsupportedError", text, Attributes { tensor, ..Default::default() })
            }
            Self::Source(source) => match source.downcast_ref() {
                Some(error) => of_checkpoint(error),
                None => exception("CheckpointError", text),
            },
            _ => exception("GranuleError", text),
        }
    }
}

impl Raise for granule_checkpoint::Error {
    fn raise(self) -> PyErr {
        match self {
            Self::Read(error) => error.raise(),
            error => of_checkpoint(&error),
        }
    }
}

fn of_checkpoint(error: &granule_checkpoint::Error) -> PyErr {
    use granule_checkpoint::Error;
    match error {
        Error::Io { path, source } => os(Some(path), source),
        Error::Invalid { path, tensor, .. } => {
            let (path, tensor) = (Some(path.as_path()), tensor.as_deref());
            with("CheckpointError", chain(error), Attributes { path, tensor, offset: None })
        }
        _ => exception("CheckpointError", chain(error)),
    }
}

impl Raise for granule_convert::Error {
    fn raise(self) -> PyErr {
        let text = chain(&self);
        let of_output = |path: &Path| {
            with("OutputError", &text, Attributes { path: Some(path), ..Default::default() })
        };
        let of_tensor = |class, tensor: &str| {
            with(class, &text, Attributes { tensor: Some(tensor), ..Default::default() })
        };
        match self {
            Self::Io { path, source } => os(Some(&path), &source),
            Self::Read(error) => error.raise(),
            Self::Checkpoint(error) => error.raise(),
            Self::Importance(error) => error.raise(),
            Self::NotWritable { folder, source, .. } => os(Some(&folder), &source),
            Self::NoFolder { path, .. }
            | Self::NotAFolder { path, .. }
            | Self::OutputIsSpecial { path, .. }
            | Self::LinkLoop { path }
            | Self::OutputMoved { path }
            | Self::OutputIsInput { path }
            | Self::OutputTwice { path }
            | Self::Busy { path }
            | Self::InTheWay { path, .. }
            | Self::OtherRun { path, .. }
            | Self::Space { folder: path, .. } => of_output(&path),
            Self::NoPath | Self::StandardOutput => exception("OutputError", text),
            Self::Differs { path, tensor, .. } => {
                let (path, tensor) = (Some(path.as_path()), Some(tensor.as_str()));
                with("VerifyError", text, Attributes { path, tensor, offset: None })
            }
            Self::NotFinite { tensor, .. }
            | Self::Range { tensor, .. }
            | Self::OutOfRange { tensor, .. }
            | Self::Encode { tensor, .. } => of_tensor("EncodeError", &tensor),
            Self::UnknownType { tensor, .. } => of_tensor("UnsupportedError", &tensor),
            Self::Defect { tensor, .. } => of_tensor("FormatError", &tensor),
            Self::Recipe(_) | Self::Plan(_) => exception("PlanError", text),
            Self::Edit(_) => exception("EditError", text),
            Self::Run(granule_infer::Error::Read(error)) => error.raise(),
            Self::Run(_) | Self::FewTokens { .. } | Self::NoChunk(_) | Self::Saved { .. } => {
                exception("ModelError", text)
            }
            Self::Write(_) => exception("WriteError", text),
            _ => exception("GranuleError", text),
        }
    }
}

impl Raise for ImportanceFileError {
    fn raise(self) -> PyErr {
        match &self {
            Self::Io { path, source } => os(Some(path), source),
            Self::Content { path, .. } => {
                let path = Some(path.as_path());
                with("ImportanceError", chain(&self), Attributes { path, ..Default::default() })
            }
            _ => exception("ImportanceError", chain(&self)),
        }
    }
}

impl Raise for WriteError {
    fn raise(self) -> PyErr {
        match &self {
            Self::Io(error) => os(None, error),
            _ => exception("WriteError", chain(&self)),
        }
    }
}

/// Errors with a class of their own and no attributes.
macro_rules! plain {
    ($($error:ty: $class:literal;)*) => {
        $(impl Raise for $error {
            fn raise(self) -> PyErr {
                exception($class, chain(&self))
            }
        })*
    };
}

plain! {
    EncodeError: "EncodeError";
    ImportanceError: "ImportanceError";
    UnknownBlockType: "UnknownTypeError";
    UnknownFileType: "UnknownTypeError";
}

/// Returns the exception with the place of the problem in front of its message.
pub(crate) fn noted(py: Python<'_>, error: PyErr, place: &str) -> PyErr {
    let message = format!("{place}: {}", error.value(py));
    PyErr::from_type(error.get_type(py), message)
}
