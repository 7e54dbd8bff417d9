//! Comparison of files with their source.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use granule_encode::{Effort, EncodeOptions, Importance, encode_rows, matrix_weights};
use granule_format::{BlockType, Shape, TensorType};
use granule_reader::decode_blocks;
use granule_reader::isa::Isa;
use granule_reader::{GgufSource, Source};
use rayon::prelude::*;

use crate::Error;
use crate::plan::Plan;

/// Number of rows of a tensor that are compared, unless it has fewer.
pub const SAMPLED_ROWS: u64 = 16;

/// The extent of a comparison, and the error of the files relative to the source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verified {
    /// Number of tensors in all files.
    pub tensors: usize,
    /// Number of rows that were compared.
    pub rows: u64,
    /// The encoding error in the sampled rows, for each encoded type.
    pub errors: BTreeMap<BlockType, Loss>,
}

/// The encoding error, as sums over values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// Sum of the squared differences between source and result.
    pub squared_error: f64,
    /// Sum of the squared values of the source.
    pub squared_values: f64,
}

impl Loss {
    /// Returns the root mean square of the error divided by that of the values; 0 if all values are
    /// 0.
    pub fn relative(&self) -> f64 {
        if self.squared_values > 0.0 {
            (self.squared_error / self.squared_values).sqrt()
        } else {
            0.0
        }
    }
}

/// The likely cause of a difference between a file and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The file was about to get its final name, and was removed.
    Written {
        /// Whether an interrupted run had completed the tensor.
        continued: bool,
        /// A source file that has changed since the run began.
        changed: Option<PathBuf>,
    },
    /// The file was already finished.
    Finished,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::Finished => {
                return f.write_str(
                    "the file was made from another source, with other options or by another \
                     version, or was changed or damaged since; convert again",
                );
            }
            Self::Written { changed: Some(path), .. } => {
                &format!("{} changed during the run", path.display())
            }
            Self::Written { continued: true, .. } => {
                "the file that an interrupted run had left was changed or damaged"
            }
            Self::Written { .. } => "memory or the disk may be faulty",
        };
        write!(f, "{why}; nothing was replaced, and the new file was removed; convert again")
    }
}

/// Compares [`SAMPLED_ROWS`] rows of every tensor of finished files with the source. Each row is
/// read back from the file and must equal the encoded row of the source. The first and the last row
/// are included; the others are evenly spaced.
/// [`RunOptions::verify`](crate::run::RunOptions::verify) does the same before the files get their
/// final names.
///
/// Each plan has the path that it was run with. `threads` is the same as in
/// [`RunOptions`](crate::run::RunOptions).
///
/// # Errors
/// [`Error::Differs`] with the first tensor and row that differ, or an error if a file cannot be
/// read.
///
/// # Panics
/// If a plan is not for `source`, or was made with another importance matrix.
pub fn verify(
    source: &dyn Source,
    plans: &[(&Plan, &Path)],
    importance: Option<&Importance>,
    threads: Option<usize>,
) -> Result<Verified, Error> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build()
        .map_err(Error::Threads)?;
    let mut verified = Verified::default();
    for (plan, path) in plans {
        let paths = plan.paths(path);
        let file = &GgufSource::open(&paths[0])?;
        let places = file.tensors().iter().enumerate();
        let places: HashMap<_, _> =
            places.map(|(index, tensor)| (tensor.name.as_str(), index)).collect();
        let targets = plan.targets(0, importance);
        let rows = plan.tensors().iter().zip(&targets).map(|(tensor, target)| {
            let path = &paths[tensor.shard as usize];
            let place = places.get(tensor.name.as_str()).copied().filter(|place| {
                let found = &file.tensors()[*place];
                found.shape == tensor.shape && found.ty == tensor.target
            });
            let name = &*tensor.name;
            let cause = Cause::Finished;
            let Some(place) = place else {
                let (path, tensor) = (path.clone(), tensor.name.clone());
                return Err(Error::Differs { path, tensor, row: None, cause });
            };
            let (shape, ty) = (tensor.shape, tensor.target);
            let (source, weights, effort) = (tensor.source, target.weights, target.effort);
            let calibrated = target.calibrated;
            let read: Read<'_> =
                Box::new(move |row, out| Ok(file.read_rows(place, row..row + 1, out)?));
            Ok(Rows { path, name, shape, ty, source, weights, effort, calibrated, cause, read })
        });
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        verified.add(&pool.install(|| compare(source, &rows, None))?);
    }
    Ok(verified)
}

/// Reads a row of a file as blocks, little-endian.
pub(crate) type Read<'r> = Box<dyn Fn(u64, &mut Vec<u8>) -> Result<(), Error> + Sync + 'r>;

/// The rows of a tensor in a file, and their source.
pub(crate) struct Rows<'r> {
    pub(crate) path: &'r Path,
    pub(crate) name: &'r str,
    pub(crate) shape: Shape,
    pub(crate) ty: TensorType,
    /// Index of the tensor in the source.
    pub(crate) source: usize,
    pub(crate) weights: Option<&'r [f32]>,
    pub(crate) effort: Effort,
    /// Whether the codes were chosen by running the model: rows are then only decoded.
    pub(crate) calibrated: bool,
    /// The cause to report if they differ.
    pub(crate) cause: Cause,
    pub(crate) read: Read<'r>,
}

/// Compares sampled rows of all tensors with the source, until told to `stop`.
pub(crate) fn compare(
    source: &dyn Source,
    tensors: &[Rows<'_>],
    stop: Option<&AtomicBool>,
) -> Result<Verified, Error> {
    let compare = |tensor: &Rows<'_>| {
        let stored = source.tensors()[tensor.source].ty;
        let mut buffers = Buffers::default();
        for row in sample(tensor.shape.rows().unwrap_or(0)) {
            if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(Error::Interrupted { kept: true });
            }
            source.read_rows(tensor.source, row..row + 1, &mut buffers.source)?;
            (tensor.read)(row, &mut buffers.found)?;
            if !buffers.agree(tensor, stored, row)? {
                let (path, name) = (tensor.path.to_owned(), tensor.name.to_owned());
                let cause = tensor.cause.clone();
                return Err(Error::Differs { path, tensor: name, row: Some(row), cause });
            }
        }
        let mut verified = Verified { tensors: 1, rows: buffers.rows, errors: BTreeMap::new() };
        if let (TensorType::Known(ty), true) = (tensor.ty, tensor.ty != stored) {
            verified.errors.insert(ty, buffers.loss);
        }
        Ok(verified)
    };
    let results: Vec<Result<Verified, Error>> = tensors.par_iter().map(compare).collect();
    let mut verified = Verified::default();
    // the first error in file order
    for result in results {
        verified.add(&result?);
    }
    Ok(verified)
}

impl Verified {
    fn add(&mut self, other: &Self) {
        self.tensors += other.tensors;
        self.rows += other.rows;
        for (ty, loss) in &other.errors {
            let sum = self.errors.entry(*ty).or_default();
            sum.squared_error += loss.squared_error;
            sum.squared_values += loss.squared_values;
        }
    }
}

/// Returns the rows to compare.
fn sample(rows: u64) -> impl Iterator<Item = u64> {
    let count = rows.min(SAMPLED_ROWS);
    let last = u128::from(rows.saturating_sub(1));
    let spread = u128::from(count.saturating_sub(1)).max(1);
    (0..count).map(move |number| (u128::from(number) * last / spread) as u64)
}

/// Compares the rows of one tensor, one at a time, and holds the result so far.
#[derive(Default)]
struct Buffers {
    source: Vec<u8>,
    found: Vec<u8>,
    values: Vec<f32>,
    decoded: Vec<f32>,
    encoded: Vec<u8>,
    rows: u64,
    loss: Loss,
}

impl Buffers {
    /// Returns whether the row in the file equals the encoded row of the source.
    fn agree(&mut self, tensor: &Rows<'_>, stored: TensorType, row: u64) -> Result<bool, Error> {
        self.rows += 1;
        if tensor.ty == stored || tensor.shape.row() == 0 {
            return Ok(self.source == self.found);
        }
        let (TensorType::Known(stored), TensorType::Known(target)) = (stored, tensor.ty) else {
            unreachable!("unknown types are only copied")
        };
        let isa = Isa::detect();
        let columns = tensor.shape.row() as usize;
        self.values.resize(columns, 0.0);
        self.decoded.resize(columns, 0.0);
        decode_blocks(isa, stored, &self.source, &mut self.values);
        decode_blocks(isa, target, &self.found, &mut self.decoded);
        for (value, decoded) in self.values.iter().zip(&self.decoded) {
            self.loss.squared_error += f64::from(decoded - value).powi(2);
            self.loss.squared_values += f64::from(*value).powi(2);
        }
        if tensor.calibrated {
            return Ok(target.first_defect(&self.found).is_none());
        }
        let rows_of_matrix = tensor.shape.dimensions().get(1).copied().unwrap_or(1).max(1);
        let weights =
            tensor.weights.map(|weights| matrix_weights(weights, row / rows_of_matrix, columns));
        self.encoded.resize(self.found.len(), 0);
        let options = EncodeOptions::from(isa).with_effort(tensor.effort);
        encode_rows(options, target, &self.values, columns, weights.as_deref(), &mut self.encoded)
            .map_err(|source| Error::Encode { tensor: tensor.name.to_owned(), source })?;
        Ok(self.encoded == self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_both_ends() {
        for rows in [0, 1, 2, 15, 16, 17, 1000, u64::MAX] {
            let sample: Vec<_> = sample(rows).collect();
            assert_eq!(sample.len() as u64, rows.min(SAMPLED_ROWS));
            assert!(sample.is_sorted_by(|a, b| a < b), "{sample:?}");
            if rows > 0 {
                assert_eq!(sample[0], 0);
            }
            if rows > 1 {
                assert_eq!(sample[sample.len() - 1], rows - 1);
            }
        }
    }
}
