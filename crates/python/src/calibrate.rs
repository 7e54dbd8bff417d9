//! What `effort=2` chooses codes by: texts that the model runs over, or what such a run has saved.

use std::path::PathBuf;

use granule_convert::Plan;
use granule_convert::tune::feedback::{Calibration, Saved};
use granule_encode::Effort;
use granule_infer::Model;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::error::Raise;
use crate::run::Texts;
use crate::source::Opened;

/// The arguments of `convert` that are about it.
pub(crate) struct Arguments<'a, 'py> {
    pub(crate) calibrate: Option<&'a Bound<'py, PyAny>>,
    pub(crate) chunks: Option<usize>,
    pub(crate) statistics: Option<PathBuf>,
    pub(crate) save: Option<PathBuf>,
}

impl Arguments<'_, '_> {
    /// Returns what the plan needs: nothing, unless it has effort 2.
    pub(crate) fn calibration(
        &self,
        py: Python<'_>,
        source: &Opened,
        plan: &Plan,
    ) -> PyResult<Option<Calibration>> {
        let texts = self.texts()?;
        let given = [
            ("calibrate", texts.is_some()),
            ("statistics", self.statistics.is_some()),
            ("calibration_chunks", self.chunks.is_some()),
            ("save_statistics", self.save.is_some()),
        ];
        let refused = |message: String| Err(PyTypeError::new_err(message));
        let idle = |names: &[(&str, bool)], without: &str| {
            let found = names.iter().find(|(_, given)| *given);
            found.map(|(name, _)| format!("{name} has no effect without {without}"))
        };
        if plan.recipe().effort != Effort::Feedback {
            return idle(&given, "effort=2").map_or(Ok(None), refused);
        }
        let most = self.chunks.unwrap_or(usize::MAX);
        let mut calibration = match (texts, &self.statistics) {
            (Some(_), Some(_)) => {
                return refused("give calibrate or statistics, not both".to_owned());
            }
            (None, None) => {
                return refused(
                    "effort=2 runs the model over texts: pass calibrate=[TEXT, ...], or \
                     calibrate=True for texts of this package"
                        .to_owned(),
                );
            }
            (None, Some(path)) => {
                if let Some(message) = idle(&given[2..], "calibrate") {
                    return refused(message);
                }
                let saved = py.detach(|| Saved::open(path)).map_err(Raise::raise)?;
                Calibration::saved(saved)
            }
            (Some(texts), None) => py.detach(|| {
                let model = Model::open(source.source()).map_err(Raise::raise)?;
                let mut chunks = texts.cut(&model.tokenizer().map_err(Raise::raise)?)?;
                chunks.spread(most);
                Ok::<_, PyErr>(Calibration::new(chunks))
            })?,
        };
        calibration.allow_few = plan.recipe().allow_missing;
        calibration.save.clone_from(&self.save);
        Ok(Some(calibration))
    }

    /// Returns the texts that are named, or those of this package for `True`.
    fn texts(&self) -> PyResult<Option<Texts>> {
        let Some(given) = self.calibrate else { return Ok(None) };
        if let Ok(wanted) = given.cast::<PyBool>() {
            return Ok(wanted.is_true().then(|| Texts::new(None, None, None)));
        }
        let Ok(texts) = given.extract::<Vec<String>>() else {
            return Err(PyTypeError::new_err("calibrate is a list of texts, or True"));
        };
        Ok(Some(Texts::new(Some(texts), None, None)))
    }
}
