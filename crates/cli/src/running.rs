//! Options of commands that run a model layer by layer.

use std::path::{Path, PathBuf};

use anyhow::bail;
use granule_convert::run::of_chunks;
use granule_infer::Chunks;
use granule_infer::stream::{Journal, Options};
use granule_reader::Source;

/// Options about memory and interruptions.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Keep in FOLDER what an interrupted run needs, and continue it at its layer
    ///
    /// The folder holds the states of all tokens between two layers, twice. It is removed when the
    /// command is done.
    #[arg(long, value_name = "FOLDER")]
    resume: Option<PathBuf>,
    /// Keep states between layers in a temporary file if they have more than MB megabytes
    ///
    /// [default: 1024]
    #[arg(long, value_name = "MB", conflicts_with = "resume")]
    memory: Option<usize>,
}

impl RunArgs {
    /// Check that no option is given.
    ///
    /// # Errors
    /// With the first option that is given and `why` it has no effect.
    pub(crate) fn refuse(&self, why: &str) -> anyhow::Result<()> {
        for (option, given) in
            [("--resume", self.resume.is_some()), ("--memory", self.memory.is_some())]
        {
            if given {
                bail!("{option} has no effect: {why}");
            }
        }
        Ok(())
    }

    /// Whether an interrupted run can be continued.
    pub(crate) fn is_kept(&self) -> bool {
        self.resume.is_some()
    }

    /// The options of a run. `name` tells the runs of one command apart, `settings` holds what else
    /// decides the result.
    ///
    /// # Errors
    /// If the attributes of a source file cannot be read.
    pub(crate) fn options(
        &self,
        name: &str,
        source: &dyn Source,
        chunks: &Chunks,
        settings: &str,
    ) -> anyhow::Result<Options> {
        let mut options = Options::default();
        if let Some(folder) = &self.resume {
            let identity = of_chunks(source, chunks, settings)?;
            options.journal = Some(Journal::new(folder.join(name), identity));
        }
        if let Some(megabytes) = self.memory {
            options.memory = megabytes.saturating_mul(1_000_000);
        }
        Ok(options)
    }

    /// Remove what a run has kept, after its result is written.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn done(&self, name: &str) -> anyhow::Result<()> {
        if let Some(folder) = &self.resume {
            Journal::new(folder.join(name), String::new()).remove()?;
            remove_empty(folder);
        }
        Ok(())
    }
}

/// Remove a folder unless there is something else in it.
fn remove_empty(folder: &Path) {
    _ = std::fs::remove_dir(folder);
}
