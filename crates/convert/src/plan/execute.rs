use std::path::{Path, PathBuf};

use granule_encode::Importance;
use granule_format::container::ShardName;
use granule_reader::Source;

use super::Plan;
use crate::Error;
use crate::run::{Event, OutputFile, RunOptions, Summary, run};

/// Runs several plans for one source. Every row is read once, whatever the number of results.
///
/// Each plan has a path: that of its file. If its result has several files, their names are derived
/// from the path: `model-00001-of-00003.gguf` for `model.gguf`. `on` is called from all threads.
///
/// # Errors
/// If the header of a file cannot be laid out; otherwise same as [`run`].
///
/// # Panics
/// If a plan is not for `source`, or was made with another importance matrix.
pub fn run_all(
    source: &dyn Source,
    plans: &[(&Plan, &Path)],
    importance: Option<&Importance>,
    options: &RunOptions,
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Summary, Error> {
    let (mut files, mut targets) = (Vec::new(), Vec::new());
    for (plan, path) in plans {
        targets.extend(plan.targets(files.len(), importance));
        let drafts = plan.drafts()?.into_iter().zip(plan.paths(path));
        files.extend(drafts.map(|(draft, path)| OutputFile { path, draft }));
    }
    run(source, files, &targets, options, on)
}

impl Plan {
    /// Returns the names of the files of the result: `path` if there is one file.
    pub fn paths(&self, path: &Path) -> Vec<PathBuf> {
        if self.shards() <= 1 {
            return vec![path.to_owned()];
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".gguf").unwrap_or(&name).to_owned();
        let set = ShardName { stem, number: 1, count: self.shards() };
        set.all().map(|name| path.with_file_name(name)).collect()
    }
}
