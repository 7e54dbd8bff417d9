//! Tensors that are calculated from the four of a normalization.

use granule_format::{BlockType, Shape};
use granule_reader::SourceTensor;
use half::f16;

use super::{Assembled, Mapper};
use crate::arch::Normalization;
use crate::data_type::DataType;
use crate::{Error, Problem};

impl Mapper<'_> {
    /// Appends a tensor of the file that is calculated from the four of a normalization, each with
    /// one value for a channel.
    pub(super) fn add_normalization(
        &mut self,
        (name, normalization): (String, Normalization),
        parts: &[usize],
    ) -> Result<(), Error> {
        let mut columns = Vec::new();
        let first = &self.weights.tensors()[parts[0]];
        for part in parts {
            let tensor = &self.weights.tensors()[*part];
            if tensor.shape != first.shape {
                let (found, first) = (tensor.shape.clone(), first.shape.clone());
                return Err(self.fail(tensor, Problem::Parts { found, first }));
            }
            columns.push(self.weights.values(*part)?);
        }
        let halves = parts.iter().all(|part| self.weights.tensors()[*part].ty == DataType::F16);
        let rounded = |value| if halves { f16::from_f32(value).to_f32() } else { value };
        let of = |channel: usize| {
            let values = std::array::from_fn(|part| columns[part][channel]);
            normalization.of(values, rounded)
        };
        let values: Vec<f32> = (0..columns[0].len()).map(of).collect();
        if self.written.insert(name.clone(), Some(parts[0])).is_some() {
            return Err(self.fail(first, Problem::SameTarget { other: name }));
        }
        let shape = Shape::new(&[values.len() as u64]).expect("one dimension");
        let tensor = SourceTensor { name, shape, ty: BlockType::F32.into() };
        self.done.push((tensor, Assembled::Computed(values)));
        Ok(())
    }
}
