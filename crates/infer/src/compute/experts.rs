use super::feed_forward::hidden;
use super::math::{sigmoid, softmax};
use super::{Inputs, Pass, add};
use crate::Error;
use crate::Place;
use crate::graph::{Experts, Gating};

/// The least sum that weights are divided by.
const LEAST_SUM: f64 = 6.103_515_625e-5;

impl Pass<'_> {
    pub(super) fn experts(&mut self, part: &Experts, x: &[f32]) -> Result<Vec<f32>, Error> {
        let width = part.router.weight.columns;
        let logits = self.linear(&part.router, x)?;
        let correction = part.correction.map(|correction| self.weights.vector(correction));
        let chosen: Vec<Vec<(usize, f32)>> = logits
            .chunks_exact(part.count)
            .map(|logits| choose(part, logits, correction.as_deref()))
            .collect();
        let mut out = vec![0.0; x.len()];
        for expert in 0..part.count {
            // the rows that go through this expert, and their weights
            let rows: Vec<(usize, f32)> = (0..)
                .zip(&chosen)
                .filter_map(|(row, chosen)| {
                    let weight = chosen.iter().find(|(of, _)| *of == expert).map(|(_, w)| *w);
                    // weights of zero change nothing but what is observed
                    Some((row, weight.or(self.all_experts.then_some(0.0))?))
                })
                .collect();
            if rows.is_empty() {
                continue;
            }
            let mut input: Vec<f32> =
                rows.iter().flat_map(|(row, _)| &x[row * width..][..width]).copied().collect();
            let mut rows = rows;
            if part.weighs_inputs {
                for ((_, weight), x) in rows.iter_mut().zip(input.chunks_exact_mut(width)) {
                    if *weight != 0.0 {
                        x.iter_mut().for_each(|x| *x *= *weight);
                        *weight = 1.0;
                    }
                }
            }
            let places: Vec<Place> = rows.iter().map(|(row, _)| self.rows[*row]).collect();
            let result = self.expert(part, expert, &places, &input)?;
            for ((row, weight), result) in rows.iter().zip(result.chunks_exact(width)) {
                let out = &mut out[row * width..][..width];
                if *weight != 0.0 {
                    out.iter_mut().zip(result).for_each(|(out, y)| *out += weight * y);
                }
            }
        }
        if let Some((shared, gate)) = &part.shared {
            let mut result = self.feed_forward(shared, x)?;
            if let Some(gate) = gate {
                let gates = self.linear(gate, x)?;
                for (result, gate) in result.chunks_exact_mut(width).zip(gates) {
                    let gate = sigmoid(gate);
                    result.iter_mut().for_each(|y| *y *= gate);
                }
            }
            add(&mut out, &result);
        }
        Ok(out)
    }

    fn expert(
        &mut self,
        part: &Experts,
        expert: usize,
        rows: &[Place],
        x: &[f32],
    ) -> Result<Vec<f32>, Error> {
        let x = &mut Inputs::new(x);
        let up = self.linear_of(&part.up, Some(expert), rows, x)?;
        let gate = part.gate.as_ref().map(|gate| self.linear_of(gate, Some(expert), rows, x));
        let half = part.joined.then_some(part.up.weight.rows / 2);
        let hidden = hidden(part.activation, gate.transpose()?, up, half);
        self.linear_of(&part.down, Some(expert), rows, &mut Inputs::new(&hidden))
    }
}

/// The experts of one row with their weights.
fn choose(part: &Experts, logits: &[f32], correction: Option<&[f32]>) -> Vec<(usize, f32)> {
    let mut shares = logits.to_vec();
    match part.gating {
        Gating::Softmax => softmax(&mut shares, None),
        Gating::Sigmoid => shares.iter_mut().for_each(|x| *x = sigmoid(*x)),
        Gating::SoftmaxOfChosen => {}
    }
    let mut scores = shares.clone();
    if let Some(correction) = correction {
        add(&mut scores, correction);
    }
    if let Some((groups, used)) = part.groups {
        keep_groups(&mut scores, groups, used);
    }
    let mut chosen: Vec<(usize, f32)> =
        best(&scores, part.used).into_iter().map(|expert| (expert, shares[expert])).collect();
    let mut weights: Vec<f32> = chosen.iter().map(|(_, weight)| *weight).collect();
    if part.gating == Gating::SoftmaxOfChosen {
        softmax(&mut weights, None);
    }
    if part.normalized {
        let sum = weights.iter().map(|weight| f64::from(*weight)).sum::<f64>().max(LEAST_SUM);
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) / sum) as f32);
    }
    for (chosen, weight) in chosen.iter_mut().zip(weights) {
        chosen.1 = weight * part.scale;
    }
    chosen
}

/// The places of the largest numbers, the largest first; of equal ones the first.
fn best(scores: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    order.truncate(count);
    order
}

/// Forbids all experts but those of the best groups, by the sum of the two best of each.
fn keep_groups(scores: &mut [f32], groups: usize, used: usize) {
    let size = scores.len() / groups;
    let sums: Vec<f32> = scores
        .chunks_exact(size)
        .map(|group| best(group, 2).into_iter().map(|place| group[place]).sum())
        .collect();
    let kept = best(&sums, used);
    for (group, scores) in scores.chunks_exact_mut(size).enumerate() {
        if !kept.contains(&group) {
            scores.fill(f32::NEG_INFINITY);
        }
    }
}
