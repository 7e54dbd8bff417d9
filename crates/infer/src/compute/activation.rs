use super::math::{exp, sigmoid};
use super::{each_pair, each_part};
use crate::graph::Activation;

/// The limit and the slope of [`Activation::Limited`].
const LIMIT: f32 = 7.0;
const SLOPE: f32 = 1.702;

/// x / (1 + exp(-x)).
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    // (1 + tanh u) / 2 is 1 / (1 + exp(-2 u))
    let u = 0.797_884_6 * x * (1.0 + 0.044_715 * x * x);
    x / (1.0 + exp(-2.0 * u))
}

fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    (0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))) as f32
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    x.max(0.0)
}

#[inline(always)]
fn limited(x: f32) -> f32 {
    let x = x.min(LIMIT);
    x * sigmoid(SLOPE * x)
}

/// Replaces each number by a function of it.
#[inline(always)]
fn each(x: &mut [f32], of: impl Fn(f32) -> f32 + Sync) {
    each_part(
        x,
        1,
        #[inline(always)]
        |x| x.iter_mut().for_each(|x| *x = of(*x)),
    );
}

/// Replaces each number by a function of it and of what stands at its place in `up`.
#[inline(always)]
fn each_gate(x: &mut [f32], up: &[f32], of: impl Fn(f32, f32) -> f32 + Sync) {
    each_pair(
        x,
        up,
        #[inline(always)]
        |x, up| x.iter_mut().zip(up).for_each(|(x, up)| *x = of(*x, *up)),
    );
}

// every function has a loop of its own, so that it becomes vector code
impl Activation {
    /// Replaces hidden values.
    pub(crate) fn apply(self, x: &mut [f32]) {
        match self {
            Self::Silu => each(x, silu),
            Self::GeluTanh => each(x, gelu_tanh),
            Self::Gelu => each(x, gelu),
            Self::Relu => each(x, relu),
            Self::ReluSquared => each(x, |x| relu(x) * relu(x)),
            Self::Limited => each(x, limited),
        }
    }

    /// Replaces the gate by its function times the hidden values.
    pub(crate) fn gate(self, gate: &mut [f32], up: &[f32]) {
        match self {
            Self::Silu => each_gate(gate, up, |x, up| silu(x) * up),
            Self::GeluTanh => each_gate(gate, up, |x, up| gelu_tanh(x) * up),
            Self::Gelu => each_gate(gate, up, |x, up| gelu(x) * up),
            Self::Relu => each_gate(gate, up, |x, up| relu(x) * up),
            Self::ReluSquared => each_gate(gate, up, |x, up| relu(x) * relu(x) * up),
            Self::Limited => {
                each_gate(gate, up, |x, up| limited(x) * (up.clamp(-LIMIT, LIMIT) + 1.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let cases = [
            (Activation::Silu, 0.731_058_6),
            (Activation::GeluTanh, 0.841_192),
            (Activation::Gelu, 0.841_344_7),
            (Activation::Relu, 1.0),
            (Activation::ReluSquared, 1.0),
            (Activation::Limited, 0.845_795_8),
        ];
        for (activation, expected) in cases {
            let mut x = [1.0, 0.0];
            activation.apply(&mut x);
            assert!((x[0] - expected).abs() < 1e-6 && x[1] == 0.0, "{activation:?}: {x:?}");
        }
        let mut gate = [9.0];
        Activation::Limited.gate(&mut gate, &[8.0]);
        assert!((gate[0] - 7.0 * 8.0).abs() < 1e-3, "{gate:?}");
    }

    #[test]
    fn single_precision_is_enough() {
        for i in -2_000..2_000 {
            let x = i as f32 * 0.01;
            let wide = f64::from(x);
            let u = 0.797_884_560_802_865_4 * wide * (1.0 + 0.044_715 * wide * wide);
            let cases = [(Activation::Silu, wide), (Activation::GeluTanh, 2.0 * u)];
            for (activation, exponent) in cases {
                let (mut found, expected) = ([x], wide / (1.0 + libm::exp(-exponent)));
                activation.apply(&mut found);
                let error = (f64::from(found[0]) - expected).abs();
                assert!(error < 4e-7 * expected.abs() + 1e-8, "{activation:?} {x}: {found:?}");
            }
        }
    }
}
