//! Parts that remember a text in a state of fixed size.

use rayon::prelude::*;

use super::activation::silu;
use super::math::exp64;
use super::{Pass, Segment, State, Weights, normalize};
use crate::Error;
use crate::graph::{Convolution, Mamba, MambaForm, ShortConvolution};

/// A step above which softplus is the identity.
const LARGE_STEP: f32 = 20.0;

impl Pass<'_> {
    pub(super) fn short_convolution(
        &mut self,
        part: &ShortConvolution,
        segments: &mut [Segment<'_>],
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let width = part.convolution.channels;
        let all = self.linear(&part.input, x)?;
        let columns = Columns { all: &all, row: 3 * width };
        let (first, second) = (columns.take(0, width), columns.take(width, width));
        let mut values = columns.take(2 * width, width);
        values.iter_mut().zip(&first).for_each(|(value, gate)| *value *= gate);
        let mut out = convolve(self.weights, &part.convolution, segments, &values);
        out.iter_mut().zip(&second).for_each(|(out, gate)| *out *= gate);
        self.linear(&part.output, &out)
    }

    pub(super) fn mamba(
        &mut self,
        part: &Mamba,
        segments: &mut [Segment<'_>],
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let (inner, channels) = (part.inner, part.convolution.channels);
        let all = self.linear(&part.input, x)?;
        let columns = Columns { all: &all, row: part.input.weight.rows };
        let (gate, convolved) = match part.form {
            MambaForm::First { .. } => (columns.take(inner, inner), columns.take(0, inner)),
            MambaForm::Second { .. } => (columns.take(0, inner), columns.take(inner, channels)),
        };
        let mut convolved = convolve(self.weights, &part.convolution, segments, &convolved);
        convolved.par_iter_mut().for_each(|x| *x = silu(*x));
        let mut scan = match &part.form {
            MambaForm::First { selection, norms, step } => {
                let (rank, state) = (step.weight.columns, part.state);
                let selected = self.linear(selection, &convolved)?;
                let selected = Columns { all: &selected, row: rank + 2 * state };
                let mut parts = [(0, rank), (rank, state), (rank + state, state)]
                    .map(|(start, length)| selected.take(start, length));
                if let Some(norms) = norms {
                    for (norm, x) in norms.iter().zip(&mut parts) {
                        normalize(self.weights, norm, x);
                    }
                }
                let [short, enters, leaves] = parts;
                let steps = self.linear(step, &short)?;
                Scan { x: convolved, steps, enters, leaves, length: 1, groups: 1 }
            }
            MambaForm::Second { heads, groups, step_bias, .. } => {
                let convolved = Columns { all: &convolved, row: channels };
                let both = groups * part.state;
                let mut steps = columns.take(inner + channels, *heads);
                let bias = self.weights.vector(*step_bias);
                steps.chunks_exact_mut(*heads).for_each(|steps| super::add(steps, &bias));
                Scan {
                    x: convolved.take(0, inner),
                    steps,
                    enters: convolved.take(inner, both),
                    leaves: convolved.take(inner + both, both),
                    length: inner / heads,
                    groups: *groups,
                }
            }
        };
        scan.steps.par_iter_mut().for_each(|x| *x = softplus(*x));
        let mut out = vec![0.0; scan.x.len()];
        for segment in segments.iter_mut() {
            scan.run(self.weights, part, segment, &mut out);
        }
        out.par_iter_mut().zip(&gate).for_each(|(out, gate)| *out *= silu(*gate));
        if let MambaForm::Second { norm: Some(norm), .. } = &part.form {
            normalize(self.weights, norm, &mut out);
        }
        self.linear(&part.output, &out)
    }
}

/// ln(1 + exp(x)).
pub(super) fn softplus(x: f32) -> f32 {
    if x > LARGE_STEP { x } else { libm::log1p(exp64(f64::from(x))) as f32 }
}

/// Some columns of the rows of a matrix.
pub(super) struct Columns<'a> {
    pub(super) all: &'a [f32],
    pub(super) row: usize,
}

impl Columns<'_> {
    pub(super) fn take(&self, start: usize, length: usize) -> Vec<f32> {
        let rows = self.all.chunks_exact(self.row);
        rows.flat_map(|row| &row[start..][..length]).copied().collect()
    }
}

/// The convolution of every row with those before it.
pub(super) fn convolve(
    weights: &Weights,
    part: &Convolution,
    segments: &mut [Segment<'_>],
    x: &[f32],
) -> Vec<f32> {
    let Convolution { length, channels, .. } = *part;
    let kernel = weights.vector(part.weight);
    let bias = part.bias.map(|bias| weights.vector(bias));
    let mut out = vec![0.0; x.len()];
    for segment in segments.iter_mut() {
        let rows = segment.rows.start * channels..segment.rows.end * channels;
        // the rows before are zeros at the beginning of a text
        let before = (length - 1) * channels;
        let mut seen = std::mem::take(&mut segment.state.convolution);
        seen.resize(before, 0.0);
        seen.extend_from_slice(&x[rows.clone()]);
        out[rows].par_chunks_mut(channels).enumerate().for_each(|(row, out)| {
            let window = &seen[row * channels..][..length * channels];
            for (channel, out) in out.iter_mut().enumerate() {
                let kernel = &kernel[channel * length..][..length];
                let mut sum = 0.0_f32;
                for (i, weight) in kernel.iter().enumerate() {
                    sum += weight * window[i * channels + channel];
                }
                *out = sum + bias.as_ref().map_or(0.0, |bias| bias[channel]);
            }
        });
        segment.state.convolution = seen.split_off(seen.len() - before);
    }
    out
}

/// What goes into the states of all channels, row by row.
struct Scan {
    x: Vec<f32>,
    /// One for each head.
    steps: Vec<f32>,
    enters: Vec<f32>,
    leaves: Vec<f32>,
    /// Channels of a head.
    length: usize,
    groups: usize,
}

impl Scan {
    fn run(&self, weights: &Weights, part: &Mamba, segment: &mut Segment<'_>, out: &mut [f32]) {
        let Mamba { inner, state: size, .. } = *part;
        let heads = inner / self.length;
        let (decay, skip) = (weights.vector(part.decay), weights.vector(part.skip));
        let by_head = matches!(part.form, MambaForm::Second { .. });
        let shared = self.groups * size;
        let State { scan: states, .. } = &mut *segment.state;
        states.resize(inner * size, 0.0);
        let rows = segment.rows.clone();
        // channels do not depend on each other
        let columns: Vec<Vec<f32>> = states
            .par_chunks_mut(size)
            .enumerate()
            .map(|(channel, state)| {
                let head = channel / self.length;
                let group = head / (heads / self.groups) * size;
                let skip = skip[head];
                rows.clone()
                    .map(|row| {
                        let x = self.x[row * inner + channel];
                        let step = f64::from(self.steps[row * heads + head]);
                        let enters = &self.enters[row * shared + group..][..size];
                        let leaves = &self.leaves[row * shared + group..][..size];
                        let mut sum = 0.0_f64;
                        for (i, state) in state.iter_mut().enumerate() {
                            let rate = if by_head { decay[head] } else { decay[head * size + i] };
                            let kept = exp64(step * f64::from(rate)) * f64::from(*state);
                            let new = f64::from(enters[i]) * f64::from(x) * step;
                            *state = (kept + new) as f32;
                            sum += f64::from(*state) * f64::from(leaves[i]);
                        }
                        (sum + f64::from(x) * f64::from(skip)) as f32
                    })
                    .collect()
            })
            .collect();
        for (row, place) in rows.enumerate() {
            for (channel, column) in columns.iter().enumerate() {
                out[place * inner + channel] = column[row];
            }
        }
    }
}
