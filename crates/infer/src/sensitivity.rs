//! How much the result of a layer changes when one of its tensors has other values.
//!
//! A tensor that is quantized changes what its layer computes. [`measure`] runs the layer once
//! with the original values and once for each tensor with other ones, on the same inputs, and
//! compares the results. One layer is in memory at a time, and nothing is propagated: the inputs
//! of every layer are those of the original.
//!
//! The relative change of the residual stream, `|y' - y|² / |y|²` as a mean over tokens, tells
//! which tensors of a model cost much when they are quantized, better than the error of their
//! values does.

use std::collections::BTreeMap;

use granule_reader::Source;
use rayon::prelude::*;

use crate::compute::{KnownTurns, Mode, NoTap, Pass, Segment, State, Tap, Weights};
use crate::graph::{TensorRef, Use};
use crate::statistics::Sums;
use crate::stream::Observed;
use crate::{Error, Model, Place};

/// What a tensor with other values changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// The place of the tensor in the source.
    pub index: usize,
    /// The layer.
    pub layer: usize,
    /// The relative change of the layer's result: squares of changes by squares of values, as a
    /// mean over tokens.
    pub change: f64,
    /// What is multiplied with the tensor: sums over its inputs.
    pub inputs: Sums,
}

/// Replaces one tensor of a layer after another by that of `other`, whose tensors are those of the
/// model with other values, and measures what that changes. Only matrices for which `wanted`
/// returns true, by their places in the source, are looked at. Tokens whose results are not finite
/// do not count. `progress` is called with the number of each layer that begins; its error ends the
/// run.
///
/// # Errors
/// If tensors cannot be read, a chunk is empty, too long or has a token that is not in the
/// vocabulary, or `progress` returns an error.
pub fn measure(
    model: &Model<'_>,
    other: &dyn Source,
    chunks: &[Vec<u32>],
    wanted: &dyn Fn(usize) -> bool,
    progress: &mut dyn FnMut(usize) -> Observed,
) -> Result<Vec<Sensitivity>, Error> {
    for tokens in chunks {
        model.check(tokens, tokens.len())?;
    }
    let mut hidden: Vec<Vec<f32>> =
        chunks.iter().map(|tokens| model.embed(tokens, 0)).collect::<Result<_, _>>()?;
    let (mut found, mut turns) = (Vec::new(), KnownTurns::default());
    for (layer, about) in model.graph().layers.iter().enumerate() {
        progress(layer).map_err(Error::Observer)?;
        let tensors = about.tensors.iter().copied();
        let mut weights = Weights::load(model.source(), tensors.clone(), Mode::Exact)?;
        let mut inputs = Inputs::default();
        let results: Vec<Vec<f32>> = hidden
            .iter()
            .map(|x| through((model, layer), &weights, x, &mut turns, &mut inputs))
            .collect::<Result<_, _>>()?;
        let matrices = tensors.filter(|(index, used)| *used == Use::Products && wanted(*index));
        for (index, used) in matrices {
            let Some(sums) = inputs.0.remove(&index) else { continue };
            let mut replaced = Weights::load(other, [(index, used)], Mode::Exact)?;
            weights.exchange(&mut replaced, index);
            let mut change = Change::default();
            for (x, result) in hidden.iter().zip(&results) {
                let changed = through((model, layer), &weights, x, &mut turns, &mut NoTap)?;
                change.add(result, &changed, model.width());
            }
            weights.exchange(&mut replaced, index);
            found.push(Sensitivity { index, layer, change: change.mean(), inputs: sums });
        }
        hidden = results;
    }
    Ok(found)
}

/// What a layer makes of the rows of one chunk.
fn through(
    (model, layer): (&Model<'_>, usize),
    weights: &Weights,
    x: &[f32],
    turns: &mut KnownTurns,
    tap: &mut dyn Tap,
) -> Result<Vec<f32>, Error> {
    let graph = model.graph();
    let rows = x.len() / graph.width;
    let places: Vec<Place> = (0..rows).map(|position| Place { chunk: 0, position }).collect();
    let mut state = State::default();
    let segment = Segment { rows: 0..rows, first: 0, length: rows, state: &mut state };
    let (rows, causal) = (&places, graph.causal);
    let mut pass = Pass { weights, rows, causal, all_experts: false, turns, tap };
    let mut x = x.to_vec();
    pass.layer(&graph.layers[layer], &mut [segment], &mut x)?;
    Ok(x)
}

/// Sums over the inputs of every tensor, by its place in the source.
#[derive(Default)]
struct Inputs(BTreeMap<usize, Sums>);

impl Tap for Inputs {
    fn product(
        &mut self,
        tensor: TensorRef,
        expert: Option<usize>,
        _: &[Place],
        x: &[f32],
    ) -> Result<(), Error> {
        let new = || Sums::new(tensor.columns, tensor.matrices);
        self.0.entry(tensor.index).or_insert_with(new).add(expert.unwrap_or(0), x);
        Ok(())
    }
}

/// The mean of relative changes.
#[derive(Default)]
struct Change {
    sum: f64,
    tokens: u64,
}

impl Change {
    fn add(&mut self, results: &[f32], changed: &[f32], width: usize) {
        let rows = results.par_chunks_exact(width).zip(changed.par_chunks_exact(width));
        let ratios = rows.map(|(result, changed)| {
            let (mut squares, mut values) = (0.0_f64, 0.0_f64);
            for (result, changed) in result.iter().zip(changed) {
                let [result, changed] = [result, changed].map(|value| f64::from(*value));
                squares += (changed - result).powi(2);
                values += result * result;
            }
            squares / values
        });
        // one after another, so that the sum does not depend on the threads
        for ratio in ratios.collect::<Vec<f64>>() {
            if ratio.is_finite() {
                self.sum += ratio;
                self.tokens += 1;
            }
        }
    }

    fn mean(&self) -> f64 {
        if self.tokens == 0 { 0.0 } else { self.sum / self.tokens as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_relative_and_those_without_a_size_do_not_count() {
        let mut change = Change::default();
        let results = [3.0, 4.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0];
        let changed = [3.0, 5.0, 1.0, 1.0, f32::NAN, 0.0, 1.0, 1.0];
        change.add(&results, &changed, 2);
        assert_eq!((change.mean(), change.tokens), (1.0 / 25.0 / 2.0, 2));
    }
}
