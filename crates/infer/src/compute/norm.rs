use super::math::sum64;
use super::{Weights, each_part};
use crate::graph::{Norm, NormKind};

/// Normalizes every vector in `x`, or its parts, then scales and shifts them.
pub(crate) fn normalize(weights: &Weights, norm: &Norm, x: &mut [f32]) {
    let length = norm.length;
    let weight = norm.weight.map(|weight| weights.vector(weight));
    let bias = norm.bias.map(|bias| weights.vector(bias));
    // weights of several parts of a vector repeat with the vectors
    let parts = weight.as_ref().map_or(1, |weight| weight.len() / length).max(1);
    each_part(
        x,
        length * parts,
        #[inline(always)]
        |x| {
            for (part, x) in x.chunks_exact_mut(length).enumerate() {
                scale(norm, x);
                if let Some(weight) = &weight {
                    let weight = &weight[part % parts * length..];
                    x.iter_mut().zip(weight).for_each(|(x, weight)| *x *= weight);
                }
                if let Some(bias) = &bias {
                    x.iter_mut().zip(bias.iter()).for_each(|(x, bias)| *x += bias);
                }
            }
        },
    );
}

#[inline(always)]
fn scale(norm: &Norm, x: &mut [f32]) {
    let count = x.len() as f64;
    let mean = match norm.kind {
        NormKind::Rms => 0.0,
        NormKind::Layer => sum64(x, |x| x) / count,
    };
    let variance = sum64(x, |x| (x - mean) * (x - mean)) / count;
    let scale = 1.0 / (variance + f64::from(norm.epsilon)).sqrt();
    x.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * scale) as f32);
}
