//! Tensors and numbers that are calculated from the values of tensors.

use granule_format::{BlockType, Shape};
use granule_reader::SourceTensor;

use super::{Assembled, Mapper};
use crate::arch::Calculation;
use crate::{Error, Problem};

/// The most values of a vector from which another is calculated.
const MOST_VALUES: u64 = 1 << 24;

impl Mapper<'_> {
    /// Appends a vector that is calculated from others of the same length.
    pub(super) fn add_calculated(
        &mut self,
        (name, calculation): (String, Calculation),
        parts: &[usize],
    ) -> Result<(), Error> {
        let mut sources = Vec::new();
        let first = &self.weights.tensors()[parts[0]];
        for part in parts {
            let tensor = &self.weights.tensors()[*part];
            if tensor.values() != first.values() {
                let (found, first) = (tensor.shape.clone(), first.shape.clone());
                return Err(self.fail(tensor, Problem::Parts { found, first }));
            }
            if tensor.ty != first.ty {
                let (found, first) = (tensor.ty.name(), first.ty.name());
                return Err(self.fail(tensor, Problem::MixedTypes { found, first }));
            }
            if tensor.values() > MOST_VALUES {
                return Err(self.fail(tensor, Problem::TooLarge(tensor.shape.clone())));
            }
            sources.push(self.weights.values(*part)?);
        }
        let values = calculation.of(&sources, first.ty);
        if self.written.insert(name.clone(), Some(parts[0])).is_some() {
            return Err(self.fail(first, Problem::SameTarget { other: name }));
        }
        let shape = Shape::new(&[values.len() as u64])
            .ok_or_else(|| self.fail(first, Problem::TooLarge(first.shape.clone())))?;
        let tensor = SourceTensor { name, shape, ty: BlockType::F32.into() };
        self.done.push((tensor, Assembled::Computed(values)));
        Ok(())
    }
}
