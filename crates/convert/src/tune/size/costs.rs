//! What each type of each tensor costs, from what a perturbation of it changes.

use std::collections::BTreeMap;

use granule_format::BlockType;
use granule_infer::measure::base::{BaseReader, BaseWriter, Form, Heading};
use granule_infer::measure::measure;
use granule_infer::stream::Observed;
use granule_infer::{Chunks, Model, sensitivity, stream};
use rayon::prelude::*;

use super::errors::Sample;
use super::frame::{Frame, Item};
use super::{Progress, SizeError};
use crate::tune::Quantized;

/// Bits for each weight below which tensors are perturbed by three bits instead of four.
const FEW_BITS: f64 = 4.0;

/// The costs of all options, in two factors.
#[derive(Debug)]
pub(super) struct Costs {
    /// For each item and option the change that it makes in the result of its layer; for matrices
    /// outside of layers the error by that of the reference type.
    pub(super) changes: Vec<Vec<f64>>,
    /// For each role the divergence that its changes cause, for each unit of change.
    pub(super) roles: BTreeMap<String, Role>,
    /// The same for all layers together.
    pub(super) uniform: f64,
}

/// The tensors that have one role in all layers.
#[derive(Clone, Debug, Default)]
pub(super) struct Role {
    /// The sum of their changes when all are perturbed, each by itself.
    pub(super) change: f64,
    /// The divergence when all are perturbed.
    pub(super) divergence: f64,
    /// Whether the changes were measured: they are in layers that the model runs.
    pub(super) is_layered: bool,
}

/// Measures the costs.
pub(super) fn costs(
    frame: &mut Frame<'_>,
    model: &Model<'_>,
    chunks: &Chunks,
    on: &mut dyn FnMut(Progress<'_>) -> Observed,
) -> Result<Costs, SizeError> {
    let perturbed = perturbations(frame);
    let mut other = Quantized::new(frame.source, frame.effort());
    for (item, ty) in frame.items.iter().zip(&perturbed) {
        if let Some(ty) = ty {
            other.set(item.source, *ty, frame.weights(item));
        }
    }
    let layers = model.layers();
    let texts = chunks.texts();
    let looked_at = |index| {
        let item = frame.items.iter().position(|item| item.source == index);
        item.is_some_and(|item| perturbed[item].is_some())
    };
    let found = sensitivity::measure(model, &other, &texts, &looked_at, &mut |layer| {
        on(Progress::Layer { layer, layers })
    })?;
    let found: BTreeMap<usize, sensitivity::Sensitivity> =
        found.into_iter().map(|found| (found.index, found)).collect();

    on(Progress::Errors).map_err(granule_infer::Error::Observer)?;
    let samples: Vec<Option<Sample<'_>>> =
        frame.items.iter().map(|item| Sample::new(frame, item)).collect::<Result<_, _>>()?;
    for (item, sample) in samples.iter().enumerate() {
        let is_plain =
            frame.stored(&frame.items[item]).known().is_some_and(|ty| !ty.is_quantized());
        if let Some(ty) = sample.as_ref().filter(|_| is_plain).and_then(Sample::grid) {
            frame.offer(item, ty);
        }
    }
    let frame = &*frame;
    let errors = frame.items.par_iter().zip(&samples).zip(&perturbed);
    let errors = errors.map(|((item, sample), perturbed)| {
        let Some(sample) = sample else { return (vec![0.0; item.options.len()], 0.0) };
        let squares = found.get(&item.source).map_or(Vec::new(), |found| found.inputs.squares());
        let reference = perturbed.map_or(0.0, |ty| sample.error(frame, ty, &squares));
        (sample.errors(frame, &item.options, &squares), reference)
    });
    let errors: Vec<(Vec<f64>, f64)> = errors.collect();

    let mut roles: BTreeMap<String, Role> = BTreeMap::new();
    let mut changes = Vec::new();
    for (item, (errors, reference)) in frame.items.iter().zip(&errors) {
        let found = found.get(&item.source);
        let change = found.map_or(1.0, |found| found.change);
        let role = roles.entry(item.role.clone()).or_default();
        role.is_layered |= found.is_some();
        // weights that lie on the grid of the reference type are not changed by it
        let factor = if *reference > 0.0 { change / reference } else { 1.0 };
        role.change += if *reference > 0.0 { change } else { 0.0 };
        changes.push(errors.iter().map(|error| factor * error).collect());
    }

    let scale = Scale::new(model, chunks)?;
    let names: Vec<String> = roles.keys().cloned().collect();
    for (number, name) in names.iter().enumerate() {
        on(Progress::Role { name, number, roles: names.len() })
            .map_err(granule_infer::Error::Observer)?;
        let mut quantized = Quantized::new(frame.source, frame.effort());
        for (item, ty) in frame.items.iter().zip(&perturbed) {
            if let Some(ty) = ty.filter(|_| item.role == *name) {
                quantized.set(item.source, ty, frame.weights(item));
            }
        }
        let role = roles.get_mut(name).expect("it is one of the names");
        role.divergence = scale.divergence(&quantized, on)?;
    }
    let sums = roles
        .values()
        .filter(|role| role.is_layered)
        .fold((0.0, 0.0), |sums, role| (sums.0 + role.divergence, sums.1 + role.change));
    let uniform = if sums.1 > 0.0 { sums.0 / sums.1 } else { 1.0 };
    Ok(Costs { changes, roles, uniform })
}

/// The type by which each item is perturbed: one near the target, so that the changes are as large
/// as they will be. `None` for tensors that keep their type.
fn perturbations(frame: &Frame<'_>) -> Vec<Option<BlockType>> {
    let few = frame.mean_bits() < FEW_BITS;
    let wanted = if few { BlockType::Q3_K } else { BlockType::Q4_K };
    let of = |item: &Item| {
        let row = frame.source.tensors()[item.source].shape.row();
        let stored = frame.stored(item);
        let fits =
            |ty: &BlockType| row.is_multiple_of(ty.block_values() as u64) && stored != (*ty).into();
        let types = [wanted, BlockType::Q4_0, BlockType::Q8_0];
        let is_open = item.options.iter().any(|option| stored != option.ty.into());
        types.into_iter().find(fits).filter(|_| is_open)
    };
    frame.items.iter().map(of).collect()
}

impl Costs {
    /// The cost of every option, where roles count as `weight` says.
    pub(super) fn table(
        &self,
        frame: &Frame<'_>,
        weight: &dyn Fn(&str, &Role, usize) -> f64,
    ) -> Vec<Vec<f64>> {
        let items = frame.items.iter().zip(&self.changes).enumerate();
        let costs = items.map(|(place, (item, changes))| {
            let weight = weight(&item.role, &self.roles[&item.role], place);
            changes.iter().map(|change| weight * change).collect()
        });
        costs.collect()
    }
}

/// The original's predictions, against which others are measured.
pub(super) struct Scale<'c> {
    chunks: &'c Chunks,
    base: Vec<u8>,
}

impl<'c> Scale<'c> {
    pub(super) fn new(model: &Model<'_>, chunks: &'c Chunks) -> Result<Self, SizeError> {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let heading = Heading {
            chunk_tokens: number(chunks.chunk_tokens()),
            vocabulary: number(model.vocabulary()),
            tokens: chunks.tokens().to_vec(),
        };
        let fail = granule_infer::measure::MeasureError::from;
        let mut writer = BaseWriter::start(Vec::new(), Form::Sparse, heading).map_err(fail)?;
        let reader = None::<&mut BaseReader<std::io::Empty>>;
        let options = stream::Options::default();
        measure(model, chunks, &options, reader, Some(&mut writer), &mut |_| Ok(()))?;
        let base = writer.finish().map_err(fail)?;
        Ok(Self { chunks, base })
    }

    /// The mean divergence of a model that is quantized.
    pub(super) fn divergence(
        &self,
        quantized: &Quantized<'_>,
        on: &mut dyn FnMut(Progress<'_>) -> Observed,
    ) -> Result<f64, SizeError> {
        let model = Model::open(quantized)?;
        let fail = granule_infer::measure::MeasureError::from;
        let mut reader = BaseReader::open(&self.base[..], self.base.len() as u64).map_err(fail)?;
        let writer = None::<&mut BaseWriter<std::io::Sink>>;
        let step = &mut |_| on(Progress::Run);
        let options = stream::Options::default();
        let found = measure(&model, self.chunks, &options, Some(&mut reader), writer, step)?;
        let divergence = found.scores.divergence().filter(|_| found.lost.is_empty());
        divergence.map(|found| found.value).filter(|it| it.is_finite()).ok_or(SizeError::NotFinite)
    }
}
