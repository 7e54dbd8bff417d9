use super::math::{exp64, sigmoid};
use crate::graph::Activation;

/// The limit and the slope of [`Activation::Limited`].
const LIMIT: f32 = 7.0;
const SLOPE: f32 = 1.702;

/// x / (1 + exp(-x)).
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

impl Activation {
    /// The function of one number.
    #[inline(always)]
    fn of(self, x: f32) -> f32 {
        match self {
            Self::Silu => silu(x),
            Self::GeluTanh => {
                // (1 + tanh u) / 2 is 1 / (1 + exp(-2 u))
                let x = f64::from(x);
                let u = 0.797_884_560_802_865_4 * x * (1.0 + 0.044_715 * x * x);
                (x / (1.0 + exp64(-2.0 * u))) as f32
            }
            Self::Gelu => {
                let x = f64::from(x);
                (0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))) as f32
            }
            Self::Relu => x.max(0.0),
            Self::ReluSquared => x.max(0.0) * x.max(0.0),
            Self::Limited => {
                let x = x.min(LIMIT);
                x * sigmoid(SLOPE * x)
            }
        }
    }

    /// Replaces hidden values.
    pub(crate) fn apply(self, x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = self.of(*x));
    }

    /// Replaces the gate by its function times the hidden values.
    pub(crate) fn gate(self, gate: &mut [f32], up: &[f32]) {
        for (gate, up) in gate.iter_mut().zip(up) {
            let up = match self {
                Self::Limited => up.clamp(-LIMIT, LIMIT) + 1.0,
                _ => *up,
            };
            *gate = self.of(*gate) * up;
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
}
