//! Running a model over many tokens in the memory of one layer: all chunks go through a layer
//! before the next one is read.
//!
//! [`run`] reads the weights of one layer at a time, and those of the next while it computes. An
//! [`Observer`] sees what goes into every product, and the logits. The same source, chunks and
//! options give the same calls with the same bits, in the same order, on every machine.
//!
//! ```no_run
//! use granule_infer::stream::{self, Observer, Observed, Options, Product};
//! use granule_infer::{Model, Place};
//!
//! /// The largest input of every tensor.
//! #[derive(Default)]
//! struct Largest(std::collections::BTreeMap<String, f32>);
//!
//! impl Observer for Largest {
//!     fn product(&mut self, product: &Product<'_>) -> Observed {
//!         let largest = self.0.entry(product.tensor.to_owned()).or_default();
//!         *largest = product.x.iter().fold(*largest, |largest, x| largest.max(x.abs()));
//!         Ok(())
//!     }
//! }
//!
//! # fn example(model: &Model<'_>, chunks: &[Vec<u32>]) -> Result<(), granule_infer::Error> {
//! let mut largest = Largest::default();
//! stream::run(model, chunks, &Options::default(), &mut largest)?;
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeSet;
use std::ops::Range;

use crate::compute::{Mode, Pass, Segment, State, Tap, Weights};
use crate::graph::TensorRef;
use crate::{Error, Model};

/// The place of a token: a chunk of the text, and the position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The chunk, from 0.
    pub chunk: usize,
    /// The position in the chunk, from 0.
    pub position: usize,
}

/// What [`run`] does besides computing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Compute logits of the positions from this one on; `None` for no logits. The matrix of the
    /// output is multiplied only with these.
    pub logits_from: Option<usize>,
    /// Compute every expert for every token. Results are the same; observers see more.
    pub all_experts: bool,
    /// Tokens that are computed together, at least those of one chunk. Results are the same; more
    /// tokens need more memory and decode weights less often.
    pub batch: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { logits_from: None, all_experts: false, batch: 2048 }
    }
}

/// What a method of an [`Observer`] returns: an error ends the run, as [`Error::Observer`].
pub type Observed = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Sees what a run computes. All methods do nothing unless they are overridden.
pub trait Observer {
    /// A layer begins; the number of [`layers`](Model::layers) stands for the output.
    fn layer(&mut self, _layer: usize) -> Observed {
        Ok(())
    }

    /// Vectors are about to be multiplied with a matrix. Rows of chunks with a [`Fault`] are left
    /// out.
    ///
    /// Within a layer, products come in the order in which the graph has them; those of one tensor
    /// come batch by batch, within a batch expert by expert, and rows in the order of the chunks.
    fn product(&mut self, _product: &Product<'_>) -> Observed {
        Ok(())
    }

    /// A number is not finite. The chunk takes no further part in the run; what was observed of it
    /// in earlier products stands.
    fn fault(&mut self, _fault: &Fault<'_>) -> Observed {
        Ok(())
    }

    /// The vector of a token after all layers and the last norm. Called for every token of every
    /// chunk without a fault, in their order.
    fn hidden(&mut self, _place: Place, _x: &[f32]) -> Observed {
        Ok(())
    }

    /// The logits at a position: one for each token of the vocabulary to come next. Called in the
    /// order of the positions, if [`Options::logits_from`] asks for it.
    fn logits(&mut self, _place: Place, _logits: &[f32]) -> Observed {
        Ok(())
    }
}

/// Vectors that are multiplied with a matrix.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Product<'a> {
    /// The name of the tensor: `blk.0.attn_q.weight`.
    pub tensor: &'a str,
    /// The place of the tensor in the source.
    pub index: usize,
    /// The layer; `None` for the output.
    pub layer: Option<usize>,
    /// For tensors with a matrix for each expert: which one.
    pub expert: Option<usize>,
    /// Matrices of the tensor: the number of experts, or 1.
    pub matrices: usize,
    /// Values of a vector: columns of the matrix.
    pub columns: usize,
    /// The place of each vector.
    pub places: &'a [Place],
    /// The vectors, one after another.
    pub x: &'a [f32],
}

/// A number that is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fault<'a> {
    /// The token.
    pub place: Place,
    /// The layer; `None` for the output.
    pub layer: Option<usize>,
    /// The tensor that was to be multiplied with the number, or `None` if it is what the layer
    /// gives.
    pub tensor: Option<&'a str>,
    /// The column of the number.
    pub column: usize,
    /// The number.
    pub value: f32,
}

/// Rows whose logits are computed together.
const LOGIT_ROWS: usize = 64;

/// Runs a model over chunks of tokens, each a text of its own that begins at position 0.
///
/// # Errors
/// If the weights cannot be read, if a chunk is empty, too long or has a token that is not in the
/// vocabulary, or if the observer returns an error. Numbers that are not finite are no error:
/// see [`Observer::fault`].
pub fn run(
    model: &Model<'_>,
    chunks: &[Vec<u32>],
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    for tokens in chunks {
        model.check(tokens, tokens.len())?;
    }
    let mut run = Run { model, options, observer, layer: None, faults: BTreeSet::new() };
    let mut hidden: Vec<Vec<f32>> =
        chunks.iter().map(|tokens| model.embed(tokens, 0)).collect::<Result<_, _>>()?;
    let graph = model.graph();
    let load = |layer: usize| match graph.layers.get(layer) {
        Some(layer) => Weights::load(model.source(), layer.tensors.iter().copied(), Mode::Exact),
        None if options.logits_from.is_some() => {
            Weights::load(model.source(), graph.output.tensors(), Mode::Exact)
        }
        None => Ok(Weights::default()),
    };
    let mut weights = load(0)?;
    for layer in 0..graph.layers.len() {
        weights = std::thread::scope(|scope| {
            let next = scope.spawn(|| load(layer + 1));
            run.layer(layer, &weights, &mut hidden)?;
            next.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
    }
    run.output(&weights, &mut hidden)
}

struct Run<'a, 's> {
    model: &'a Model<'s>,
    options: &'a Options,
    observer: &'a mut dyn Observer,
    layer: Option<usize>,
    /// Chunks with a fault.
    faults: BTreeSet<usize>,
}

impl Run<'_, '_> {
    fn layer(
        &mut self,
        layer: usize,
        weights: &Weights,
        hidden: &mut [Vec<f32>],
    ) -> Result<(), Error> {
        self.layer = Some(layer);
        self.observer.layer(layer).map_err(Error::Observer)?;
        let graph = self.model.graph();
        for batch in batches(hidden, graph.width, self.options.batch) {
            let mut x: Vec<f32> = hidden[batch.clone()].concat();
            let mut places = Vec::new();
            let mut states = vec![State::default(); batch.len()];
            let mut segments = Vec::new();
            for (chunk, state) in batch.clone().zip(&mut states) {
                let (start, length) = (places.len(), hidden[chunk].len() / graph.width);
                places.extend((0..length).map(|position| Place { chunk, position }));
                segments.push(Segment { rows: start..start + length, first: 0, length, state });
            }
            let mut pass = Pass {
                weights,
                rows: &places,
                causal: graph.causal,
                all_experts: self.options.all_experts,
                tap: self,
            };
            pass.layer(&graph.layers[layer], &mut segments, &mut x)?;
            self.look(None, &places, &x)?;
            let mut rest = &x[..];
            for chunk in batch {
                let (own, others) = rest.split_at(hidden[chunk].len());
                rest = others;
                hidden[chunk].copy_from_slice(own);
                if self.faults.contains(&chunk) {
                    hidden[chunk] = Vec::new();
                }
            }
        }
        Ok(())
    }

    fn output(&mut self, weights: &Weights, hidden: &mut [Vec<f32>]) -> Result<(), Error> {
        self.layer = None;
        let graph = self.model.graph();
        self.observer.layer(graph.layers.len()).map_err(Error::Observer)?;
        for (chunk, x) in hidden.iter_mut().enumerate() {
            self.model.normalize(x);
            for (position, x) in x.chunks_exact(graph.width).enumerate() {
                let place = Place { chunk, position };
                self.observer.hidden(place, x).map_err(Error::Observer)?;
            }
        }
        let Some(first) = self.options.logits_from else { return Ok(()) };
        for (chunk, x) in hidden.iter().enumerate() {
            let rows = x.len() / graph.width;
            for start in (first..rows).step_by(LOGIT_ROWS) {
                let end = rows.min(start + LOGIT_ROWS);
                let places: Vec<Place> =
                    (start..end).map(|position| Place { chunk, position }).collect();
                let mut pass = Pass {
                    weights,
                    rows: &places,
                    causal: graph.causal,
                    all_experts: false,
                    tap: self,
                };
                let x = &x[start * graph.width..end * graph.width];
                let logits = pass.output(&graph.output, x)?;
                self.look(None, &places, &logits)?;
                if self.faults.contains(&chunk) {
                    break;
                }
                for (place, logits) in places.iter().zip(logits.chunks_exact(graph.vocabulary)) {
                    self.observer.logits(*place, logits).map_err(Error::Observer)?;
                }
            }
        }
        Ok(())
    }

    /// Reports the first number of each chunk that is not finite. Returns whether there is a row
    /// of a chunk with a fault.
    fn look(&mut self, tensor: Option<&str>, places: &[Place], x: &[f32]) -> Result<bool, Error> {
        if self.faults.is_empty() && x.iter().all(|x| x.is_finite()) {
            return Ok(false);
        }
        let columns = x.len() / places.len().max(1);
        for (place, x) in places.iter().zip(x.chunks_exact(columns.max(1))) {
            if self.faults.contains(&place.chunk) {
                continue;
            }
            if let Some(column) = x.iter().position(|x| !x.is_finite()) {
                self.faults.insert(place.chunk);
                let (layer, value) = (self.layer, x[column]);
                let fault = Fault { place: *place, layer, tensor, column, value };
                self.observer.fault(&fault).map_err(Error::Observer)?;
            }
        }
        Ok(places.iter().any(|place| self.faults.contains(&place.chunk)))
    }
}

impl Tap for Run<'_, '_> {
    fn product(
        &mut self,
        tensor: TensorRef,
        expert: Option<usize>,
        rows: &[Place],
        x: &[f32],
    ) -> Result<(), Error> {
        let source = self.model.source();
        let name = source.tensors()[tensor.index].name.as_str();
        let (mut places, mut values) = (Vec::new(), Vec::new());
        let faulty = self.look(Some(name), rows, x)?;
        if faulty {
            for (place, x) in rows.iter().zip(x.chunks_exact(tensor.columns)) {
                if !self.faults.contains(&place.chunk) {
                    places.push(*place);
                    values.extend_from_slice(x);
                }
            }
        }
        let product = Product {
            tensor: name,
            index: tensor.index,
            layer: self.layer,
            expert,
            matrices: tensor.matrices,
            columns: tensor.columns,
            places: if faulty { &places } else { rows },
            x: if faulty { &values } else { x },
        };
        if product.places.is_empty() {
            return Ok(());
        }
        self.observer.product(&product).map_err(Error::Observer)
    }
}

/// Neighbouring chunks that are computed together.
fn batches(hidden: &[Vec<f32>], width: usize, tokens: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut sum = 0;
    for (chunk, x) in hidden.iter().enumerate() {
        let length = x.len() / width;
        if length == 0 {
            continue; // it had a fault
        }
        sum += length;
        match batches.last_mut() {
            Some(batch) if sum <= tokens && batch.end == chunk => batch.end = chunk + 1,
            _ => {
                batches.push(chunk..chunk + 1);
                sum = length;
            }
        }
    }
    batches
}
