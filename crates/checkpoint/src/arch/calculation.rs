//! Tensors that are calculated from others, value by value.

use half::{bf16, f16};

use crate::data_type::DataType;
use crate::sum;

/// How the values of a vector are calculated from those of one or several others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calculation {
    /// What a batch normalization multiplies values by: the weight over the standard deviation. The
    /// sources are weights, biases, means and variances.
    Factor,
    /// What it adds to them: the bias less the mean times the factor.
    Offset,
    /// The product of two vectors, in single precision.
    Product,
    /// A vector less the mean of its values.
    Centred,
}

impl Calculation {
    /// Added to variances, so that none is zero: the default of PyTorch.
    const EPSILON: f32 = 1e-5;

    /// The number of sources.
    pub(crate) const fn sources(self) -> usize {
        match self {
            Self::Factor | Self::Offset => 4,
            Self::Product => 2,
            Self::Centred => 1,
        }
    }

    /// The values for sources of the same length, which the checkpoint stores as `ty`.
    pub(crate) fn of(self, sources: &[Vec<f32>], ty: DataType) -> Vec<f32> {
        // The reference calculates normalizations in half precision or in single precision.
        let half = |value| if ty == DataType::F16 { f16::from_f32(value).to_f32() } else { value };
        let stored = |value| match ty {
            DataType::BF16 => bf16::from_f32(value).to_f32(),
            _ => half(value),
        };
        let values = 0..sources[0].len();
        match self {
            Self::Factor | Self::Offset => values
                .map(|at| {
                    let [weight, bias, mean, variance] =
                        std::array::from_fn(|source| sources[source][at]);
                    let deviation = half(half(variance + Self::EPSILON).sqrt());
                    let factor = half(weight / deviation);
                    match self {
                        Self::Factor => factor,
                        _ => half(bias - half(mean * factor)),
                    }
                })
                .collect(),
            Self::Product => values.map(|at| sources[0][at] * sources[1][at]).collect(),
            Self::Centred => {
                let mean = stored(sum::mean(&sources[0]));
                sources[0].iter().map(|value| stored(value - mean)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizations_are_folded() {
        let sources = [3.0, 1.0, 0.5, 4.0].map(|value| vec![value]);
        let [factor] = Calculation::Factor.of(&sources, DataType::F32)[..] else { panic!() };
        assert!((factor - 1.5).abs() < 1e-5, "{factor}");
        assert_eq!(Calculation::Offset.of(&sources, DataType::F32), [1.0 - 0.5 * factor]);
    }

    #[test]
    fn products_are_in_single_precision_and_differences_in_that_of_the_source() {
        let sources = [vec![1.5, 3.0_f32.next_up()], vec![2.0, 3.0]];
        assert_eq!(Calculation::Product.of(&sources, DataType::F16), [3.0, 9.000_001]);
        let vector = [vec![1.0, 2.0, 4.0]];
        let centred = |ty| Calculation::Centred.of(&vector, ty);
        assert_eq!(centred(DataType::F32), [-1.333_333_3, -0.333_333_25, 1.666_666_7]);
        assert_eq!(centred(DataType::BF16), [-1.328_125, -0.328_125, 1.671_875]);
    }
}
