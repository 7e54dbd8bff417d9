//! The model that a draft model is for.

use std::sync::Arc;

use super::CheckpointOptions;
use crate::arch::{self, Arch, Config};
use crate::{Directory, DraftProblem, Error};

/// The model that a draft model is for.
pub(super) struct Target {
    pub(super) folder: Directory,
    pub(super) config: Config,
    /// The description of its class, if that says how its tokenizer is read.
    pub(super) arch: Option<Arc<Arch>>,
}

impl Target {
    /// Opens the target if the architecture is that of draft models.
    pub(super) fn of(
        arch: &Arch,
        config: &Config,
        options: &CheckpointOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, Error> {
        let (Some(takes), Some(path)) = (arch.target, &options.target) else {
            if arch.target.is_some() {
                let problem = DraftProblem::NoTarget(config.class()?.to_owned());
                return Err(Error::in_file(config.path(), problem));
            }
            if options.target.is_some() {
                let class = config.class()?;
                warnings.push(format!(
                    "--target-model-dir has no effect: {class} is not a draft for another model"
                ));
            }
            return Ok(None);
        };
        let folder = Directory::new(path);
        let config = Config::read(&folder, None)?;
        let arch = match takes {
            arch::FromTarget::Tokenizer => None,
            arch::FromTarget::WholeTokenizer => Some(arch::find(None, &config, &folder)?),
        };
        Ok(Some(Self { folder, config, arch }))
    }
}
