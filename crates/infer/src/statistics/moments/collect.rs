//! Second moments of all inputs of a model, over chunks of text.

use std::collections::{BTreeMap, BTreeSet};

use super::{ExactMoments, Moments, fingerprint};
use crate::statistics::Lost;
use crate::stream::{self, Fault, Observed, Observer, Options, Product};
use crate::{Chunks, Error, Model, Place};

/// Chunks whose moments are summed together before they are added without rounding, from the first
/// chunk on. Parts of a text must begin at multiples of it.
pub const UNIT: usize = 8;

/// A matrix, or one for each expert, whose inputs are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrices {
    /// The place of the tensor in the source.
    pub index: usize,
    /// Columns of a matrix.
    pub columns: usize,
    /// Number of matrices.
    pub count: usize,
}

/// Returns the tensors whose moments [`collect`] gives, in their order.
pub fn tensors(model: &Model<'_>) -> Vec<Matrices> {
    let mut seen = BTreeSet::new();
    let all = model.products().into_iter().flatten().filter(|index| seen.insert(*index));
    all.map(|index| {
        let shape = model.source().tensors()[index].shape;
        let (columns, more) = shape.dimensions().split_first().unwrap_or((&0, &[]));
        let count = more.iter().skip(1).product::<u64>();
        Matrices { index, columns: *columns as usize, count: count as usize }
    })
    .collect()
}

/// Runs a model over chunks and sums the second moments of what goes into its matrices.
///
/// `width` tells the columns of a span for a matrix with a number of columns. `sink` gets the
/// moments of each tensor of [`tensors`], in their order: of each of its matrices. `progress` is
/// called with the number of each layer that begins. Errors of both end the run. Returns the chunks
/// that were left; what layers before had summed of them stays.
///
/// All chunks go through a layer together, so memory grows with their number.
///
/// # Errors
/// If the weights cannot be read, a token is not in the vocabulary, or a function returns an error.
pub fn collect(
    model: &Model<'_>,
    chunks: &Chunks,
    all_experts: bool,
    width: &dyn Fn(usize) -> usize,
    sink: &mut dyn FnMut(&Matrices, Vec<ExactMoments>) -> Observed,
    progress: &mut dyn FnMut(usize) -> Observed,
) -> Result<Vec<Lost>, Error> {
    let tensors = tensors(model);
    let places: BTreeMap<usize, usize> =
        tensors.iter().enumerate().map(|(place, it)| (it.index, place)).collect();
    let (mut end, mut ends) = (0, Vec::new());
    for layer in model.products() {
        end = layer.iter().map(|index| places[index] + 1).fold(end, usize::max);
        ends.push(end);
    }
    let mut collector = Collector {
        tensors,
        places,
        ends,
        begun: 0,
        done: 0,
        width,
        found: BTreeMap::new(),
        last: None,
        rows: Vec::new(),
        unit: 0,
        lost: Vec::new(),
        sink,
        progress,
    };
    let options = Options { batch: usize::MAX, all_experts, ..Options::default() };
    stream::run(model, &chunks.texts(), &options, &mut collector)?;
    collector.end_layer().map_err(Error::Observer)?;
    Lost::sort(&mut collector.lost);
    Ok(collector.lost)
}

struct Collector<'a> {
    tensors: Vec<Matrices>,
    /// The place of each tensor among them, by its index.
    places: BTreeMap<usize, usize>,
    /// How many of them are given after each layer.
    ends: Vec<usize>,
    begun: usize,
    done: usize,
    width: &'a dyn Fn(usize) -> usize,
    /// The moments of the layer by the place of the tensor.
    found: BTreeMap<usize, Vec<ExactMoments>>,
    /// Those of the inputs that were seen last: several matrices have the same ones.
    last: Option<([u64; 3], ExactMoments)>,
    /// Inputs of the output that are not summed yet, of one unit.
    rows: Vec<f32>,
    unit: usize,
    lost: Vec<Lost>,
    sink: &'a mut dyn FnMut(&Matrices, Vec<ExactMoments>) -> Observed,
    progress: &'a mut dyn FnMut(usize) -> Observed,
}

impl Collector<'_> {
    /// The place of a tensor, unless its moments were given in an earlier layer.
    fn place(&self, index: usize) -> Option<usize> {
        self.places.get(&index).copied().filter(|place| *place >= self.done)
    }

    fn none(&self, place: usize) -> Vec<ExactMoments> {
        let Matrices { columns, count, .. } = self.tensors[place];
        vec![ExactMoments::new(columns, (self.width)(columns)); count]
    }

    fn add(&mut self, place: usize, matrix: usize, moments: &ExactMoments) -> Observed {
        let none = self.none(place);
        let of = self.found.entry(place).or_insert(none).get_mut(matrix);
        match of.is_some_and(|of| of.merge(moments)) {
            true => Ok(()),
            false => Err("a matrix has other inputs than its shape tells".into()),
        }
    }

    /// Sums over input rows of one unit.
    fn sum(&self, exact: &mut ExactMoments, columns: usize, x: &[f32]) -> Observed {
        let mut moments = Moments::new(columns, (self.width)(columns));
        moments.add(x);
        match exact.add(&moments) {
            true => Ok(()),
            false => Err("inputs are so large that single precision does not hold their \
                          products: no second moments can be summed"
                .into()),
        }
    }

    /// Adds the rows before the output to its moments.
    fn end_unit(&mut self) -> Observed {
        let rows = std::mem::take(&mut self.rows);
        let Some(place) = self.tensors.len().checked_sub(1).filter(|_| !rows.is_empty()) else {
            return Ok(());
        };
        let columns = self.tensors[place].columns;
        let mut exact = ExactMoments::new(columns, (self.width)(columns));
        self.sum(&mut exact, columns, &rows)?;
        self.add(place, 0, &exact)
    }

    /// Gives the moments of the layer that was computed last.
    fn end_layer(&mut self) -> Observed {
        self.end_unit()?;
        let Some(layer) = self.begun.checked_sub(1) else { return Ok(()) };
        let end = self.ends.get(layer).copied().unwrap_or(self.done);
        for place in self.done..end {
            let moments = self.found.remove(&place).unwrap_or_else(|| self.none(place));
            (self.sink)(&self.tensors[place], moments)?;
        }
        self.done = self.done.max(end);
        self.found.clear();
        self.last = None;
        Ok(())
    }
}

impl Observer for Collector<'_> {
    fn layer(&mut self, layer: usize) -> Observed {
        self.end_layer()?;
        self.begun = layer + 1;
        (self.progress)(layer)
    }

    fn product(&mut self, product: &Product<'_>) -> Observed {
        let Some(place) = self.place(product.index) else { return Ok(()) };
        let (columns, x) = (product.columns, product.x);
        let print = [columns as u64, x.len() as u64, fingerprint(x)];
        if self.last.as_ref().is_none_or(|(last, _)| *last != print) {
            let mut exact = ExactMoments::new(columns, (self.width)(columns));
            let mut rest = x;
            for places in product.places.chunk_by(|a, b| a.chunk / UNIT == b.chunk / UNIT) {
                let (x, others) = rest.split_at(places.len() * columns);
                rest = others;
                self.sum(&mut exact, columns, x)?;
            }
            self.last = Some((print, exact));
        }
        if let Some(last) = self.last.take() {
            self.add(place, product.expert.unwrap_or(0), &last.1)?;
            self.last = Some(last);
        }
        Ok(())
    }

    fn hidden(&mut self, place: Place, x: &[f32]) -> Observed {
        // the output has a layer of its own, unless it is the embedding
        let is_wanted = self.begun == self.ends.len()
            && self.tensors.last().is_some_and(|output| output.columns == x.len())
            && self.done < self.tensors.len();
        if is_wanted {
            if place.chunk / UNIT != self.unit {
                self.end_unit()?;
                self.unit = place.chunk / UNIT;
            }
            self.rows.extend_from_slice(x);
        }
        Ok(())
    }

    fn fault(&mut self, fault: &Fault<'_>) -> Observed {
        self.lost.push(fault.into());
        Ok(())
    }
}
