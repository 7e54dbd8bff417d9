//! Second moments in a file, for other types and other runs. `spec/encoding.md` describes it.

use std::io::Write;
use std::path::{Path, PathBuf};

use granule_format::{BlockType, Draft, Endian, Metadata, Shape, TensorType, Writer};
use granule_infer::statistics::Moments;
use granule_reader::{GgufSource, Source};

use crate::Error;
use crate::output::WholeFile;

const KIND: &str = "general.type";
const THIS_KIND: &str = "moments";
const ARCHITECTURE: &str = "general.architecture";
const WIDTH: &str = "moments.width";
const TOKENS: &str = "moments.tokens";

/// The end of the names of tensors with numbers of inputs.
const INPUTS: &str = ".inputs";

/// Moments in a file.
#[derive(Debug)]
pub struct Saved {
    path: PathBuf,
    source: GgufSource,
    /// Columns of a span; `None` if all columns of a matrix are one.
    pub(super) width: Option<usize>,
    /// Tokens of the text.
    pub(super) tokens: usize,
}

/// A file of moments could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It is another kind of file.
    #[error("it has no statistics of --save-statistics; `granule inspect` shows what it is")]
    Kind,
    /// They are of another model.
    #[error("the statistics are of another model: {0}")]
    OtherModel(String),
}

impl Saved {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read, or is of another kind.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let source = GgufSource::open(path)?;
        let kind = || Error::Saved { path: path.to_owned(), source: SavedError::Kind };
        let metadata = source.metadata();
        let number =
            |key| metadata.integer::<u32>(key).ok().flatten().map(|number| number as usize);
        if metadata.text(KIND) != Ok(Some(THIS_KIND)) {
            return Err(kind());
        }
        let width = number(WIDTH).ok_or_else(kind)?;
        let tokens = number(TOKENS).ok_or_else(kind)?;
        let is_span = width.is_multiple_of(super::Calibration::WIDTH_STEP);
        if !is_span {
            return Err(kind());
        }
        let width = Some(width).filter(|width| *width > 0);
        Ok(Self { path: path.to_owned(), source, width, tokens })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the statistics can be of a model.
    pub(super) fn check(&self, model: &dyn Source) -> Result<(), Error> {
        let [own, other] = [architecture(&self.source), architecture(model)];
        if own != other {
            let unnamed = || "no architecture".to_owned();
            let (own, other) = (own.unwrap_or_else(unnamed), other.unwrap_or_else(unnamed));
            return Err(self.other(format!("they are of {own}, and it is of {other}")));
        }
        Ok(())
    }

    /// Reads the moments of the matrices of a tensor; `None` if no product with it was seen.
    pub(super) fn read(
        &self,
        name: &str,
        columns: usize,
        width: usize,
        matrices: usize,
    ) -> Result<Option<Vec<Moments>>, Error> {
        let tensors = self.source.tensors();
        let place = |name: &str| tensors.iter().position(|tensor| tensor.name == name);
        let Some(index) = place(name) else { return Ok(None) };
        let values = Moments::values(columns, width);
        let expected = [values as u64, matrices as u64];
        let inputs = place(&format!("{name}{INPUTS}"));
        let is_f32 = |index: usize| tensors[index].ty == TensorType::Known(BlockType::F32);
        let rows = |index: usize| tensors[index].shape.rows();
        let fits = tensors[index].shape.row() == expected[0]
            && rows(index) == Some(expected[1])
            && is_f32(index);
        let inputs = inputs.filter(|inputs| {
            let shape = tensors[*inputs].shape;
            shape.values() == Some(expected[1]) && is_f32(*inputs)
        });
        let (Some(inputs), true) = (inputs, fits) else {
            let found = tensors[index].shape;
            return Err(self.other(format!(
                "{name} has moments of the shape {found}, expected {values} x {matrices}"
            )));
        };
        let counts = self.values(inputs, 0..tensors[inputs].shape.rows().unwrap_or(0))?;
        let one = |(matrix, count): (usize, &f32)| {
            let means = self.values(index, matrix as u64..matrix as u64 + 1)?;
            let is_valid =
                means.iter().all(|mean| mean.is_finite()) && count.is_finite() && *count >= 0.0;
            match is_valid {
                true => Ok(Moments::of_means(columns, width, &means, *count as u64)),
                false => Err(self.other(format!("{name} has moments that are not finite"))),
            }
        };
        if counts.iter().all(|count| *count == 0.0) {
            return Ok(None);
        }
        counts.iter().enumerate().map(one).collect::<Result<_, _>>().map(Some)
    }

    fn values(&self, index: usize, rows: std::ops::Range<u64>) -> Result<Vec<f32>, Error> {
        let mut bytes = Vec::new();
        self.source.read_rows(index, rows, &mut bytes)?;
        let (values, _) = bytes.as_chunks();
        Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn other(&self, what: String) -> Error {
        Error::Saved { path: self.path.clone(), source: SavedError::OtherModel(what) }
    }
}

/// The architecture of a model.
pub(super) fn architecture(source: &dyn Source) -> Option<String> {
    source.metadata().text(ARCHITECTURE).ok().flatten().map(str::to_owned)
}

/// A file that moments are written to, tensor by tensor.
pub(super) struct Saver {
    path: PathBuf,
    writer: Writer<WholeFile>,
}

/// A tensor whose moments are to be written.
pub(super) struct Entry<'n> {
    pub(super) name: &'n str,
    /// Values of the moments of a matrix.
    pub(super) values: usize,
    pub(super) matrices: usize,
}

impl Saver {
    /// Begins a file for tensors in the order in which they will be written. None of `inputs` may
    /// be replaced.
    pub(super) fn create(
        path: &Path,
        inputs: &[&Path],
        architecture: Option<&str>,
        width: Option<usize>,
        tokens: usize,
        entries: &[Entry<'_>],
    ) -> Result<Self, Error> {
        let mut metadata = Metadata::new();
        if let Some(architecture) = architecture {
            metadata.set(ARCHITECTURE, architecture);
        }
        metadata.set(KIND, THIS_KIND);
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        metadata.set(WIDTH, number(width.unwrap_or(0)));
        metadata.set(TOKENS, number(tokens));
        let mut draft = Draft::new(metadata, Endian::Little)?;
        for Entry { name, values, matrices } in entries {
            let shape = |dimensions: &[u64]| Shape::new(dimensions).expect("two dimensions");
            let (values, matrices) = (*values as u64, *matrices as u64);
            let ty = TensorType::Known(BlockType::F32);
            draft.add(name, shape(&[values, matrices]), ty)?;
            draft.add(&format!("{name}{INPUTS}"), shape(&[matrices]), ty)?;
        }
        let file = WholeFile::create(path, inputs)?;
        let writer = Writer::start(file, draft).map_err(|error| failed(path, error))?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Writes the moments of a tensor's matrices.
    pub(super) fn add(&mut self, name: &str, moments: &[Moments]) -> Result<(), Error> {
        let counts: Vec<f32> = moments.iter().map(|moments| moments.rows() as f32).collect();
        let means = moments.iter().flat_map(Moments::means);
        self.tensor(name, means)?;
        self.tensor(&format!("{name}{INPUTS}"), counts.into_iter())
    }

    fn tensor(&mut self, name: &str, values: impl Iterator<Item = f32>) -> Result<(), Error> {
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        let path = &self.path;
        let mut tensor = self.writer.tensor(name).map_err(|error| failed(path, error))?;
        tensor.write_all(&bytes).map_err(|error| failed(path, error))?;
        tensor.finish().map_err(|error| failed(path, error))
    }

    /// Gives the file its name.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.writer.finish().map_err(|error| failed(&self.path, error))?.finish()
    }
}

fn failed(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Io { path: path.to_owned(), source: std::io::Error::other(error) }
}
