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

mod hidden;
mod journal;

use std::collections::BTreeSet;
use std::ops::Range;

use granule_reader::format::BlockType;
use hidden::Hidden;
pub use journal::{Journal, JournalError};

use crate::compute::{KnownTurns, Mode, Pass, Segment, State, Tap, Weights};
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
    /// How products are computed. In other modes than [`Mode::Exact`], bits depend on the machine.
    pub mode: Mode,
    /// Compute logits of the positions from this one on; `None` for no logits. The matrix of the
    /// output is multiplied only with these.
    pub logits_from: Option<usize>,
    /// Compute every expert for every token. Results are the same; observers see more.
    pub all_experts: bool,
    /// Tokens that are computed together, at least those of one chunk. Results are the same; more
    /// tokens need more memory and decode weights less often.
    pub batch: usize,
    /// Bytes of the rows between layers that are kept in memory. More are kept in a temporary file.
    pub memory: usize,
    /// Keeps what is needed to continue the run after an interruption, and continues one. Then all
    /// rows between layers are in its files.
    pub journal: Option<Journal>,
    /// The run ends after this many layers.
    pub layers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Exact,
            logits_from: None,
            all_experts: false,
            batch: 2048,
            memory: 1 << 30,
            journal: None,
            layers: usize::MAX,
        }
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

    /// The blocks to multiply with instead of those of the source, for one matrix of the tensor
    /// whose product was announced last: an observer that changes weights runs the changed model.
    /// They must be those of all rows of the matrix.
    fn instead(&self, _index: usize, _matrix: usize) -> Option<(BlockType, &[u8])> {
        None
    }

    /// A number is not finite. The chunk takes no further part in the run; what was observed of it
    /// in earlier products stands.
    fn fault(&mut self, _fault: &Fault<'_>) -> Observed {
        Ok(())
    }

    /// Writes what was gathered so far, for a run with [`Options::journal`].
    fn save(&self, _into: &mut Vec<u8>) {}

    /// Continues with what [`save`](Self::save) wrote when the run was interrupted.
    fn restore(&mut self, _from: &[u8]) -> Observed {
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

/// Logits that are computed together, and the least number of their rows.
const LOGITS: usize = 1 << 24;
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
    let graph = model.graph();
    let rows = chunks.iter().map(Vec::len).collect();
    let mut hidden = Hidden::new(graph.width, rows, options.memory, options.journal.as_ref())
        .map_err(Error::Rows)?;
    let turns = KnownTurns::default();
    let mut run = Run { model, options, observer, layer: None, turns, faults: BTreeSet::new() };
    let start = run.begin(chunks, &mut hidden)?;
    let end = graph.layers.len().min(options.layers);
    let load = |layer: usize| match graph.layers.get(layer) {
        Some(layer) => Weights::load(model.source(), layer.tensors.iter().copied(), options.mode),
        None if options.logits_from.is_some() => {
            Weights::load(model.source(), graph.output.tensors(), options.mode)
        }
        None => Ok(Weights::default()),
    };
    let last = end == graph.layers.len();
    let mut weights = load(start)?;
    for layer in start..end {
        weights = std::thread::scope(|scope| {
            let next = scope.spawn(|| match layer + 1 < end || last {
                true => load(layer + 1),
                false => Ok(Weights::default()),
            });
            run.layer(layer, &weights, &mut hidden)?;
            next.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
    }
    if last { run.output(&weights, &mut hidden) } else { Ok(()) }
}

struct Run<'a, 's> {
    model: &'a Model<'s>,
    options: &'a Options,
    observer: &'a mut dyn Observer,
    layer: Option<usize>,
    turns: KnownTurns,
    /// Chunks with a fault.
    faults: BTreeSet<usize>,
}

impl Run<'_, '_> {
    /// Sets the rows before the first layer that is to be computed; returns its number.
    fn begin(&mut self, chunks: &[Vec<u32>], hidden: &mut Hidden) -> Result<usize, Error> {
        if let Some(journal) = &self.options.journal
            && let Some(state) = journal.read()?
        {
            if state.layers > self.model.layers() || state.left.iter().any(|i| *i >= chunks.len()) {
                let path = journal.folder().to_owned();
                return Err(JournalError::Damaged { path }.into());
            }
            // layers read one file and write the other
            if !state.layers.is_multiple_of(2) {
                hidden.swap();
            }
            state.left.iter().for_each(|chunk| hidden.leave(*chunk));
            self.faults.extend(state.left);
            self.observer.restore(&state.observer).map_err(Error::Observer)?;
            return Ok(state.layers);
        }
        for (chunk, tokens) in chunks.iter().enumerate() {
            hidden.begin(chunk, self.model.embed(tokens, 0)?).map_err(Error::Rows)?;
        }
        Ok(0)
    }

    fn layer(&mut self, layer: usize, weights: &Weights, hidden: &mut Hidden) -> Result<(), Error> {
        self.layer = Some(layer);
        self.observer.layer(layer).map_err(Error::Observer)?;
        let graph = self.model.graph();
        let mut turns = std::mem::take(&mut self.turns);
        for batch in batches(hidden, self.options.batch) {
            let mut x = hidden.read(batch.clone()).map_err(Error::Rows)?;
            let mut places = Vec::new();
            let mut states = vec![State::default(); batch.len()];
            let mut segments = Vec::new();
            for (chunk, state) in batch.clone().zip(&mut states) {
                let (start, length) = (places.len(), hidden.rows(chunk));
                places.extend((0..length).map(|position| Place { chunk, position }));
                segments.push(Segment { rows: start..start + length, first: 0, length, state });
            }
            let mut pass = Pass {
                weights,
                rows: &places,
                causal: graph.causal,
                all_experts: self.options.all_experts,
                turns: &mut turns,
                tap: self,
            };
            pass.layer(&graph.layers[layer], &mut segments, &mut x)?;
            self.look(None, &places, &x)?;
            hidden.write(batch.clone(), &x).map_err(Error::Rows)?;
            batch.filter(|chunk| self.faults.contains(chunk)).for_each(|i| hidden.leave(i));
        }
        self.turns = turns;
        hidden.end_layer().map_err(Error::Rows)?;
        if let Some(journal) = &self.options.journal {
            let mut state = journal::State { layers: layer + 1, ..Default::default() };
            state.left.extend(&self.faults);
            self.observer.save(&mut state.observer);
            journal.write(&state).map_err(Error::Rows)?;
        }
        Ok(())
    }

    fn output(&mut self, weights: &Weights, hidden: &mut Hidden) -> Result<(), Error> {
        self.layer = None;
        self.observer.layer(self.model.layers()).map_err(Error::Observer)?;
        for chunk in 0..hidden.chunks() {
            let mut x = hidden.read(chunk..chunk + 1).map_err(Error::Rows)?;
            self.model.normalize(&mut x);
            for (position, x) in x.chunks_exact(self.model.width()).enumerate() {
                let place = Place { chunk, position };
                self.observer.hidden(place, x).map_err(Error::Observer)?;
            }
            if let Some(first) = self.options.logits_from {
                self.logits(weights, chunk, first, &x)?;
            }
        }
        Ok(())
    }

    /// The logits of a chunk from a position on.
    fn logits(
        &mut self,
        weights: &Weights,
        chunk: usize,
        first: usize,
        x: &[f32],
    ) -> Result<(), Error> {
        let graph = self.model.graph();
        let rows = x.len() / graph.width;
        let together = (LOGITS / graph.vocabulary.max(1)).max(LOGIT_ROWS);
        for start in (first..rows).step_by(together) {
            let end = rows.min(start + together);
            let places: Vec<Place> =
                (start..end).map(|position| Place { chunk, position }).collect();
            let mut pass = Pass {
                weights,
                rows: &places,
                causal: graph.causal,
                all_experts: false,
                turns: &mut KnownTurns::default(),
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

    fn instead(&self, tensor: TensorRef, matrix: usize) -> Option<(BlockType, &[u8])> {
        self.observer.instead(tensor.index, matrix)
    }
}

/// Neighbouring chunks that are computed together.
fn batches(hidden: &Hidden, tokens: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut sum = 0;
    for chunk in 0..hidden.chunks() {
        let length = hidden.rows(chunk);
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
