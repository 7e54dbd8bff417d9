//! Tensors that are calculated from several, and what is said about those that are missing.

use std::collections::HashSet;

use granule_format::{BlockType, Shape};
use granule_reader::SourceTensor;
use half::f16;

use super::{Assembled, Mapper};
use crate::Error;
use crate::Problem;
use crate::arch::{Normalization, Place};
use crate::data_type::DataType;

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

    /// Checks that every tensor that the architecture needs has been found.
    pub(super) fn check_presence(&self, warnings: &mut Vec<String>) -> Result<(), Error> {
        let all =
            |count: Option<u64>| (0..count.unwrap_or(1)).map(move |number| count.map(|_| number));
        let layers = self.rules.iter().filter_map(|active| Some(active.layers?.1)).max();
        let mut told = HashSet::new();
        for layer in 0..layers.unwrap_or_default().max(1) {
            for (number, active) in self.rules.iter().enumerate() {
                let rule = active.rule;
                let layer = match active.layers {
                    Some((first, end)) if (first..end).contains(&layer) => Some(layer),
                    None if layer == 0 => None,
                    _ => continue,
                };
                let whole = Place { layer, ..Place::default() };
                if self.all_written(number, whole)?
                    || !self.wants(number, whole)
                    || !self.scope.at(layer).holds(&rule.needed)?
                {
                    continue;
                }
                for (expert, (source, pattern)) in all(active.experts)
                    .flat_map(|expert| rule.sources.iter().enumerate().map(move |s| (expert, s)))
                {
                    let place = Place { expert, ..whole };
                    if self.found.contains_key(&(number, source, place)) {
                        continue;
                    }
                    let name = active.fill(pattern, place);
                    let prefix = self.arch.optional_prefix.as_deref().filter(|_| self.bare);
                    let name = prefix.and_then(|it| name.strip_prefix(it)).unwrap_or(&name);
                    if !rule.advised {
                        let arch = self.arch.name.clone();
                        let problem = Problem::MissingTensor { arch };
                        return Err(Error::of_tensor(self.weights.folder(), name, problem));
                    }
                    if told.insert(name.to_owned()) {
                        warnings.push(format!(
                            "tensor {name:?} is missing although the config says that the model \
                             has it ({}): programs will use another in its place",
                            rule.needed
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}
