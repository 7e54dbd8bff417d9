//! Tensors of NVFP4 blocks, whose factors are tensors of their own.

use granule_format::{BlockType, Shape};
use granule_reader::SourceTensor;

use super::mapping::{Assembled, Mapper, Piece};
use crate::arch::TensorRule;
use crate::weights::StoredTensor;
use crate::{Error, QuantizedProblem};

impl Mapper<'_> {
    /// Appends a tensor of NVFP4 blocks, and its factors unless they are 1.
    pub(super) fn add_with_factors(
        &mut self,
        name: String,
        shape: Shape,
        (pieces, rule, zeros): (Vec<Piece>, &TensorRule, [u64; 2]),
        parts: &[usize],
        stacked: bool,
    ) -> Result<(), Error> {
        let tensors = || parts.iter().map(|part| &self.weights.tensors()[*part]);
        let factors: Vec<_> = tensors().filter_map(StoredTensor::factors).collect();
        if let Some(other) = tensors().zip(&factors).find(|(_, of)| !stacked && **of != factors[0])
        {
            return Err(self.fail(other.0, QuantizedProblem::OtherFactors { name }.into()));
        }
        let last = parts.iter().max().copied().unwrap_or_default();
        let base = name.strip_suffix(".weight").unwrap_or(&name).to_owned();
        let tensor = SourceTensor { name, shape, ty: BlockType::NVFP4.into() };
        let changes = self.changes(rule, None, parts)?;
        self.first.push((last, (tensor, Assembled::Stored { pieces, changes, zeros })));
        let count = if stacked { factors.len() } else { 1 };
        // The reference's tolerances: that of numpy for lists of factors, another for a single one.
        let tolerance = if stacked { 1e-6 + 1e-5 } else { 1e-6 };
        let named: Vec<_> = factors.iter().map(|of| of.named()).take(count).collect();
        for which in 0..2 {
            let values: Vec<f32> = named.iter().map(|of| of[which].1).collect();
            let beyond = |value: &f32| (f64::from(*value) - 1.0).abs() > tolerance;
            let shape = Shape::new(&[count as u64]).filter(|_| values.iter().any(beyond));
            if let Some(shape) = shape {
                let name = format!("{base}{}", named[0][which].0);
                self.written.insert(name.clone(), None);
                let tensor = SourceTensor { name, shape, ty: BlockType::F32.into() };
                self.first.push((last, (tensor, Assembled::Computed(values))));
            }
        }
        Ok(())
    }
}
