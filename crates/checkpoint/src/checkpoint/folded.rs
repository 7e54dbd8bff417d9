//! Tensors whose rows are divided or pass through matrices while they are converted, because
//! programs look up the results: embeddings that a model projects whenever it uses them, and
//! codebooks that are stored as sums and counts.
//!
//! Products are those of [`granule_reader::exact`]. PyTorch's sums depend on the processor, so that
//! the last bits of results can differ from the reference's; where all sums are exact, none does.

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use granule_format::BlockType;
use granule_reader::exact;
use granule_reader::isa::Isa;
use half::f16;

use crate::arch::{Arch, Folded, Scope};
use crate::data_type::{DataType, narrow};
use crate::exponential::exp;
use crate::file::DataFile;
use crate::quantized::rows::{self, Rows};
use crate::weights::{StoredTensor, Weights};
use crate::{Error, Problem};

/// Replaces the tensors that a description folds by the results.
///
/// # Errors
/// If a matrix is missing or does not fit.
pub(super) fn fold<'a>(
    arch: &'a Arch,
    scope: &Scope<'a>,
    weights: &mut Weights,
) -> Result<(), Error> {
    for folded in &arch.folded {
        for index in 0..weights.tensors().len() {
            let input = weights.tensors()[index].clone();
            let Some(part) = part_of(&folded.tensor, &input.name) else { continue };
            let divisors = folded.divisors.as_ref().map(|name| name.replace('*', part));
            let name = input.name.clone();
            let product = product((folded, divisors), scope, weights, input.clone())?;
            let tensor = rows::tensor(name, &input, product)
                .map_err(|problem| Error::of_tensor(weights.path(&input), &input.name, problem))?;
            weights.replace(index, tensor);
        }
    }
    Ok(())
}

/// Returns what `*` stands for in a name; `None` if it has another form.
fn part_of<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    match pattern.split_once('*') {
        Some((start, end)) => name.strip_prefix(start)?.strip_suffix(end),
        None => (pattern == name).then_some(""),
    }
}

/// The least number that rows are divided by.
const LEAST: f32 = 1e-5;

/// Rows, what they are divided by, and the matrices that they pass through.
#[derive(Debug)]
struct Product {
    input: StoredTensor,
    divisors: Option<StoredTensor>,
    layers: Vec<Layer>,
    activation: Activation,
}

/// A matrix and its bias.
#[derive(Debug)]
struct Layer {
    weight: StoredTensor,
    bias: Option<StoredTensor>,
    /// Their values, from the first time on that they are needed.
    values: Mutex<Option<Arc<Values>>>,
}

/// The values of a matrix, as bytes, and of its bias.
#[derive(Debug)]
struct Values {
    weight: Vec<u8>,
    bias: Vec<f32>,
}

/// What happens between two matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Activation {
    None,
    Relu,
    Silu,
}

/// Finds the matrices, and checks that they fit.
fn product<'a>(
    (folded, divisors): (&'a Folded, Option<String>),
    scope: &Scope<'a>,
    weights: &Weights,
    input: StoredTensor,
) -> Result<Product, Error> {
    let find = |name: &str| weights.tensors().iter().find(|tensor| tensor.name == *name).cloned();
    let find = |name: String| {
        find(&name).ok_or_else(|| {
            let problem = Problem::NoPartner { other: name };
            Error::of_tensor(weights.path(&input), &input.name, problem)
        })
    };
    let wrong = |tensor: &StoredTensor, expected: Vec<u64>| {
        let (found, by) = (tensor.shape.clone(), format!("the rows of {:?}", input.name));
        let problem = Problem::Shape { found, expected, by };
        Error::of_tensor(weights.path(tensor), &tensor.name, problem)
    };
    let mut width = input.columns();
    let divisors = divisors.map(find).transpose()?;
    let rows = input.values().checked_div(width).unwrap_or_default();
    if let Some(divisors) = divisors.as_ref().filter(|divisors| divisors.shape != [rows]) {
        return Err(wrong(divisors, vec![rows]));
    }
    let mut layers = Vec::new();
    for name in &folded.layers {
        let weight = find(format!("{name}.weight"))?;
        let bias = find(format!("{name}.bias")).ok();
        let [rows, columns] = weight.shape[..] else { return Err(wrong(&weight, vec![1, width])) };
        if columns != width {
            return Err(wrong(&weight, vec![rows, width]));
        }
        if let Some(bias) = bias.as_ref().filter(|bias| bias.shape != [rows]) {
            return Err(wrong(bias, vec![rows]));
        }
        width = rows;
        layers.push(Layer { weight, bias, values: Mutex::default() });
    }
    let activation = match &folded.activation {
        None => Activation::None,
        Some(name) => {
            let value = scope.needed(name)?.unwrap_or_default();
            match value.as_str() {
                Some("relu") => Activation::Relu,
                Some("silu") => Activation::Silu,
                _ => return Err(scope.wrong(name, &value, "\"relu\" or \"silu\"")),
            }
        }
    };
    Ok(Product { input, divisors, layers, activation })
}

impl Layer {
    fn values(&self, files: &[DataFile]) -> Result<Arc<Values>, Error> {
        let mut known = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(values) = &*known {
            return Ok(Arc::clone(values));
        }
        let mut weight = Vec::new();
        narrow(
            &values_of(&self.weight, files, 0, self.weight.values())?,
            BlockType::F32,
            &mut weight,
        );
        let bias = self.bias.as_ref().map(|bias| values_of(bias, files, 0, bias.values()));
        let bias = bias.transpose()?.unwrap_or_default();
        Ok(Arc::clone(known.insert(Arc::new(Values { weight, bias }))))
    }
}

/// Reads values of a tensor.
fn values_of(
    tensor: &StoredTensor,
    files: &[DataFile],
    first: u64,
    count: u64,
) -> Result<Vec<f32>, Error> {
    let size = tensor.ty.bytes();
    let mut bytes = vec![0; (count * size) as usize];
    tensor.read(files, first * size, &mut bytes)?;
    Ok(tensor.ty.widen(&bytes))
}

impl Rows for Product {
    fn size(&self) -> [u64; 2] {
        let width = self.layers.last().map_or(self.input.columns(), |layer| layer.weight.shape[0]);
        [self.input.values().checked_div(self.input.columns()).unwrap_or_default(), width]
    }

    fn parts(&self) -> Vec<&StoredTensor> {
        self.divisors.iter().chain([&self.input]).collect()
    }

    fn joins_any(&self) -> bool {
        true
    }

    fn decode(&self, files: &[DataFile], rows: Range<u64>) -> Result<Vec<f32>, Error> {
        let columns = self.input.columns();
        let rows = rows.start..rows.end.min(self.size()[0]);
        let count = rows.end - rows.start;
        let mut x = values_of(&self.input, files, rows.start * columns, count * columns)?;
        // As in the reference, what is stored in half precision is rounded to it after every step.
        let rounds = self.input.ty == DataType::F16;
        let round = |x: &mut [f32]| {
            if rounds {
                x.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32());
            }
        };
        if let Some(divisors) = &self.divisors {
            let divisors = values_of(divisors, files, rows.start, count)?;
            for (x, divisor) in x.chunks_exact_mut(columns.max(1) as usize).zip(divisors) {
                x.iter_mut().for_each(|value| *value /= divisor.max(LEAST));
            }
        }
        for (number, layer) in self.layers.iter().enumerate() {
            let values = layer.values(files)?;
            let [rows, columns] = [0, 1].map(|at| layer.weight.shape[at] as usize);
            let mut y = vec![0.0; rows * count as usize];
            exact::multiply(Isa::detect(), BlockType::F32, &values.weight, columns, &x, &mut y);
            if !values.bias.is_empty() {
                for y in y.chunks_exact_mut(rows) {
                    y.iter_mut().zip(&values.bias).for_each(|(y, bias)| *y += bias);
                }
            }
            round(&mut y);
            if number + 1 < self.layers.len() {
                y.iter_mut().for_each(|value| *value = self.activation.of(*value));
                round(&mut y);
            }
            x = y;
        }
        Ok(x)
    }
}

impl Activation {
    fn of(self, x: f32) -> f32 {
        match self {
            Self::None => x,
            Self::Relu => x.max(0.0),
            Self::Silu => x / (1.0 + exp(-x)),
        }
    }
}

impl Hash for Product {
    fn hash<H: Hasher>(&self, into: &mut H) {
        (&self.input, &self.divisors, self.activation).hash(into);
        self.layers.iter().for_each(|layer| (&layer.weight, &layer.bias).hash(into));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_with_one_star() {
        assert_eq!(part_of("a.*.b", "a.x.1.b"), Some("x.1"));
        assert_eq!(part_of("a.*.b", "a.b"), None);
        assert_eq!(part_of("a.b", "a.b"), Some(""));
        assert_eq!(part_of("a.b", "a.bc"), None);
    }

    #[test]
    fn activations_are_those_of_torch() {
        assert_eq!([-1.0, 2.0].map(|x| Activation::Relu.of(x)), [0.0, 2.0]);
        let silu = Activation::Silu.of(1.0);
        assert!((silu - 0.731_058_6).abs() < 1e-6, "{silu}");
        assert_eq!(Activation::Silu.of(-1000.0), 0.0);
    }
}
