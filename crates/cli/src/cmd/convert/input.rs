//! What is converted.

use anyhow::bail;
use granule_convert::Source;
use granule_convert::source::GgufSource;

use super::name;
use super::options::Args;

/// An open source.
#[derive(Debug)]
pub(super) enum Input {
    Gguf(GgufSource),
}

impl Input {
    pub(super) fn open(args: &Args) -> anyhow::Result<Self> {
        if args.source.is_dir() {
            bail!("{}: this is a folder, expected a GGUF file", args.source.display());
        }
        Ok(Self::Gguf(GgufSource::open(&args.source)?))
    }

    pub(super) fn source(&self) -> &dyn Source {
        match self {
            Self::Gguf(source) => source,
        }
    }

    /// What the model is called.
    pub(super) fn model(&self, args: &Args) -> String {
        match self {
            Self::Gguf(_) => name::model_of(&args.source),
        }
    }

    /// What is odd about the source but no error.
    pub(super) fn warnings(&self) -> &[String] {
        match self {
            Self::Gguf(_) => &[],
        }
    }
}
