//! The page about a result: `--report`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use granule_convert::report::Report;
use granule_convert::run::Summary;
use granule_convert::weights;
use granule_encode::Importance;
use granule_reader::GgufSource;

use super::input::Input;
use super::{Job, report};
use crate::cmd::report::{gather, write};
use crate::cmd::size::check_page;
use crate::threads;

/// Refuse a page that cannot be written, or that is for several results, before anything is done.
pub(super) fn check(page: Option<&Path>, jobs: &[Job], inputs: &[PathBuf]) -> anyhow::Result<()> {
    let Some(page) = page else { return Ok(()) };
    if jobs.len() > 1 {
        bail!("--report {}: a page is about one result; give one type", page.display());
    }
    let results = jobs.iter().flat_map(|job| job.plan.paths(&job.path));
    if results.into_iter().any(|path| path == page) {
        bail!("--report {}: the result has this name", page.display());
    }
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    check_page(page, &inputs)
}

/// Write the page about the only result.
pub(super) fn page(
    page: &Path,
    input: &Input,
    jobs: &[Job],
    summary: &Summary,
    importance: Option<&Importance>,
    (threads, notes): (Option<usize>, Vec<String>),
) -> anyhow::Result<()> {
    let (Some(job), Some((path, _))) = (jobs.first(), summary.files.first()) else {
        return Ok(());
    };
    let made: Report = threads::pool(threads)?.install(|| {
        let mut made =
            gather(&path.clone().into(), &[], false)?.with_plan(&job.plan).with_notes(notes);
        let result = GgufSource::open(path)?;
        // removed layers change the names of the others
        if job.plan.recipe().prune_layers.is_empty() && !job.plan.tensors().is_empty() {
            let errors = weights::compare(&result, input.source(), importance);
            made = made.with_errors(&errors.with_context(|| path.display().to_string())?);
        }
        anyhow::Ok(made)
    })?;
    let made = match &job.chosen {
        Some(chosen) => made.with_size(&chosen.sized),
        None => made,
    };
    let files: Vec<&Path> = summary.files.iter().map(|(path, _)| path.as_path()).collect();
    write(&made, page, &files)
}

/// What the page says besides: warnings of the conversion.
pub(super) fn notes(input: &Input, jobs: &[Job], notes: &[String]) -> Vec<String> {
    report::warnings(input, jobs, notes)
}
