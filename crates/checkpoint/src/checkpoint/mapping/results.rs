//! What a rule makes when all its parts have been found.

use granule_format::{BlockType, Shape};
use granule_reader::SourceTensor;

use super::{Assembled, Mapper, Piece, ids};
use crate::arch::{Output, Place, Target, TensorRule};
use crate::changes::Changes;
use crate::checkpoint::resampled::Resampled;
use crate::data_type::DataType;
use crate::transform::View;
use crate::weights::StoredTensor;
use crate::{Error, Problem};

/// The most values of one tensor that become numbers.
const MOST_NUMBERS: u64 = 1 << 16;

impl<'a> Mapper<'a> {
    /// Returns the name of a tensor of the file.
    fn target(&self, target: &Target<'a>, place: Place) -> Result<String, Error> {
        let number = match &target.output.number {
            Some(number) => Some(self.scope.at(place.layer).unsigned(number)?),
            None => place.layer,
        };
        Ok(match place.number {
            Some(kept) => target.name(number).replace("{number}", &kept.to_string()),
            None => target.name(number),
        })
    }

    /// Returns what a rule makes in a place, with names.
    pub(in crate::checkpoint) fn outputs(
        &self,
        number: usize,
        place: Place,
    ) -> Result<Vec<(String, &'a Output)>, Error> {
        let mut outputs = Vec::new();
        for target in &self.rules[number].outputs {
            if target.output.applies(&self.scope.at(place.layer))? {
                outputs.push((self.target(target, place)?, target.output));
            }
        }
        Ok(outputs)
    }

    /// Writes the tensors of a rule after all its parts have been found.
    pub(super) fn write(&mut self, number: usize, place: Place) -> Result<(), Error> {
        let active = &self.rules[number];
        let rule = active.rule;
        let mut parts = Vec::new();
        let experts = active.experts(place.layer);
        for expert in 0..experts.unwrap_or(1) {
            let expert = experts.map(|_| expert);
            for source in 0..rule.sources.len() {
                parts.push(self.found[&(number, source, Place { expert, ..place })]);
            }
        }
        if let Some(limit) = &rule.ids_below {
            let limit = self.scope.at(place.layer).unsigned(limit)?;
            ids::check(self.weights, parts[0], limit)?;
            let tensor = &self.weights.tensors()[parts[0]];
            let shape = Shape::new(&tensor.shape)
                .ok_or_else(|| self.fail(tensor, Problem::TooLarge(tensor.shape.clone())))?;
            for (name, _) in self.outputs(number, place)? {
                self.written.insert(name.clone(), Some(parts[0]));
                let tensor = SourceTensor { name, shape, ty: BlockType::I64.into() };
                self.ids.push((tensor, Assembled::Ids(parts[0])));
            }
            return Ok(());
        }
        let stacked = experts.is_some() && !rule.joined;
        if let Some(twin) = &rule.unless_equal
            && let Some(Some(twin)) = self.written.get(twin)
            && self.weights.same_values(*twin, parts[0])?
        {
            return Ok(());
        }
        if let Some(rows) = &rule.zero_rows {
            let first = self.scope.at(place.layer).unsigned(&rows.from)?;
            let zeros = self.weights.zero_rows(parts[0], first, MOST_NUMBERS)?;
            self.numbers.insert((rows.number.clone(), place.layer), zeros);
        }
        if let Some(name) = &rule.number {
            let mut values = Vec::new();
            for part in parts {
                values.extend(self.weights.numbers(part, MOST_NUMBERS)?);
            }
            self.numbers.insert((name.clone(), place.layer), values);
            return Ok(());
        }
        for output in self.outputs(number, place)? {
            match output.1.calculation {
                Some(calculation) => self.add_calculated((output.0, calculation), &parts)?,
                None => self.add((number, rule), output, place, &parts, stacked)?,
            }
        }
        Ok(())
    }

    /// Returns whether all results of a rule for a place have been written.
    pub(super) fn all_written(&self, number: usize, place: Place) -> Result<bool, Error> {
        let outputs = &self.rules[number].outputs;
        for target in outputs {
            let written = self.written.contains_key(&self.target(target, place)?);
            if !written && target.output.applies(&self.scope.at(place.layer))? {
                return Ok(false);
            }
        }
        Ok(!outputs.is_empty())
    }

    /// Appends a tensor of the file.
    pub(in crate::checkpoint) fn add(
        &mut self,
        (number, rule): (usize, &'a TensorRule),
        (name, output): (String, &'a Output),
        place: Place,
        parts: &[usize],
        stacked: bool,
    ) -> Result<(), Error> {
        let first = &self.weights.tensors()[parts[0]];
        let mut pieces: Vec<Piece> = Vec::new();
        let mut dimensions: Vec<u64> = Vec::new();
        // The rows of each part of a stack.
        let mut heights: Vec<u64> = Vec::new();
        for part in parts {
            heights.push(0);
            let tensor = &self.weights.tensors()[*part];
            if tensor.ty != first.ty && !self.mixes(parts) {
                let problem =
                    Problem::MixedTypes { found: tensor.ty.name(), first: first.ty.name() };
                return Err(self.fail(tensor, problem));
            }
            for (shape, view) in self.views(rule, output, place.layer, tensor)? {
                let block = tensor.ty.values();
                let view = view
                    .in_blocks(block)
                    .filter(|_| shape.last().is_some_and(|row| row.is_multiple_of(block)));
                let view =
                    view.ok_or_else(|| self.fail(tensor, Problem::Blocks(tensor.ty.name())))?;
                pieces.push(Piece { tensor: *part, view, zeros: 0 });
                let height = heights.last_mut().expect("it has just been pushed");
                *height = height.saturating_add(shape.first().copied().unwrap_or(1));
                match dimensions.split_first_mut() {
                    None => dimensions = shape,
                    Some((rows, row))
                        if rule.sum && Some((&*rows, &*row)) == shape.split_first() => {}
                    Some((rows, row)) if Some(&*row) == shape.get(1..) => {
                        *rows = rows.saturating_add(shape[0]);
                    }
                    Some(_) => {
                        let problem = Problem::Parts { found: shape, first: dimensions };
                        return Err(self.fail(tensor, problem));
                    }
                }
            }
        }
        if stacked {
            self.stack(rule, parts, &heights, (&mut pieces, &mut dimensions))?;
        }
        let zeros = self.pad(rule, place.layer, &mut dimensions)?;
        let resampled = self.resampled(rule, place.layer, (parts[0], first), &mut dimensions)?;
        dimensions.reverse();
        let shape = Shape::new(&dimensions)
            .filter(|shape| shape.values().is_some())
            .ok_or_else(|| self.fail(first, Problem::TooLarge(first.shape.clone())))?;
        self.compute(Some((&name, place.layer)))?;
        if let Some(other) = self.written.insert(name.clone(), Some(parts[0])) {
            let other = other.map(|other| self.weights.tensors()[other].name.clone());
            let problem = Problem::SameTarget { other: other.unwrap_or(name) };
            return Err(self.fail(first, problem));
        }
        if first.ty == DataType::Nvfp4 {
            return self.add_with_factors(name, shape, (pieces, rule, zeros), parts, stacked);
        }
        let ty = self.out_type.of_rule((self.arch, rule), (self.weights, first), &name, &shape);
        let tensor = SourceTensor { name, shape, ty: ty.into() };
        let mapped = match resampled {
            Some(table) => (tensor, Assembled::Resampled(table)),
            None if rule.sum => (tensor, Assembled::Sum(pieces)),
            None => {
                let changes = self.changes(rule, place.layer, parts)?;
                (tensor, Assembled::Stored { pieces, changes, zeros })
            }
        };
        if rule.early {
            let active = &self.rules[number];
            let order = rule.by_layer.then_some((active.run, place.layer, number));
            self.early.push((order, mapped));
        } else {
            self.done.push(mapped);
        }
        Ok(())
    }

    /// Makes a stack of parts with these numbers of rows: all must have the same, unless zeros are
    /// appended to the shorter ones.
    fn stack(
        &self,
        rule: &TensorRule,
        parts: &[usize],
        heights: &[u64],
        (pieces, dimensions): (&mut [Piece], &mut Vec<u64>),
    ) -> Result<(), Error> {
        let highest = heights.iter().max().copied().unwrap_or_default();
        let row = dimensions.iter().skip(1).fold(1, |all: u64, size| all.saturating_mul(*size));
        if !dimensions.is_empty() {
            dimensions[0] = highest;
        }
        for (part, height) in parts.iter().zip(heights) {
            if *height == highest {
                continue;
            }
            if !rule.padded {
                let tensor = &self.weights.tensors()[*part];
                let shape = |rows: u64| [&[rows][..], &dimensions[1..]].concat();
                let problem = Problem::Parts { found: shape(*height), first: shape(highest) };
                return Err(self.fail(tensor, problem));
            }
            let last = pieces.iter_mut().rev().find(|piece| piece.tensor == *part);
            let last = last.expect("each part has a piece");
            last.zeros = (highest - height).saturating_mul(row);
        }
        dimensions.insert(0, parts.len() as u64);
        Ok(())
    }

    /// Returns whether parts of one tensor may have different types: those that adapters change or
    /// that pass through matrices are wider.
    fn mixes(&self, parts: &[usize]) -> bool {
        let tensors = || parts.iter().map(|part| &self.weights.tensors()[*part]);
        tensors().any(StoredTensor::joins_any) && tensors().all(|tensor| tensor.ty.values() == 1)
    }

    /// Returns how the values of a tensor change, given its parts in the checkpoint.
    pub(in crate::checkpoint) fn changes(
        &self,
        rule: &'a TensorRule,
        layer: Option<u64>,
        parts: &[usize],
    ) -> Result<Changes, Error> {
        let mean = match rule.change.rounds() {
            true => self.weights.mean_magnitude(parts[0])?,
            false => 0.0,
        };
        rule.change.resolve(&self.scope.at(layer), mean)
    }

    /// Brings the dimensions of a table to the size of its square in the file. Returns how, if
    /// it is another one.
    fn resampled(
        &self,
        rule: &'a TensorRule,
        layer: Option<u64>,
        (index, tensor): (usize, &StoredTensor),
        dimensions: &mut [u64],
    ) -> Result<Option<Resampled>, Error> {
        let Some(side) = &rule.resample else { return Ok(None) };
        let to = self.scope.at(layer).unsigned(side)?;
        let [.., places, _] = dimensions else { return Ok(None) };
        let from = places.isqrt();
        if from == to {
            return Ok(None);
        }
        let square = |side: u64| side.checked_mul(side).filter(|_| side > 0);
        let alone = tensor.values() == places.saturating_mul(tensor.columns());
        let (Some(old), Some(new), true) = (square(from), square(to), alone) else {
            let pattern = format!("a square of {to} by {to}");
            let problem = Problem::Rearrange { pattern, shape: tensor.shape.clone() };
            return Err(self.fail(tensor, problem));
        };
        if old != *places {
            let pattern = "a square".to_owned();
            let problem = Problem::Rearrange { pattern, shape: tensor.shape.clone() };
            return Err(self.fail(tensor, problem));
        }
        *places = new;
        Ok(Some(Resampled { tensor: index, from, to }))
    }

    /// Returns what an output uses of a tensor: dimensions (outermost first) and values.
    fn views(
        &self,
        rule: &'a TensorRule,
        output: &'a Output,
        layer: Option<u64>,
        tensor: &StoredTensor,
    ) -> Result<Vec<(Vec<u64>, View)>, Error> {
        let shape = match rule.any_shape {
            true => self.shape(rule, layer)?,
            false => tensor.shape.clone(),
        };
        let views = output.views(&self.scope.at(layer), &shape)?;
        views.map_err(|problem| self.fail(tensor, problem))
    }
}
