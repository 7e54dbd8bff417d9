//! Where the distributions of the original are: in a file of the user, or in one without a name.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::path::Path;

use anyhow::Context;
use granule_convert::WholeFile;
use granule_infer::measure::base::{BaseReader, BaseWriter, Form, Heading};

/// A file with the distributions of the original.
#[derive(Debug)]
pub(super) struct Base {
    file: File,
    name: String,
}

/// A file of distributions that is being written.
#[derive(Debug)]
pub(super) enum NewBase {
    Named(Box<WholeFile>),
    Temporary(BufWriter<File>),
}

impl Base {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        Ok(Self { file, name })
    }

    /// A reader at the start of the file. There must be no other.
    pub(super) fn reader(&self) -> anyhow::Result<BaseReader<BufReader<File>>> {
        let open = || {
            let mut file = self.file.try_clone()?;
            file.rewind()?;
            let bytes = file.metadata()?.len();
            anyhow::Ok(BaseReader::open(BufReader::with_capacity(1 << 20, file), bytes)?)
        };
        open().with_context(|| self.name.clone())
    }
}

impl NewBase {
    /// Create the file at `path`, which no input may be, or one without a name.
    pub(super) fn create(path: Option<&Path>, inputs: &[&Path]) -> anyhow::Result<Self> {
        match path {
            Some(path) => Ok(Self::Named(Box::new(WholeFile::create(path, inputs)?))),
            None => {
                let file = tempfile::tempfile().context("cannot create a temporary file")?;
                Ok(Self::Temporary(BufWriter::new(file)))
            }
        }
    }

    pub(super) fn writer(
        &mut self,
        form: Form,
        heading: Heading,
    ) -> anyhow::Result<BaseWriter<&mut (dyn Write + Send)>> {
        let out: &mut (dyn Write + Send) = match self {
            Self::Named(file) => file.as_mut(),
            Self::Temporary(file) => file,
        };
        Ok(BaseWriter::start(out, form, heading)?)
    }

    /// Give the file its name, if it has one, and open it.
    pub(super) fn finish(self, path: Option<&Path>) -> anyhow::Result<Base> {
        match (self, path) {
            (Self::Named(file), Some(path)) => {
                file.finish()?;
                Base::open(path)
            }
            (Self::Temporary(file), _) => {
                let file = file.into_inner().context("cannot write a temporary file")?;
                Ok(Base { file, name: "a temporary file".to_owned() })
            }
            (Self::Named(_), None) => unreachable!("a file that was given by its path"),
        }
    }
}
