//! The product of two thin matrices, added to a matrix of the base model.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::parts::Pair;
use super::settings::Settings;
use crate::file::DataFile;
use crate::stored::StoredTensor;
use crate::{AdapterProblem, Error, Problem};

/// Pairs of matrices in memory. Threads work on neighbouring tensors, so they need few at a time.
const KEPT: usize = 3;

/// Values of a row that are calculated together. Keeps the sums in the first level of cache.
const TILE: usize = 1 << 11;

/// The product of two matrices and its factor.
#[derive(Debug)]
pub(super) struct Product {
    a: StoredTensor,
    b: StoredTensor,
    scale: f64,
    /// The dimensions of the base model's matrix: those after the first are one.
    rows: usize,
    columns: usize,
    rank: usize,
    /// Whether the rows of the base model's matrix are the inputs, so that the product is the
    /// transpose of `B * A`.
    transposed: bool,
    magnitude: Option<Magnitude>,
    cache: Arc<Cache>,
    number: usize,
}

/// The lengths that the outputs' vectors of weights are brought to (DoRA).
#[derive(Debug)]
pub(super) struct Magnitude {
    pub(super) lengths: StoredTensor,
    /// What each output is multiplied by, once that is calculated.
    pub(super) factors: Mutex<Option<Arc<Vec<f64>>>>,
}

/// The two matrices in memory.
#[derive(Debug)]
struct Thin {
    /// `rows * rank` numbers.
    left: Vec<f32>,
    /// `rank * columns` numbers.
    right: Vec<f32>,
}

/// The pairs that were used last.
#[derive(Debug, Default)]
pub(super) struct Cache {
    kept: Mutex<Vec<(usize, Arc<Thin>)>>,
    next: AtomicUsize,
}

impl Product {
    /// Makes the change that a pair of matrices is for the base model's.
    pub(super) fn new(
        base: &StoredTensor,
        pair: &Pair<StoredTensor>,
        settings: &Settings,
        cache: &Arc<Cache>,
    ) -> Result<Self, Problem> {
        let ([rank, inputs @ ..], [outputs, further @ ..]) = (&pair.a.shape[..], &pair.b.shape[..])
        else {
            return Err(AdapterProblem::HalfPair.into());
        };
        let [first, rest @ ..] = &base.shape[..] else {
            return Err(AdapterProblem::HalfPair.into());
        };
        // A convolution has further dimensions: the first matrix those of its own, the other 1.
        if inputs.is_empty() || further.iter().product::<u64>() != *rank {
            return Err(AdapterProblem::HalfPair.into());
        }
        let (rank, outputs) = (*rank, *outputs);
        let inputs: u64 = inputs.iter().product();
        let (rows, columns) = (*first, rest.iter().product::<u64>());
        let [as_linear, as_transposed] =
            [(outputs, inputs), (inputs, outputs)].map(|of| of == (rows, columns));
        let transposed = match (pair.embeds, as_linear, as_transposed) {
            (false, true, true) => settings.transposed,
            (false, true, false) => false,
            (_, _, true) => true,
            _ => {
                let (base, name) = (base.shape.clone(), base.name.clone());
                let (rows, columns) =
                    if pair.embeds { (inputs, outputs) } else { (outputs, inputs) };
                return Err(AdapterProblem::OtherShape { rows, columns, name, base }.into());
            }
        };
        if let Some(lengths) = &pair.magnitude
            && lengths.values() != outputs
        {
            let (found, expected) = (lengths.values(), outputs);
            return Err(AdapterProblem::Magnitudes { found, expected }.into());
        }
        let lengths = pair.magnitude.clone();
        Ok(Self {
            a: pair.a.clone(),
            b: pair.b.clone(),
            scale: settings.scale(&pair.module, rank),
            rows: rows as usize,
            columns: columns as usize,
            rank: rank as usize,
            transposed,
            magnitude: lengths.map(|lengths| Magnitude { lengths, factors: Mutex::new(None) }),
            cache: Arc::clone(cache),
            number: cache.next.fetch_add(1, Ordering::Relaxed),
        })
    }

    pub(super) const fn magnitude(&self) -> Option<&Magnitude> {
        self.magnitude.as_ref()
    }

    /// Returns the number of outputs, and which one a value belongs to.
    pub(super) const fn outputs(&self) -> usize {
        if self.transposed { self.columns } else { self.rows }
    }

    /// Returns the output that the value with this index belongs to.
    pub(super) const fn output(&self, index: usize) -> usize {
        if self.transposed { index % self.columns } else { index / self.columns }
    }

    /// Adds the product to `values`, which begin at index `first`. Each sum is over the rank in
    /// ascending order.
    pub(super) fn add(
        &self,
        files: &[DataFile],
        first: u64,
        values: &mut [f64],
    ) -> Result<(), Error> {
        let thin = self.cache.get(self.number, || self.load(files))?;
        let mut sums = [0.0_f64; TILE];
        let (mut at, mut rest) = (first as usize, values);
        while !rest.is_empty() {
            let (row, column) = (at / self.columns, at % self.columns);
            let count = (self.columns - column).min(rest.len()).min(TILE);
            let (here, after) = rest.split_at_mut(count);
            let sums = &mut sums[..count];
            sums.fill(0.0);
            let factors = &thin.left[row * self.rank..][..self.rank];
            let line = |k: usize| &thin.right[k * self.columns + column..][..count];
            let (fours, others) = factors.as_chunks::<4>();
            for (four, factors) in fours.iter().enumerate() {
                let lines = [0, 1, 2, 3].map(|k| line(4 * four + k));
                add_four(sums, factors.map(f64::from), lines);
            }
            for (k, factor) in others.iter().enumerate() {
                let factor = f64::from(*factor);
                let line = line(4 * fours.len() + k);
                sums.iter_mut().zip(line).for_each(|(sum, a)| *sum += factor * f64::from(*a));
            }
            here.iter_mut().zip(sums).for_each(|(value, sum)| *value += self.scale * *sum);
            at += count;
            rest = after;
        }
        Ok(())
    }

    fn load(&self, files: &[DataFile]) -> Result<Thin, Error> {
        let (a, b) = (whole(&self.a, files)?, whole(&self.b, files)?);
        Ok(match self.transposed {
            false => Thin { left: b, right: a },
            true => Thin { left: transpose(&a, self.rows), right: transpose(&b, self.rank) },
        })
    }
}

/// Adds four products to each sum, one after the other.
fn add_four(sums: &mut [f64], factors: [f64; 4], lines: [&[f32]; 4]) {
    let [one, two, three, four] = lines;
    let lines = one.iter().zip(two).zip(three.iter().zip(four));
    for (sum, ((one, two), (three, four))) in sums.iter_mut().zip(lines) {
        let new = *sum + factors[0] * f64::from(*one) + factors[1] * f64::from(*two);
        *sum = new + factors[2] * f64::from(*three) + factors[3] * f64::from(*four);
    }
}

/// Reads all values of a tensor.
pub(super) fn whole(tensor: &StoredTensor, files: &[DataFile]) -> Result<Vec<f32>, Error> {
    let mut bytes = vec![0; tensor.bytes() as usize];
    tensor.read(files, 0, &mut bytes)?;
    Ok(tensor.ty.widen(&bytes))
}

/// Transposes a matrix with rows of this length.
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    let column = |column: usize| values.iter().skip(column).step_by(columns.max(1)).copied();
    (0..columns).flat_map(column).collect()
}

impl Cache {
    /// Returns the pair with this number, which `load` reads if it is not there.
    fn get(
        &self,
        number: usize,
        load: impl FnOnce() -> Result<Thin, Error>,
    ) -> Result<Arc<Thin>, Error> {
        // While one thread reads a pair, the others wait: they probably need the same.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = kept.iter().position(|(of, _)| *of == number) {
            let found = kept.remove(place);
            let thin = Arc::clone(&found.1);
            kept.push(found);
            return Ok(thin);
        }
        let thin = Arc::new(load()?);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((number, Arc::clone(&thin)));
        Ok(thin)
    }
}

impl Hash for Product {
    fn hash<H: Hasher>(&self, into: &mut H) {
        (&self.a, &self.b, self.scale.to_bits(), self.transposed).hash(into);
        self.magnitude.as_ref().map(|magnitude| &magnitude.lengths).hash(into);
    }
}
