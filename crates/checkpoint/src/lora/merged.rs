//! A tensor of a base model with the changes of adapters.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError};

use super::thin::{Magnitude, Product, whole};
use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::{Data, Joined, StoredTensor};
use crate::{AdapterProblem, Error, Problem};

/// Values that are calculated together.
const AT_ONCE: usize = 1 << 16;

/// A change to a tensor.
#[derive(Debug, Hash)]
pub(super) enum Change {
    /// The tensor is replaced.
    Replaced(StoredTensor),
    /// A multiple of the difference to another tensor is added. The factor is given by its bits.
    Towards(StoredTensor, u64),
    /// A multiple of another tensor is added.
    Sum(StoredTensor, u64),
    /// A multiple of the product of two matrices is added.
    Product(Box<Product>),
}

impl Change {
    /// Makes the change to a tensor that an adapter has in full, with the user's factor.
    pub(super) fn whole(
        base: &StoredTensor,
        with: StoredTensor,
        factor: f64,
    ) -> Result<Self, Problem> {
        check_shape(base, &with)?;
        Ok(if factor == 1.0 { Self::Replaced(with) } else { Self::Towards(with, factor.to_bits()) })
    }

    /// Makes the change that adds a multiple of a tensor.
    pub(super) fn sum(
        base: &StoredTensor,
        with: StoredTensor,
        scale: f64,
    ) -> Result<Self, Problem> {
        check_shape(base, &with)?;
        Ok(Self::Sum(with, scale.to_bits()))
    }
}

fn check_shape(base: &StoredTensor, with: &StoredTensor) -> Result<(), Problem> {
    if base.shape == with.shape {
        return Ok(());
    }
    let (found, base, name) = (with.shape.clone(), base.shape.clone(), base.name.clone());
    Err(AdapterProblem::OtherSize { found, name, base }.into())
}

/// A tensor and its changes in their order.
#[derive(Debug, Hash)]
pub(super) struct Merged {
    base: StoredTensor,
    changes: Vec<Change>,
}

impl Merged {
    /// A tensor without changes.
    pub(super) const fn new(base: StoredTensor) -> Self {
        Self { base, changes: Vec::new() }
    }

    /// Adds a change after the others.
    pub(super) fn add(&mut self, change: Change) {
        match change {
            Change::Replaced(with) => {
                let name = self.base.name.clone();
                *self = Self::new(StoredTensor { name, ..with });
            }
            change => self.changes.push(change),
        }
    }

    /// Returns the tensor that takes the place of the base model's.
    pub(super) fn into_tensor(self) -> StoredTensor {
        if self.changes.is_empty() {
            return self.base;
        }
        let (name, shape, file) = (self.base.name.clone(), self.base.shape.clone(), self.base.file);
        let data = Data::Joined(Arc::new(self));
        StoredTensor { name, ty: DataType::F32, shape, file, data }
    }

    /// Fills `values` with those from index `first` on, after the first `changes` changes.
    fn values(
        &self,
        files: &[DataFile],
        first: u64,
        values: &mut [f64],
        changes: usize,
    ) -> Result<(), Error> {
        read(&self.base, files, first, values)?;
        let mut other = Vec::new();
        for (number, change) in self.changes[..changes].iter().enumerate() {
            match change {
                Change::Replaced(with) => read(with, files, first, values)?,
                Change::Towards(with, scale) | Change::Sum(with, scale) => {
                    other.resize(values.len(), 0.0);
                    read(with, files, first, &mut other)?;
                    let scale = f64::from_bits(*scale);
                    let towards = matches!(change, Change::Towards(..));
                    for (value, other) in values.iter_mut().zip(&other) {
                        *value += scale * if towards { other - *value } else { *other };
                    }
                }
                Change::Product(product) => {
                    product.add(files, first, values)?;
                    if let Some(magnitude) = product.magnitude() {
                        let factors = self.factors(product, magnitude, number, files)?;
                        for (index, value) in values.iter_mut().enumerate() {
                            *value *= factors[product.output(first as usize + index)];
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns what each output is multiplied by after the change with this number. Reads the whole
    /// tensor the first time.
    fn factors(
        &self,
        product: &Product,
        magnitude: &Magnitude,
        number: usize,
        files: &[DataFile],
    ) -> Result<Arc<Vec<f64>>, Error> {
        let mut known = magnitude.factors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(factors) = &*known {
            return Ok(Arc::clone(factors));
        }
        let mut squares = vec![0.0; product.outputs()];
        let mut values = Vec::new();
        let all = self.base.values();
        for first in (0..all).step_by(AT_ONCE) {
            values.resize((all - first).min(AT_ONCE as u64) as usize, 0.0);
            self.values(files, first, &mut values, number)?;
            product.add(files, first, &mut values)?;
            for (index, value) in values.iter().enumerate() {
                squares[product.output(first as usize + index)] += value * value;
            }
        }
        let lengths = whole(&magnitude.lengths, files)?;
        let factors: Vec<f64> = lengths
            .iter()
            .zip(squares)
            .map(|(length, sum)| f64::from(*length) / sum.sqrt())
            .collect();
        if let Some(output) = factors.iter().position(|factor| !factor.is_finite()) {
            let path = files[magnitude.lengths.file].path();
            let problem = AdapterProblem::NoLength { output, base: self.base.name.clone() }.into();
            return Err(Error::of_tensor(path, &magnitude.lengths.name, problem));
        }
        Ok(Arc::clone(known.insert(Arc::new(factors))))
    }
}

/// Fills `values` with those of a tensor from index `first` on.
fn read(
    tensor: &StoredTensor,
    files: &[DataFile],
    first: u64,
    values: &mut [f64],
) -> Result<(), Error> {
    let size = tensor.ty.bytes();
    let mut bytes = vec![0; values.len() * size as usize];
    tensor.read(files, first * size, &mut bytes)?;
    let wide = tensor.ty.widen(&bytes);
    values.iter_mut().zip(wide).for_each(|(value, wide)| *value = f64::from(wide));
    Ok(())
}

impl Joined for Merged {
    fn read(&self, files: &[DataFile], start: u64, out: &mut [u8]) -> Result<(), Error> {
        let mut first = start / DataType::F32.bytes();
        let mut values = Vec::new();
        for out in out.as_chunks_mut::<4>().0.chunks_mut(AT_ONCE) {
            values.resize(out.len(), 0.0);
            self.values(files, first, &mut values, self.changes.len())?;
            out.iter_mut()
                .zip(&values)
                .for_each(|(out, value)| *out = (*value as f32).to_le_bytes());
            first += out.len() as u64;
        }
        Ok(())
    }

    /// What is added is small, or is read when the first row is.
    fn parts(&self) -> Vec<&StoredTensor> {
        vec![&self.base]
    }

    fn is_float8(&self) -> bool {
        self.base.is_float8()
    }

    fn merged(&self) -> Option<&StoredTensor> {
        Some(&self.base)
    }

    fn fingerprint(&self, mut into: &mut dyn Hasher) {
        ("merged", self).hash(&mut into);
    }
}
