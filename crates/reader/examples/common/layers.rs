//! The parts that transformers are made of. A batch is vectors one after another in one slice.

use anyhow::{Context, Result, ensure};
use granule_reader::{Matrix, Model, Tensor};

/// A matrix, and a bias if the file has one.
pub(crate) struct Linear<'m> {
    weight: Box<dyn Matrix + 'm>,
    bias: Option<Vec<f32>>,
}

impl<'m> Linear<'m> {
    /// Loads `NAME.weight` and, if the file has it, `NAME.bias`: from vectors of `inputs` values to
    /// vectors of `outputs` values.
    pub(crate) fn load(
        model: &'m Model,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        let weight = matrix(model, &format!("{name}.weight"), inputs, outputs)?;
        Ok(Self { weight: Box::new(weight), bias: bias(model, name, outputs)? })
    }

    /// Loads the same with packed weights.
    pub(crate) fn load_packed(
        model: &'m Model,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        let weight = matrix(model, &format!("{name}.weight"), inputs, outputs)?.pack()?;
        Ok(Self { weight: Box::new(weight), bias: bias(model, name, outputs)? })
    }

    /// The products with a batch of vectors.
    pub(crate) fn apply(&self, x: &[f32]) -> Result<Vec<f32>> {
        let outputs = self.weight.rows();
        let mut y = vec![0.0; x.len() / self.weight.row_values() * outputs];
        self.weight.matmul(x, &mut y)?;
        if let Some(bias) = &self.bias {
            y.chunks_exact_mut(outputs).for_each(|y| add(y, bias));
        }
        Ok(y)
    }
}

fn bias(model: &Model, name: &str, values: usize) -> Result<Option<Vec<f32>>> {
    let name = format!("{name}.bias");
    model.tensor(&name).map(|_| vector(model, &name, values)).transpose()
}

/// A tensor that must have `rows` rows of `columns` values.
pub(crate) fn matrix<'m>(
    model: &'m Model,
    name: &str,
    columns: usize,
    rows: usize,
) -> Result<Tensor<'m>> {
    let tensor = model.tensor(name).with_context(|| format!("there is no tensor {name}"))?;
    ensure!(
        tensor.row_values() == columns && tensor.rows() == rows,
        "tensor {name} has the shape {}, expected {columns} x {rows}",
        tensor.shape()
    );
    Ok(tensor)
}

/// The values of a tensor of one dimension.
pub(crate) fn vector(model: &Model, name: &str, values: usize) -> Result<Vec<f32>> {
    let mut vector = vec![0.0; values];
    matrix(model, name, values, 1)?.decode_rows(0..1, &mut vector)?;
    Ok(vector)
}

/// Adds a vector of the same length.
pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// The dot product of two vectors, in eight sums that the CPU can compute in parallel.
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    for (x, y) in x.iter().zip(y) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f32>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f32>()
}

/// Scales each vector to a root mean square of one, then by the weights (RMSNorm).
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let mut out = x.to_vec();
    for x in out.chunks_exact_mut(weight.len()) {
        let squares: f64 = x.iter().map(|x| f64::from(x * x)).sum();
        let scale = 1.0 / ((squares / x.len() as f64) as f32 + epsilon).sqrt();
        x.iter_mut().zip(weight).for_each(|(x, weight)| *x = *x * scale * weight);
    }
    out
}

/// Weights and biases of a LayerNorm.
pub(crate) struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    /// The tensors `NAME.weight` and `NAME.bias`.
    pub(crate) fn load(model: &Model, name: &str, values: usize, epsilon: f32) -> Result<Self> {
        let weight = vector(model, &format!("{name}.weight"), values)?;
        Ok(Self { weight, bias: vector(model, &format!("{name}.bias"), values)?, epsilon })
    }

    /// Normalizes each vector to mean zero and variance one, then scales and shifts it.
    pub(crate) fn apply(&self, x: &mut [f32]) {
        for x in x.chunks_exact_mut(self.weight.len()) {
            let count = x.len() as f64;
            let mean = (x.iter().map(|x| f64::from(*x)).sum::<f64>() / count) as f32;
            x.iter_mut().for_each(|x| *x -= mean);
            let variance = (x.iter().map(|x| f64::from(x * x)).sum::<f64>() / count) as f32;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            for (x, (weight, bias)) in x.iter_mut().zip(self.weight.iter().zip(&self.bias)) {
                *x = *x * scale * weight + bias;
            }
        }
    }
}

/// Attention of one head at one position: the mean of the values, weighted by how well their keys
/// match the query.
///
/// The key and the value of a position begin `stride` values after those of the position before.
/// `out` is as long as `query`, and receives the mean.
pub(crate) fn attend(query: &[f32], keys: &[f32], values: &[f32], stride: usize, out: &mut [f32]) {
    let length = query.len();
    let scale = 1.0 / (length as f32).sqrt();
    let mut shares: Vec<f32> =
        keys.chunks(stride).map(|key| dot(query, &key[..length]) * scale).collect();
    softmax(&mut shares);
    out.fill(0.0);
    for (share, value) in shares.iter().zip(values.chunks(stride)) {
        out.iter_mut().zip(value).for_each(|(out, value)| *out += share * value);
    }
}

/// Replaces numbers by their exponentials, scaled to a sum of one.
pub(crate) fn softmax(x: &mut [f32]) {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    x.iter_mut().for_each(|x| *x = (*x - largest).exp());
    let sum = x.iter().map(|x| f64::from(*x)).sum::<f64>() as f32;
    x.iter_mut().for_each(|x| *x /= sum);
}

/// The activation of Llama's feed-forward layers (SiLU).
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// The activation of BERT's feed-forward layers (GELU), approximated with a hyperbolic tangent.
pub(crate) fn gelu(x: f32) -> f32 {
    const ROOT_OF_TWO_OVER_PI: f32 = 0.797_884_6;
    0.5 * x * (1.0 + (ROOT_OF_TWO_OVER_PI * x * (1.0 + 0.044_715 * x * x)).tanh())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_of_equal_keys_is_the_mean() {
        // two positions; the head's part of each is the first two of three values
        let (keys, values) = ([1.0, 2.0, 9.0, 1.0, 2.0, 9.0], [1.0, 2.0, 9.0, 3.0, 6.0, 9.0]);
        let mut out = [f32::NAN; 2];
        attend(&[0.5, -1.0], &keys, &values, 3, &mut out);
        assert_eq!(out, [2.0, 4.0]);
    }

    #[test]
    fn attention_goes_to_the_key_that_fits() {
        let mut out = [0.0; 2];
        attend(&[100.0, 0.0], &[1.0, 0.0, -1.0, 0.0], &[1.0, 2.0, 3.0, 4.0], 2, &mut out);
        assert_eq!(out, [1.0, 2.0]);
    }

    #[test]
    fn norms() {
        assert_eq!(rms_norm(&[3.0, -3.0, 0.0, 0.0], &[1.0, 2.0], 0.0)[..2], [1.0, -2.0]);
        let norm = LayerNorm { weight: vec![2.0; 2], bias: vec![1.0; 2], epsilon: 0.0 };
        let mut x = [5.0, 9.0];
        norm.apply(&mut x);
        assert_eq!(x, [-1.0, 3.0]);
    }

    #[test]
    fn activations() {
        assert_eq!((silu(0.0), gelu(0.0)), (0.0, 0.0));
        assert!((silu(1.0) - 0.731_058_6).abs() < 1e-6);
        assert!((gelu(1.0) - 0.841_192).abs() < 1e-5);
    }

    #[test]
    fn dots_of_all_lengths() {
        for length in 0..20 {
            let x: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let expected: f32 = x.iter().map(|x| x * x).sum();
            assert_eq!(dot(&x, &x), expected, "{length} values");
        }
    }
}
