//! Sums over the inputs of products: what importance matrices are made of.
//!
//! Every column of a matrix is multiplied with one value of each input row. The mean of the squares
//! of these values says how much an error in that column costs.
//!
//! Rows of one chunk are summed in double precision and in their order; the sums of chunks are
//! added [without rounding](ExactSums). So the result has the same bits for every number of
//! threads, and for every way to share chunks among machines ([`Collected::merge`]).

mod exact_sums;
pub mod moments;
mod saved;

use std::collections::{BTreeMap, BTreeSet};

pub use exact_sums::ExactSums;
use granule_reader::isa::Isa;
pub use moments::{ExactMoments, Moments};
use rayon::prelude::*;

use crate::stream::{self, Fault, Observed, Observer, Options, Product};
use crate::{Chunks, Error, Model, Place};

/// What [`collect`] does.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CollectOptions {
    /// Also sum what goes into the matrix of the output.
    pub output: bool,
    /// Send every token through all experts.
    pub all_experts: bool,
    /// How the model is run. [`Options::logits_from`] and [`Options::all_experts`] are set.
    pub run: Options,
}

/// What [`collect`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// The sums.
    pub statistics: Statistics,
    /// The chunks that were left, each where a number first was not finite.
    pub lost: Vec<Lost>,
}

/// A chunk that was left before the end of the run. It is no part of the sums.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "chunk {} was left: {value} at token {} in {}, column {column}",
    place.chunk,
    place.position,
    spot(*layer, tensor.as_deref())
)]
pub struct Lost {
    /// The token.
    pub place: Place,
    /// The layer; `None` for the output.
    pub layer: Option<usize>,
    /// The tensor that was to be multiplied with the number; `None` if it is what the layer gives.
    pub tensor: Option<String>,
    /// The column of the number.
    pub column: usize,
    /// The number.
    pub value: f32,
}

impl Lost {
    /// Sorts by layer and place, which does not depend on what was computed together.
    pub(crate) fn sort(all: &mut [Self]) {
        all.sort_by_key(|lost| (lost.layer.unwrap_or(usize::MAX), lost.place));
    }
}

impl From<&Fault<'_>> for Lost {
    fn from(fault: &Fault<'_>) -> Self {
        let Fault { place, layer, tensor, column, value } = *fault;
        Self { place, layer, tensor: tensor.map(str::to_owned), column, value }
    }
}

fn spot(layer: Option<usize>, tensor: Option<&str>) -> String {
    match (layer, tensor) {
        (_, Some(tensor)) => format!("the input of {tensor}"),
        (Some(layer), None) => format!("the result of layer {layer}"),
        (None, None) => "the logits".to_owned(),
    }
}

/// Runs a model over chunks and sums what goes into the matrices of its layers. `progress` is
/// called with the number of each layer that begins; its error ends the run.
///
/// Numbers that are not finite end nothing but their chunk. What the layers before have summed of
/// it is then computed again without it.
///
/// # Errors
/// If the weights cannot be read, a token is not in the vocabulary, or `progress` returns an error.
pub fn collect(
    model: &Model<'_>,
    chunks: &Chunks,
    options: &CollectOptions,
    progress: &mut dyn FnMut(usize) -> Observed,
) -> Result<Collected, Error> {
    let found = Collected::default();
    let mut collector = Collector { found, output: options.output, progress };
    let mut run = Options {
        all_experts: options.all_experts,
        logits_from: options.output.then_some(0),
        ..options.run.clone()
    };
    let texts = chunks.texts();
    stream::run(model, &texts, &run, &mut collector)?;
    let Collector { mut found, .. } = collector;
    let left: BTreeSet<usize> = found.lost.iter().map(|lost| lost.place.chunk).collect();
    if left.len() == texts.len() {
        found.statistics = Statistics::default();
    }
    let last = found.lost.iter().map(|lost| lost.layer.unwrap_or(usize::MAX)).max();
    if let Some(last) = last.filter(|_| left.len() < texts.len()) {
        // up to the last layer with a fault, sums have parts of chunks that were left
        let texts: Vec<Vec<u32>> =
            (0..).zip(texts).filter(|(i, _)| !left.contains(i)).map(|(_, text)| text).collect();
        run.journal = None;
        run.layers = last.saturating_add(1);
        let again = Collected::default();
        let mut collector = Collector { found: again, output: options.output, progress };
        stream::run(model, &texts, &run, &mut collector)?;
        found.statistics.tensors.extend(collector.found.statistics.tensors);
    }
    Lost::sort(&mut found.lost);
    Ok(found)
}

impl Collected {
    /// Adds what was found in other chunks of the same texts. The result does not depend on the
    /// order of the parts.
    ///
    /// # Errors
    /// If a tensor has another shape there. Some of the sums may have been added then.
    pub fn merge(&mut self, other: Self) -> Result<(), ShapeError> {
        for (name, theirs) in other.statistics.tensors {
            match self.statistics.tensors.get_mut(&name) {
                None => _ = self.statistics.tensors.insert(name, theirs),
                Some(ours) => {
                    if !ours.merge(&theirs) {
                        return Err(ShapeError { tensor: name });
                    }
                }
            }
        }
        self.lost.extend(other.lost);
        Lost::sort(&mut self.lost);
        Ok(())
    }

    /// Appends the bytes that [`from_bytes`](Self::from_bytes) reads.
    pub fn to_bytes(&self, out: &mut Vec<u8>) {
        saved::write(self, out);
    }

    /// Returns what [`to_bytes`](Self::to_bytes) wrote; `None` if the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        saved::read(bytes)
    }
}

/// Sums that cannot be added, because they are of tensors of different shapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tensor:?} has another shape in one part than in the others")]
pub struct ShapeError {
    /// The tensor.
    pub tensor: String,
}

struct Collector<'a> {
    found: Collected,
    output: bool,
    progress: &'a mut dyn FnMut(usize) -> Observed,
}

impl Observer for Collector<'_> {
    fn layer(&mut self, layer: usize) -> Observed {
        (self.progress)(layer)
    }

    fn product(&mut self, product: &Product<'_>) -> Observed {
        // the embedding may serve as the output; its sums would be taken for the embedding's
        if product.tensor.starts_with("blk.") || (self.output && product.tensor == "output.weight")
        {
            let shape = (product.columns, product.matrices);
            let matrix = product.expert.unwrap_or(0);
            let mut rest = product.x;
            for places in product.places.chunk_by(|a, b| a.chunk == b.chunk) {
                let (x, others) = rest.split_at(places.len() * product.columns);
                rest = others;
                self.found.statistics.add(product.tensor, shape, matrix, x);
            }
        }
        Ok(())
    }

    fn fault(&mut self, fault: &Fault<'_>) -> Observed {
        self.found.lost.push(fault.into());
        Ok(())
    }

    fn save(&self, into: &mut Vec<u8>) {
        saved::write(&self.found, into);
    }

    fn restore(&mut self, from: &[u8]) -> Observed {
        self.found = saved::read(from).ok_or("the sums in the journal are damaged")?;
        Ok(())
    }
}

/// The sums of all tensors that have been seen, by their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    tensors: BTreeMap<String, Sums>,
}

/// Sums over the input rows of one tensor, which may hold several matrices.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    columns: usize,
    /// Of each column of each matrix, one matrix after another.
    sums: ExactSums,
    squares: ExactSums,
    /// Input rows of each matrix.
    rows: Vec<u64>,
}

/// Columns that one thread sums.
const SPAN: usize = 256;

impl Statistics {
    /// Adds input rows of one matrix, those of one chunk. `matrices` is the number of matrices of
    /// the tensor.
    ///
    /// # Panics
    /// If `x` is not whole rows or not finite, there is no such matrix, or the tensor had another
    /// shape before.
    pub fn add(
        &mut self,
        tensor: &str,
        (columns, matrices): (usize, usize),
        matrix: usize,
        x: &[f32],
    ) {
        // most tensors are known: no name is allocated for them
        if !self.tensors.contains_key(tensor) {
            self.tensors.insert(tensor.to_owned(), Sums::new(columns, matrices));
        }
        let sums = self.tensors.get_mut(tensor).expect("it is there");
        assert_eq!((sums.columns, sums.rows.len()), (columns, matrices), "the shape of {tensor}");
        sums.add(matrix, x);
    }

    /// The tensors with their sums, sorted by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &Sums)> {
        self.tensors.iter().map(|(name, sums)| (name.as_str(), sums))
    }
}

impl Sums {
    pub(crate) fn new(columns: usize, matrices: usize) -> Self {
        let zeros = ExactSums::new(columns * matrices);
        Self { columns, sums: zeros.clone(), squares: zeros, rows: vec![0; matrices] }
    }

    pub(crate) fn add(&mut self, matrix: usize, x: &[f32]) {
        let columns = self.columns;
        assert!(x.len().is_multiple_of(columns.max(1)), "whole rows");
        assert!(matrix < self.rows.len(), "a matrix of the tensor");
        let (mut sums, mut squares) = (vec![0.0; columns], vec![0.0; columns]);
        let spans = sums.par_chunks_mut(SPAN).zip(squares.par_chunks_mut(SPAN));
        let isa = Isa::detect();
        spans.enumerate().for_each(|(span, (sums, squares))| {
            isa.run(
                #[inline(always)]
                || {
                    for row in x.chunks_exact(columns) {
                        let row = &row[span * SPAN..][..sums.len()];
                        for ((sum, square), x) in sums.iter_mut().zip(squares.iter_mut()).zip(row) {
                            let x = f64::from(*x);
                            *sum += x;
                            *square += x * x;
                        }
                    }
                },
            );
        });
        self.sums.add(matrix * columns, &sums);
        self.squares.add(matrix * columns, &squares);
        self.rows[matrix] += (x.len() / columns.max(1)) as u64;
    }

    /// Adds other sums. Returns `false` if they have another shape.
    fn merge(&mut self, other: &Self) -> bool {
        let shape = |sums: &Self| (sums.columns, sums.rows.len());
        if shape(self) != shape(other) {
            return false;
        }
        for (rows, theirs) in self.rows.iter_mut().zip(&other.rows) {
            *rows = rows.saturating_add(*theirs);
        }
        self.sums.merge(&other.sums) && self.squares.merge(&other.squares)
    }

    /// Columns of each matrix.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// The sums of the values of each column of each matrix, one matrix after another.
    pub fn sums(&self) -> Vec<f64> {
        self.sums.values()
    }

    /// The sums of their squares.
    pub fn squares(&self) -> Vec<f64> {
        self.squares.values()
    }

    /// The number of input rows of each matrix. Experts that no token met have none.
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_summed_in_any_order() {
        let columns = SPAN + 3;
        let rows: Vec<f32> = (0..4 * columns).map(|i| (i as f32 * 0.37).sin() * 1e3).collect();
        let of = |parts: &[&[f32]]| {
            let mut statistics = Statistics::default();
            parts.iter().for_each(|x| statistics.add("a", (columns, 2), 1, x));
            Collected { statistics, lost: Vec::new() }
        };
        let [a, b, c] = [&rows[..columns], &rows[columns..3 * columns], &rows[3 * columns..]];
        let whole = of(&[a, b, c]);
        for [first, second, third] in [[a, b, c], [c, a, b], [b, c, a]] {
            assert_eq!(of(&[first, second, third]), whole);
            let mut merged = of(&[first]);
            merged.merge(of(&[second, third])).unwrap();
            assert_eq!(merged, whole);
        }
        let (name, sums) = whole.statistics.tensors().next().unwrap();
        assert_eq!((name, sums.columns(), sums.rows()), ("a", columns, &[0, 4][..]));
        assert!(sums.squares()[..columns].iter().all(|square| *square == 0.0));
        let column: Vec<f64> = (0..4).map(|row| f64::from(rows[row * columns + 258])).collect();
        let expected = column.iter().fold(0.0, |sum, x| sum + x * x);
        assert!((sums.squares()[columns + 258] - expected).abs() <= 1e-15 * expected);
        let expected = column.iter().fold(0.0, |sum, x| sum + x);
        assert!((sums.sums()[columns + 258] - expected).abs() <= 1e-12);
        let mut other = Statistics::default();
        other.add("a", (columns, 1), 0, a);
        let other = Collected { statistics: other, lost: Vec::new() };
        let error = whole.clone().merge(other).unwrap_err();
        assert!(error.to_string().contains("another shape"), "{error}");
    }
}
