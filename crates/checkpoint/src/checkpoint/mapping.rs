//! Maps the tensors of the checkpoint to those of the file, and checks them all.

mod added;
mod calculated;
mod presence;
mod results;

use std::collections::{BTreeMap, HashMap};

use granule_reader::SourceTensor;
use serde_json::Value;

use super::further::FurtherTokens;
use super::ids;
use super::left_out::{Part, part};
use super::out_type::Writable;
use super::resampled::Resampled;
use crate::Error;
use crate::Problem;
use crate::arch::{Active, Arch, LeftOut, Place, RuleType, Scope, TensorRule};
use crate::changes::Changes;
use crate::data_type::DataType;
use crate::transform::View;
use crate::weights::{StoredTensor, Weights};

/// The source of a tensor's values.
#[derive(Clone, Debug)]
pub(super) enum Assembled {
    /// Tensors of the checkpoint, concatenated.
    /// `zeros` are the numbers of values before and after theirs, which are zero.
    Stored { pieces: Vec<Piece>, changes: Changes, zeros: [u64; 2] },
    /// Tensors of the checkpoint with as many values as this one, which are added.
    Sum(Vec<Piece>),
    /// A table for the places of a square, brought to another size.
    Resampled(Resampled),
    /// A table of token ids, by the index of the tensor with their differences from positions.
    Ids(usize),
    /// The config.
    Computed(Vec<f32>),
}

impl Assembled {
    /// Returns whether values come from the tensor of the checkpoint with this index.
    pub(super) fn uses(&self, index: usize) -> bool {
        match self {
            Self::Stored { pieces, .. } | Self::Sum(pieces) => {
                pieces.iter().any(|piece| piece.tensor == index)
            }
            Self::Resampled(table) => table.tensor == index,
            Self::Ids(tensor) => *tensor == index,
            Self::Computed(_) => false,
        }
    }
}

/// A tensor of the file and the source of its values.
pub(super) type Mapped = (SourceTensor, Assembled);

/// The place of an early tensor: the run of its rule, the layer, and the rule.
type Order = (usize, Option<u64>, usize);

/// A part of a tensor of the file.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Index of the tensor in the checkpoint.
    pub(super) tensor: usize,
    /// The values to use.
    pub(super) view: View,
    /// The number of zeros after them.
    pub(super) zeros: u64,
}

/// What the tensors of a checkpoint become.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// The tensors of the file, in order.
    pub(super) tensors: Vec<Mapped>,
    /// The values of tensors that become numbers, by name.
    pub(super) numbers: serde_json::Map<String, Value>,
}

/// Maps all tensors.
pub(super) fn map(
    arch: &Arch,
    scope: Scope<'_>,
    weights: &Weights,
    (out_type, further): (Writable, FurtherTokens),
    warnings: &mut Vec<String>,
) -> Result<Map, Error> {
    let mut mapper = Mapper::new(arch, scope, weights, (out_type, further))?;
    mapper.compute(None)?;
    let left_out = mapper.left_out()?;
    let mut others: Vec<&str> = Vec::new();
    for (index, tensor) in weights.tensors().iter().enumerate() {
        if !arch.has_part(&tensor.name) {
            continue;
        }
        let name = mapper.known_name(&tensor.name, &left_out);
        match part(arch.kind, &left_out, &tensor.name, &name) {
            Part::Text => mapper.take(index, &name)?,
            Part::Redundant => {}
            Part::RedundantZeros if weights.all_zero(index)? => {}
            Part::RedundantZeros => {
                let arch = arch.name.clone();
                return Err(mapper.fail(tensor, Problem::NotZero { arch }));
            }
            // The parts of a model that hears or sees have names that no rule knows.
            Part::Other if mapper.fits(&name).next().is_some() => mapper.take(index, &name)?,
            Part::Other => others.push(&tensor.name),
        }
    }
    if let Some(first) = others.first() {
        let number = others.len();
        let (what, are) = if number == 1 { ("tensor", "is") } else { ("tensors", "are") };
        warnings.push(format!(
            "{number} {what} {are} not part of the text model and omitted; the first is {first:?}"
        ));
    }
    mapper.check_presence(warnings)?;
    mapper.first.sort_by_key(|(part, _)| *part);
    mapper.early.sort_by_key(|(order, _)| *order);
    let first = mapper.first.into_iter().map(|(_, mapped)| mapped);
    let early = mapper.early.into_iter().map(|(_, mapped)| mapped);
    let tensors = first.chain(early).chain(mapper.done).chain(mapper.ids).collect();
    let mut numbers = serde_json::Map::new();
    for ((name, _), values) in mapper.numbers {
        let list = numbers.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut().expect("nothing else is in there").extend(values);
    }
    Ok(Map { tensors, numbers })
}

pub(super) struct Mapper<'a> {
    pub(super) arch: &'a Arch,
    pub(super) scope: Scope<'a>,
    pub(super) weights: &'a Weights,
    pub(super) out_type: Writable,
    further: FurtherTokens,
    /// The number of layers before those that predict further tokens, if it matters.
    layers: Option<u64>,
    /// Whether names lack their prefix.
    bare: bool,
    pub(super) rules: Vec<Active<'a>>,
    /// The tensor of the checkpoint by rule, number of the source in the rule, and place.
    found: HashMap<(usize, usize, Place), usize>,
    /// Number of tensors found so far, by batch and layer.
    seen: HashMap<(usize, Place), u64>,
    /// The tensors of the file so far.
    pub(super) written: HashMap<String, Option<usize>>,
    /// The values of tensors that become numbers, by name and layer.
    numbers: BTreeMap<(String, Option<u64>), Vec<Value>>,
    /// Tensors of NVFP4 blocks and their factors, which the reference writes first, with the number
    /// of the last part of each.
    pub(super) first: Vec<(usize, Mapped)>,
    /// The first tensors of the file; those with an order come after the others.
    pub(super) early: Vec<(Option<Order>, Mapped)>,
    pub(super) done: Vec<Mapped>,
    /// Tensors of ids, which come last.
    ids: Vec<Mapped>,
}

impl<'a> Mapper<'a> {
    pub(super) fn new(
        arch: &'a Arch,
        scope: Scope<'a>,
        weights: &'a Weights,
        (out_type, further): (Writable, FurtherTokens),
    ) -> Result<Self, Error> {
        let layers = match further {
            FurtherTokens::Keep => None,
            _ => Some(scope.layers()?),
        };
        let rules = arch.active(&scope)?;
        Ok(Self {
            arch,
            scope,
            weights,
            out_type,
            further,
            layers,
            bare: false,
            rules,
            found: HashMap::new(),
            seen: HashMap::new(),
            written: HashMap::new(),
            numbers: BTreeMap::new(),
            first: Vec::new(),
            early: Vec::new(),
            done: Vec::new(),
            ids: Vec::new(),
        })
    }

    /// Returns the tensors that the architecture omits from this checkpoint, with the number of
    /// layers if it matters.
    pub(super) fn left_out(&self) -> Result<Vec<(&'a LeftOut, Option<u64>)>, Error> {
        let mut active = Vec::new();
        for left_out in &self.arch.left_out {
            if left_out.when.as_ref().map_or(Ok(true), |when| self.scope.holds(when))? {
                let layers = left_out.beyond.as_ref().map(|layers| self.scope.count(layers));
                active.push((left_out, layers.transpose()?));
            }
        }
        Ok(active)
    }

    pub(super) fn fail(&self, tensor: &StoredTensor, problem: Problem) -> Error {
        Error::of_tensor(self.weights.path(tensor), &tensor.name, problem)
    }

    /// Returns the name under which the rules know a tensor. Checkpoints of the bare model lack the
    /// whole model's prefix, and some others lack it although their config says otherwise.
    pub(super) fn known_name(
        &mut self,
        name: &str,
        left_out: &[(&LeftOut, Option<u64>)],
    ) -> String {
        let name = self.arch.rule_name(name);
        let known = |name: &str| {
            self.fits(name).next().is_some() || left_out.iter().any(|(it, n)| it.fits(name, *n))
        };
        match self.arch.prefixed(&name) {
            Some(prefixed) if !known(&name) && known(&prefixed) => {
                self.bare = true;
                prefixed
            }
            _ => name,
        }
    }

    /// Returns the rules that match a name: the number of the rule, the number of the source, and
    /// the numbers in the name. Rules with a condition come first.
    pub(super) fn fits<'n>(
        &'n self,
        name: &'n str,
    ) -> impl Iterator<Item = (usize, usize, Place)> + 'n {
        let rules = || self.rules.iter().enumerate();
        let special = rules().filter(|(_, active)| active.rule.when.is_some());
        let usual = rules().filter(|(_, active)| active.rule.when.is_none());
        special.chain(usual).flat_map(move |(number, active)| {
            let sources = active.rule.sources.iter().enumerate();
            sources.filter_map(move |(source, pattern)| {
                Some((number, source, active.fit(pattern, name)?))
            })
        })
    }

    /// Takes a tensor of the checkpoint, and writes every tensor of the file that it completes.
    fn take(&mut self, index: usize, name: &str) -> Result<(), Error> {
        let tensor = &self.weights.tensors()[index];
        if self.fits(name).next().is_some_and(|(number, _, place)| !self.wants(number, place)) {
            return Ok(());
        }
        let (number, source, place) = self.rule_for(tensor, name)?;
        let active = &self.rules[number];
        let rule = active.rule;
        let batch = active.batch;
        self.check_shape(rule, place, tensor)?;
        if rule.ty == Some(RuleType::I32) && !matches!(tensor.ty, DataType::I32 | DataType::I64) {
            return Err(self.fail(tensor, Problem::NotIntegers(tensor.ty.name())));
        }
        if let Some(drop) = &rule.drop
            && self.scope.at(place.layer).holds(drop)?
        {
            return Ok(());
        }
        let whole = Place { expert: None, ..place };
        if rule.spare && self.all_written(number, whole)? {
            return Ok(());
        }
        if let Some(other) = self.found.insert((number, source, place), index) {
            let other = self.weights.tensors()[other].name.clone();
            return Err(self.fail(tensor, Problem::SameTarget { other }));
        }
        // Stacks and joined tensors are placed at the position of their last part.
        let seen = self.seen.entry((batch, whole)).or_default();
        *seen += 1;
        let members = || (0..self.rules.len()).filter(|rule| self.rules[*rule].batch == batch);
        let parts = |active: &Active<'_>| {
            let experts = active.experts(whole.layer).unwrap_or(1);
            experts.saturating_mul(active.rule.sources.len() as u64)
        };
        let all = members().map(|member| parts(&self.rules[member]));
        if *seen == all.fold(0, u64::saturating_add) {
            for member in members().collect::<Vec<_>>() {
                self.write(member, whole)?;
            }
        }
        Ok(())
    }

    /// Returns whether the file has the tensors of a rule at this place.
    fn wants(&self, number: usize, place: Place) -> bool {
        self.layers.is_none_or(|layers| self.further.wants(&self.rules[number], place, layers))
    }

    /// Returns the rule for a tensor, the number of the source in it, and the numbers in its name.
    pub(super) fn rule_for(
        &self,
        tensor: &StoredTensor,
        name: &str,
    ) -> Result<(usize, usize, Place), Error> {
        let arch = || self.arch.name.clone();
        let mut fits = self.fits(name);
        let first = fits.next();
        let (mut number, mut source, mut place) = first
            .ok_or_else(|| self.fail(tensor, Problem::Unmapped { arch: arch(), beyond: None }))?;
        // A rule that the layer does not need leaves the tensor to one that it needs.
        let needed = |number: usize, place: Place| {
            self.scope.at(place.layer).holds(&self.rules[number].rule.needed)
        };
        if let Some(other) = fits.next()
            && !needed(number, place)?
            && needed(other.0, other.2)?
        {
            (number, source, place) = other;
        }
        let active = &self.rules[number];
        let layers = active.layers.map(|(_, end)| end);
        let limits = [
            (place.layer, layers, "layers"),
            (place.expert, active.experts(place.layer), "experts"),
        ];
        for (number, count, what) in limits {
            if let (Some(number), Some(count)) = (number, count)
                && number >= count
            {
                let beyond = Some((count, what));
                return Err(self.fail(tensor, Problem::Unmapped { arch: arch(), beyond }));
            }
        }
        Ok((number, source, place))
    }

    pub(super) fn check_shape(
        &self,
        rule: &'a TensorRule,
        place: Place,
        tensor: &StoredTensor,
    ) -> Result<(), Error> {
        let scope = self.scope.at(place.layer);
        let numbers =
            rule.shape.iter().enumerate().map(|(at, number)| match tensor.shape.get(at) {
                // any length will do
                Some(any) if number.is_null() || scope.value(number)?.is_none() => Ok(*any),
                _ => scope.unsigned(number),
            });
        let expected = numbers.collect::<Result<Vec<_>, _>>()?;
        let values =
            |shape: &[u64]| shape.iter().try_fold(1_u64, |all, size| all.checked_mul(*size));
        let fits = tensor.shape == expected
            || rule.any_shape && values(&tensor.shape) == values(&expected);
        if !fits {
            let found = tensor.shape.clone();
            let by = rule.shape_text();
            return Err(self.fail(tensor, Problem::Shape { found, expected, by }));
        }
        Ok(())
    }

    /// Returns the dimensions that a rule expects of a tensor.
    pub(super) fn shape(
        &self,
        rule: &'a TensorRule,
        layer: Option<u64>,
    ) -> Result<Vec<u64>, Error> {
        let scope = self.scope.at(layer);
        rule.shape.iter().map(|number| scope.unsigned(number)).collect()
    }
}

#[cfg(test)]
#[path = "mapping_test.rs"]
mod tests;
