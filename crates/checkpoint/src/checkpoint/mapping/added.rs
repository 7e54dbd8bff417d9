//! What the file has besides the values of the checkpoint: computed tensors, and zeros.

use granule_format::{BlockType, Shape};
use granule_reader::SourceTensor;

use super::{Assembled, Mapper};
use crate::arch::TensorRule;
use crate::{Error, Problem};

impl<'a> Mapper<'a> {
    /// Writes the tensors that are computed from the config and stand before a tensor, given its
    /// name and layer, or before all.
    pub(super) fn compute(&mut self, before: Option<(&str, Option<u64>)>) -> Result<(), Error> {
        let layer = before.and_then(|(_, layer)| layer);
        let filled = |text: &str| match layer {
            Some(layer) => text.replace("{layer}", &layer.to_string()),
            None => text.to_owned(),
        };
        let scope = self.scope.at(layer);
        for computed in &self.arch.computed {
            if computed.before.as_deref().map(filled).as_deref() != before.map(|(name, _)| name) {
                continue;
            }
            let Some(values) = scope.value(&computed.values)? else { continue };
            let wrong = || scope.wrong(&computed.values, &values, "a list of numbers");
            let list = values.as_array().ok_or_else(wrong)?;
            let numbers = list.iter().map(|value| Some(value.as_f64()? as f32));
            let numbers: Vec<f32> = numbers.collect::<Option<_>>().ok_or_else(wrong)?;
            let found = numbers.len() as u64;
            if let Some(length) = &computed.length {
                let expected = scope.unsigned(length)?;
                if found != expected {
                    let name = computed.name.clone();
                    let problem = Problem::ComputedLength { name, found, expected };
                    return Err(Error::in_file(scope.file(), problem));
                }
            }
            let row = computed.row.as_ref().map(|row| scope.unsigned(row)).transpose()?;
            let dimensions = match row {
                Some(row) if row > 0 && found.is_multiple_of(row) => vec![row, found / row],
                Some(expected) => {
                    let name = computed.name.clone();
                    let problem = Problem::ComputedLength { name, found, expected };
                    return Err(Error::in_file(scope.file(), problem));
                }
                None => vec![found],
            };
            let shape = Shape::new(&dimensions).expect("one or two dimensions");
            let ty = BlockType::F32.into();
            let name = filled(&computed.name);
            self.written.insert(name.clone(), None);
            let mapped = (SourceTensor { name, shape, ty }, Assembled::Computed(numbers));
            match before {
                Some(_) => self.done.push(mapped),
                None => self.early.push((None, mapped)),
            }
        }
        Ok(())
    }

    /// Adds the zeros that a rule puts before and after the values to the dimensions. Returns how
    /// many there are.
    pub(super) fn pad(
        &self,
        rule: &'a TensorRule,
        layer: Option<u64>,
        dimensions: &mut [u64],
    ) -> Result<[u64; 2], Error> {
        let [rows, row @ ..] = dimensions else { return Ok([0, 0]) };
        let number = |number: &'a Option<_>| {
            number.as_ref().map(|number| self.scope.at(layer).unsigned(number)).transpose()
        };
        let before = number(&rule.zeros_before)?.unwrap_or(0);
        let after = number(&rule.rows)?.unwrap_or(0).saturating_sub(*rows);
        *rows = rows.saturating_add(before).saturating_add(after);
        let values = |rows| row.iter().fold(rows, |all: u64, size| all.saturating_mul(*size));
        Ok([values(before), values(after)])
    }
}
