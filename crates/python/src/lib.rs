//! The module `granule_gguf._granule`: the libraries of Granule for Python.
//!
//! A thin layer: arrays and values in, arrays and values out. The package around it is in `python`,
//! its types are declared in `python/granule_gguf/_granule.pyi`.

mod array;
mod calibrate;
mod check;
mod convert;
mod diff;
mod dlpack;
mod edit;
mod encode;
mod error;
mod hash;
mod importance;
mod json;
mod model;
mod run;
mod source;
mod tensor;
mod types;
mod value;
mod watch;
mod write;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use pyo3::prelude::*;

/// Run the program `granule` with these arguments, its name first, and return its exit status.
#[pyfunction]
fn run_program(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| {
        let status = granule_cli::run(arguments);
        // nothing else writes out what is left: the main program is Python
        let _ = std::io::stdout().flush();
        // a status does not tell its number, but it can be compared
        (0..=u8::MAX).find(|number| ExitCode::from(*number) == status).unwrap_or(2)
    })
}

/// The compiled part of `granule_gguf`.
#[pymodule]
mod _granule {
    #[pymodule_export]
    use super::check::{PyFinding, PyReport, check, check_bytes, explain};
    #[pymodule_export]
    use super::convert::{PyProgress, PySummary, convert, plan};
    #[pymodule_export]
    use super::diff::diff_models;
    #[pymodule_export]
    use super::edit::edit_file;
    #[pymodule_export]
    use super::encode::{decode, encode};
    #[pymodule_export]
    use super::hash::{check_hashes, hash_model};
    #[pymodule_export]
    use super::importance::PyImportance;
    #[pymodule_export]
    use super::model::{PyMetadata, PyModel, open, open_bytes};
    #[pymodule_export]
    use super::run::{imatrix, measure_model};
    #[pymodule_export]
    use super::run_program;
    #[pymodule_export]
    use super::source::PySource;
    #[pymodule_export]
    use super::tensor::{PyPacked, PyTensor};
    #[pymodule_export]
    use super::types::{PyBlockType, block_type, block_types};
    #[pymodule_export]
    use super::write::save_file;

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
