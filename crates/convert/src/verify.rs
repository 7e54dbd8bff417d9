//! Comparing finished files with their source.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use granule_format::{BlockType, TensorType};
use granule_reader::decode::decode;
use granule_reader::isa::Isa;
use rayon::prelude::*;

use crate::encode::encode_rows;
use crate::importance::of_matrix;
use crate::plan::{Plan, PlannedTensor};
use crate::source::GgufSource;
use crate::{Error, Importance, Source};

/// Rows of a tensor that are compared, unless it has fewer.
pub const SAMPLED_ROWS: u64 = 16;

/// What was compared, and how far the files are from the source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verified {
    /// Tensors of all files.
    pub tensors: usize,
    /// Rows that were compared.
    pub rows: u64,
    /// For each type that was encoded the error that encoding made in the sampled rows.
    pub errors: BTreeMap<BlockType, Loss>,
}

/// The error of encoding, in sums over values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// Sum of the squared differences between source and result.
    pub squared_error: f64,
    /// Sum of the squared values of the source.
    pub squared_values: f64,
}

impl Loss {
    /// Root of the mean squared error in relation to that of the values; 0 if all values are 0.
    pub fn relative(&self) -> f64 {
        if self.squared_values > 0.0 {
            (self.squared_error / self.squared_values).sqrt()
        } else {
            0.0
        }
    }
}

/// Compare [`SAMPLED_ROWS`] rows of every tensor of finished files with the source: read back from the file, each must be
/// what the row of the source is encoded to. First and last row are among them, the others are evenly spread.
///
/// Each plan has the path that it was carried out with. `threads` as in [`RunOptions`](crate::run::RunOptions).
///
/// # Errors
/// [`Error::Differs`] with the first tensor and row that is not what it should be; if a file cannot be read.
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
        let file = GgufSource::open(&paths[0])?;
        let places = file.tensors().iter().enumerate();
        let places: HashMap<_, _> =
            places.map(|(index, tensor)| (tensor.name.as_str(), index)).collect();
        let compare = |tensor: &PlannedTensor| {
            let path = &paths[tensor.shard as usize];
            let differs =
                |row| Error::Differs { path: path.clone(), tensor: tensor.name.clone(), row };
            let place = *places.get(tensor.name.as_str()).ok_or_else(|| differs(None))?;
            let found = &file.tensors()[place];
            if found.shape != tensor.shape || found.ty != tensor.target {
                return Err(differs(None));
            }
            let weights = tensor.weighted.then(|| {
                let entry = importance.and_then(|matrix| matrix.get(&tensor.source_name));
                entry.expect("the importance matrix that the plan was made with")
            });
            let mut buffers = Buffers::default();
            for row in sample(tensor.shape.rows().unwrap_or(0)) {
                source.read_rows(tensor.source, row..row + 1, &mut buffers.source)?;
                file.read_rows(place, row..row + 1, &mut buffers.found)?;
                if !buffers.agree(tensor, row, weights)? {
                    return Err(differs(Some(row)));
                }
            }
            Ok(buffers)
        };
        let results: Result<Vec<_>, Error> =
            pool.install(|| plan.tensors().par_iter().map(compare).collect());
        for (tensor, buffers) in plan.tensors().iter().zip(results?) {
            verified.tensors += 1;
            verified.rows += buffers.rows;
            if let (TensorType::Known(ty), false) = (tensor.target, tensor.is_copied()) {
                let loss = verified.errors.entry(ty).or_default();
                loss.squared_error += buffers.loss.squared_error;
                loss.squared_values += buffers.loss.squared_values;
            }
        }
    }
    Ok(verified)
}

/// The rows to look at.
fn sample(rows: u64) -> impl Iterator<Item = u64> {
    let count = rows.min(SAMPLED_ROWS);
    let last = u128::from(rows.saturating_sub(1));
    let spread = u128::from(count.saturating_sub(1)).max(1);
    (0..count).map(move |number| (u128::from(number) * last / spread) as u64)
}

/// Rows of one tensor, one at a time, and what has come of it so far.
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
    /// Whether the row that was found is the source's row, encoded.
    fn agree(
        &mut self,
        tensor: &PlannedTensor,
        row: u64,
        weights: Option<&[f32]>,
    ) -> Result<bool, Error> {
        self.rows += 1;
        if tensor.is_copied() || tensor.shape.row() == 0 {
            return Ok(self.source == self.found);
        }
        let (TensorType::Known(stored), TensorType::Known(target)) = (tensor.stored, tensor.target)
        else {
            unreachable!("unknown types are only copied")
        };
        let isa = Isa::detect();
        let columns = tensor.shape.row() as usize;
        self.values.resize(columns, 0.0);
        self.decoded.resize(columns, 0.0);
        decode(isa, stored, &self.source, &mut self.values);
        decode(isa, target, &self.found, &mut self.decoded);
        let rows_of_matrix = tensor.shape.dimensions().get(1).copied().unwrap_or(1).max(1);
        let weights = weights.map(|weights| of_matrix(weights, row / rows_of_matrix, columns));
        self.encoded.resize(self.found.len(), 0);
        encode_rows(isa, target, &self.values, columns, weights.as_deref(), &mut self.encoded)
            .map_err(|source| Error::Encode { tensor: tensor.name.clone(), source })?;
        for (value, decoded) in self.values.iter().zip(&self.decoded) {
            self.loss.squared_error += f64::from(decoded - value).powi(2);
            self.loss.squared_values += f64::from(*value).powi(2);
        }
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
