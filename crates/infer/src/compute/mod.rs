//! Computing the parts of a graph in `f32`, with sums in a fixed order.
//!
//! Every number is the same on every machine: sums have an order that does not depend on
//! instruction sets or threads, multiplications and additions are rounded separately, and
//! functions such as `exp` are not those of the C library.

mod activation;
mod attention;
mod buffers;
pub(crate) mod delta;
mod experts;
mod feed_forward;
pub(crate) mod math;
mod mix;
mod norm;
mod recurrent;
mod rope;
mod weights;

use std::ops::Range;

use granule_reader::exact;
use granule_reader::format::BlockType;
use granule_reader::isa::Isa;
use rayon::prelude::*;

use crate::graph::{Layer, Linear, Output, Part, Step, TensorRef};
use crate::{Error, Place};

pub(crate) use mix::Seen;
pub(crate) use norm::normalize;
pub(crate) use rope::KnownTurns;
pub use weights::Mode;
pub(crate) use weights::{Inputs, Weights, block_type};

/// Receives the inputs of every product.
pub(crate) trait Tap {
    /// `x` has a row for each of `rows`; `expert` says which matrix of the tensor.
    fn product(
        &mut self,
        tensor: TensorRef,
        expert: Option<usize>,
        rows: &[Place],
        x: &[f32],
    ) -> Result<(), Error>;

    /// The blocks of a matrix of the tensor that was named last, if other than its own are to be
    /// multiplied with.
    fn instead(&self, _tensor: TensorRef, _matrix: usize) -> Option<(BlockType, &[u8])> {
        None
    }
}

/// Receives nothing.
pub(crate) struct NoTap;

impl Tap for NoTap {
    fn product(
        &mut self,
        _: TensorRef,
        _: Option<usize>,
        _: &[Place],
        _: &[f32],
    ) -> Result<(), Error> {
        Ok(())
    }
}

/// What a layer remembers of a text.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// Keys and values of all positions.
    pub(crate) seen: Seen,
    /// The last rows before a convolution.
    pub(crate) convolution: Vec<f32>,
    /// States of all channels of a recurrent part.
    pub(crate) scan: Vec<f32>,
}

/// The rows of a batch that belong to one text.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    pub(crate) rows: Range<usize>,
    /// The position of the first.
    pub(crate) first: usize,
    /// Positions that the whole text will have, if that is known.
    pub(crate) length: usize,
    pub(crate) state: &'a mut State,
}

/// A batch of rows on their way through a layer.
pub(crate) struct Pass<'a> {
    pub(crate) weights: &'a Weights,
    /// The place of each row.
    pub(crate) rows: &'a [Place],
    pub(crate) causal: bool,
    /// Whether every row goes through all experts.
    pub(crate) all_experts: bool,
    pub(crate) turns: &'a mut KnownTurns,
    pub(crate) tap: &'a mut dyn Tap,
}

/// Numbers that a thread works on at a time; fewer are not shared among threads.
const ALONE: usize = 1 << 14;

impl Pass<'_> {
    /// Replaces the rows in `x` by what the layer makes of them.
    pub(crate) fn layer(
        &mut self,
        layer: &Layer,
        segments: &mut [Segment<'_>],
        x: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let input = layer.parallel.then(|| x.clone());
        for step in &layer.steps {
            let from = input.as_ref().unwrap_or(x);
            let mut out = self.step(step, segments, from)?;
            if step.scale != 1.0 {
                multiply(&mut out, step.scale);
            }
            add(x, &out);
            buffers::give(out);
            if let Some(norm) = &step.sum {
                normalize(self.weights, norm, x);
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        step: &Step,
        segments: &mut [Segment<'_>],
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let normed = step.before.as_ref().map(|norm| {
            let mut normed = buffers::take(x.len());
            normed.copy_from_slice(x);
            normalize(self.weights, norm, &mut normed);
            normed
        });
        let x = normed.as_deref().unwrap_or(x);
        let mut out = match &step.part {
            Part::Attention(part) => self.attention(part, segments, x)?,
            Part::Latent(part) => self.latent(part, segments, x)?,
            Part::DeltaNet(part) => self.delta_net(part, segments, x)?,
            Part::Mamba(part) => self.mamba(part, segments, x)?,
            Part::ShortConvolution(part) => self.short_convolution(part, segments, x)?,
            Part::FeedForward(part) => self.feed_forward(part, x)?,
            Part::Experts(part) => self.experts(part, x)?,
        };
        if let Some(norm) = &step.after {
            normalize(self.weights, norm, &mut out);
        }
        normed.into_iter().for_each(buffers::give);
        Ok(out)
    }

    /// The logits of normalized rows.
    pub(crate) fn output(&mut self, output: &Output, x: &[f32]) -> Result<Vec<f32>, Error> {
        let Some(linear) = &output.linear else { return Ok(Vec::new()) };
        let mut logits = self.linear(linear, x)?;
        if output.scale != 1.0 {
            multiply(&mut logits, output.scale);
        }
        if output.cap > 0.0 {
            logits.par_iter_mut().for_each(|logit| *logit = math::soft_cap(*logit, output.cap));
        }
        Ok(logits)
    }

    /// The products of all rows of the batch.
    pub(crate) fn linear(&mut self, linear: &Linear, x: &[f32]) -> Result<Vec<f32>, Error> {
        self.linear_with(linear, &mut Inputs::new(x))
    }

    /// The same with vectors that several matrices are multiplied with.
    pub(crate) fn linear_with(
        &mut self,
        linear: &Linear,
        x: &mut Inputs<'_>,
    ) -> Result<Vec<f32>, Error> {
        let rows = self.rows;
        self.linear_of(linear, None, rows, x)
    }

    /// The products of some rows, with one matrix of the tensor.
    pub(crate) fn linear_of(
        &mut self,
        linear: &Linear,
        expert: Option<usize>,
        rows: &[Place],
        x: &mut Inputs<'_>,
    ) -> Result<Vec<f32>, Error> {
        let weight = linear.weight;
        self.tap.product(weight, expert, rows, x.values)?;
        let mut y = buffers::take(rows.len() * weight.rows);
        let matrix = expert.unwrap_or(0);
        match self.tap.instead(weight, matrix) {
            Some((ty, blocks)) => {
                exact::multiply(Isa::detect(), ty, blocks, weight.columns, x.values, &mut y);
            }
            None => self.weights.multiply(weight, matrix, x, &mut y),
        }
        if let Some(scale) = linear.scale {
            let scale = self.weights.vector(scale);
            // one for all, or one for each expert
            let scale = scale.get(matrix).or(scale.first()).copied().unwrap_or(1.0);
            multiply(&mut y, scale);
        }
        if let Some(bias) = linear.bias {
            let bias = self.weights.vector(bias);
            let bias = &bias[matrix * weight.rows..][..weight.rows];
            y.chunks_exact_mut(weight.rows).for_each(|y| add(y, bias));
        }
        Ok(y)
    }
}

/// Multiplies all numbers with a factor.
fn multiply(x: &mut [f32], factor: f32) {
    each_part(
        x,
        1,
        #[inline(always)]
        |x| x.iter_mut().for_each(|x| *x *= factor),
    );
}

/// Adds a vector of the same length.
pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    each_pair(
        x,
        y,
        #[inline(always)]
        |x, y| x.iter_mut().zip(y).for_each(|(x, y)| *x += y),
    );
}

/// Calls `work` for parts of `x` of whole units, compiled for the instruction set at hand and
/// shared among threads. Mark it `#[inline(always)]`.
#[inline(always)]
pub(crate) fn each_part(x: &mut [f32], unit: usize, work: impl Fn(&mut [f32]) + Sync) {
    let isa = Isa::detect();
    let work = |x: &mut [f32]| {
        isa.run(
            #[inline(always)]
            || work(x),
        );
    };
    if x.len() <= ALONE {
        return work(x);
    }
    x.par_chunks_mut((ALONE / unit.max(1)).max(1) * unit.max(1)).for_each(work);
}

/// As [`each_part`], with the parts of `y` at the same places.
#[inline(always)]
pub(crate) fn each_pair(x: &mut [f32], y: &[f32], work: impl Fn(&mut [f32], &[f32]) + Sync) {
    let isa = Isa::detect();
    let work = |x: &mut [f32], y: &[f32]| {
        isa.run(
            #[inline(always)]
            || work(x, y),
        );
    };
    if x.len() <= ALONE {
        return work(x, y);
    }
    x.par_chunks_mut(ALONE).zip(y.par_chunks(ALONE)).for_each(|(x, y)| work(x, y));
}
