//! The gated delta rule (Qwen3-Next): a state that is corrected by what it gets wrong.

use granule_reader::isa::Isa;
use rayon::prelude::*;

use super::activation::silu;
use super::math::{exp64, sigmoid, sum64};
use super::recurrent::{Columns, convolve, softplus};
use super::{Inputs, Pass, Segment, add, each_pair, each_part, normalize};
use crate::Error;
use crate::graph::DeltaNet;

impl Pass<'_> {
    pub(super) fn delta_net(
        &mut self,
        part: &DeltaNet,
        segments: &mut [Segment<'_>],
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let DeltaNet { heads, groups, key_length, value_length, .. } = *part;
        let x = &mut Inputs::new(x);
        let all = self.linear_with(&part.input, x)?;
        let gate = self.linear_with(&part.gate, x)?;
        let [mut weights, mut steps] = match &part.rates[..] {
            // of each group: its weights, then its steps
            [both] => {
                let both = self.linear_with(both, x)?;
                let shared = heads / groups;
                let both = Columns { all: &both, row: 2 * shared };
                [both.take(0, shared), both.take(shared, shared)]
            }
            [weights, steps, ..] => [self.linear_with(weights, x)?, self.linear_with(steps, x)?],
            [] => unreachable!("one matrix or two"),
        };
        let bias = self.weights.vector(part.step_bias);
        steps.chunks_exact_mut(heads).for_each(|steps| add(steps, &bias));
        weights.iter_mut().for_each(|weight| *weight = sigmoid(*weight));
        let rates = self.weights.vector(part.decay);
        for steps in steps.chunks_exact_mut(heads) {
            for (step, rate) in steps.iter_mut().zip(rates.iter()) {
                *step = exp64(f64::from(softplus(*step)) * f64::from(*rate)) as f32;
            }
        }
        let mut convolved = convolve(self.weights, &part.convolution, segments, &all);
        each_part(
            &mut convolved,
            1,
            #[inline(always)]
            |x| x.iter_mut().for_each(|x| *x = silu(*x)),
        );
        let keys = groups * key_length;
        let columns = Columns { all: &convolved, row: part.convolution.channels };
        let mut rule = Rule {
            part,
            queries: columns.take(0, keys),
            keys: columns.take(keys, keys),
            values: columns.take(2 * keys, heads * value_length),
            weights,
            kept: steps,
        };
        let scale = 1.0 / (key_length as f64).sqrt();
        rule.queries.par_chunks_mut(key_length).for_each(|x| to_length(x, scale, part.epsilon));
        rule.keys.par_chunks_mut(key_length).for_each(|x| to_length(x, 1.0, part.epsilon));
        let mut out = vec![0.0; rule.values.len()];
        for segment in segments.iter_mut() {
            rule.run(segment, &mut out);
        }
        normalize(self.weights, &part.norm, &mut out);
        each_pair(
            &mut out,
            &gate,
            #[inline(always)]
            |out, gate| out.iter_mut().zip(gate).for_each(|(out, gate)| *out *= silu(*gate)),
        );
        self.linear(&part.output, &out)
    }
}

/// Brings a vector to a length.
fn to_length(x: &mut [f32], length: f64, epsilon: f32) {
    let scale = length / (sum64(x, |x| x * x) + f64::from(epsilon)).sqrt();
    x.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
}

/// What goes into the states of all heads, row by row.
struct Rule<'a> {
    part: &'a DeltaNet,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    /// How much of a correction each head takes.
    weights: Vec<f32>,
    /// What each head keeps of its state.
    kept: Vec<f32>,
}

impl Rule<'_> {
    fn run(&self, segment: &mut Segment<'_>, out: &mut [f32]) {
        let DeltaNet { heads, key_length, value_length, .. } = *self.part;
        let states = &mut segment.state.scan;
        states.resize(heads * key_length * value_length, 0.0);
        let rows = segment.rows.clone();
        // heads do not depend on each other
        let results: Vec<Vec<f32>> = states
            .par_chunks_mut(key_length * value_length)
            .enumerate()
            .map(|(head, state)| {
                let mut out = vec![0.0; rows.len() * value_length];
                Isa::detect().run(
                    #[inline(always)]
                    || {
                        for (row, out) in rows.clone().zip(out.chunks_exact_mut(value_length)) {
                            self.step(row, head, state, out);
                        }
                    },
                );
                out
            })
            .collect();
        for (row, place) in rows.enumerate() {
            for (head, result) in results.iter().enumerate() {
                out[(place * heads + head) * value_length..][..value_length]
                    .copy_from_slice(&result[row * value_length..][..value_length]);
            }
        }
    }

    /// One token of one head: the state has a row for each value of a key.
    #[inline(always)]
    fn step(&self, row: usize, head: usize, state: &mut [f32], out: &mut [f32]) {
        let DeltaNet { heads, groups, key_length, value_length, alternating, .. } = *self.part;
        let group = if alternating { head % groups } else { head / (heads / groups) };
        let at = (row * groups + group) * key_length;
        let (key, query) = (&self.keys[at..][..key_length], &self.queries[at..][..key_length]);
        let value = &self.values[(row * heads + head) * value_length..][..value_length];
        let (weight, kept) = (self.weights[row * heads + head], self.kept[row * heads + head]);
        // what the state gives for the key; `out` serves as a buffer
        out.fill(0.0);
        for (key, state) in key.iter().zip(state.chunks_exact_mut(value_length)) {
            for (state, found) in state.iter_mut().zip(&mut *out) {
                *state *= kept;
                *found += *state * key;
            }
        }
        let mut correction = [0.0; LONGEST];
        for ((correction, value), found) in correction.iter_mut().zip(value).zip(&mut *out) {
            *correction = (value - *found) * weight;
            *found = 0.0;
        }
        let correction = &correction[..value_length];
        for ((key, query), state) in key.iter().zip(query).zip(state.chunks_exact_mut(value_length))
        {
            for ((state, correction), out) in state.iter_mut().zip(correction).zip(&mut *out) {
                *state += key * correction;
                *out += *state * query;
            }
        }
    }
}

/// The longest head of values.
pub(crate) const LONGEST: usize = 512;
