use std::ops::Range;

use crate::compute::{KnownTurns, Mode, NoTap, Pass, Segment, State, Weights};
use crate::graph::{Graph, Pooling};
use crate::{Error, Model, Place};

/// A text that a model reads token by token: the weights are in memory, and what the layers
/// remember of the text is kept, so that each token is computed only once.
#[derive(Debug)]
pub struct Session<'m, 's> {
    model: &'m Model<'s>,
    weights: Weights,
    states: Vec<State>,
    turns: KnownTurns,
    positions: usize,
}

impl<'m, 's> Session<'m, 's> {
    /// Reads all weights.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn new(model: &'m Model<'s>, mode: Mode) -> Result<Self, Error> {
        let graph = model.graph();
        let mut weights = Weights::default();
        for layer in &graph.layers {
            weights.add(model.source(), layer.tensors.iter().copied(), mode)?;
        }
        weights.add(model.source(), graph.output.tensors(), mode)?;
        let states = vec![State::default(); graph.layers.len()];
        Ok(Self { model, weights, states, turns: KnownTurns::default(), positions: 0 })
    }

    /// Number of tokens so far.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Forgets the text.
    pub fn clear(&mut self) {
        self.states.fill(State::default());
        self.positions = 0;
    }

    /// Appends tokens to the text, and returns the logit of every token of the vocabulary to come
    /// next.
    ///
    /// # Errors
    /// If there are no tokens, if one is not in the vocabulary, if the text becomes longer than
    /// the model's positions, or if the model does not predict tokens.
    pub fn forward(&mut self, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        let graph = self.model.graph();
        if graph.output.linear.is_none() {
            let reason = "do not predict tokens; they have vectors for texts (`embed`)";
            return Err(Error::Kind { architecture: graph.architecture.to_owned(), reason });
        }
        let mut x = self.hidden(tokens)?.split_off((tokens.len() - 1) * graph.width);
        self.model.normalize(&mut x);
        let places = [Place { chunk: 0, position: self.positions - 1 }];
        let mut pass = Pass {
            weights: &self.weights,
            rows: &places,
            causal: graph.causal,
            all_experts: false,
            turns: &mut self.turns,
            tap: &mut NoTap,
        };
        pass.output(&graph.output, &x)
    }

    /// The vector of a text, brought to length one. Forgets what was before.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), but models that predict tokens have such vectors too.
    pub fn embed(&mut self, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        self.clear();
        let graph = self.model.graph();
        let mut x = self.hidden(tokens)?;
        self.model.normalize(&mut x);
        self.clear();
        Ok(pool(graph, &x))
    }

    /// The rows of new tokens after the last layer.
    fn hidden(&mut self, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        let (graph, first) = (self.model.graph(), self.positions);
        let end = first + tokens.len();
        self.model.check(tokens, end)?;
        let places: Vec<Place> =
            (first..end).map(|position| Place { chunk: 0, position }).collect();
        let mut x = self.model.embed(tokens, first)?;
        let mut pass = Pass {
            weights: &self.weights,
            rows: &places,
            causal: graph.causal,
            all_experts: false,
            turns: &mut self.turns,
            tap: &mut NoTap,
        };
        for (layer, state) in graph.layers.iter().zip(&mut self.states) {
            let rows = Range { start: 0, end: tokens.len() };
            let segment = Segment { rows, first, length: end, state };
            pass.layer(layer, &mut [segment], &mut x)?;
        }
        self.positions = end;
        Ok(x)
    }
}

/// One vector of length one for all rows.
fn pool(graph: &Graph, x: &[f32]) -> Vec<f32> {
    let width = graph.width;
    let mut sum = vec![0.0_f64; width];
    let rows = match graph.pooling {
        Pooling::Mean => x,
        Pooling::First => &x[..width],
        Pooling::Last => &x[x.len() - width..],
    };
    // the length is brought to one afterwards, so the sum does for the mean
    for row in rows.chunks_exact(width) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let length = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
    sum.iter().map(|x| if length > 0.0 { (x / length) as f32 } else { 0.0 }).collect()
}
