//! Inverts the rules of an architecture: finds the values of the file that each tensor of the
//! checkpoint consists of.

use std::collections::{HashMap, HashSet};

use granule_format::Shape;
use granule_reader::Model;

use super::ExportError;
use crate::Error;
use crate::arch::{Active, Arch, Calculation, Place, RuleType, Scope};
use crate::changes::Changes;
use crate::transform::View;

/// A tensor of the checkpoint.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub(super) name: String,
    /// Its dimensions, outermost first.
    pub(super) shape: Vec<u64>,
    /// The sources of its values in the file.
    pub(super) pieces: Vec<Piece>,
    /// The values, if they are metadata of the file.
    pub(super) given: Option<Vec<f32>>,
    pub(super) changes: Changes,
    /// Tensors of the file that repeat its values.
    pub(super) copies: Vec<usize>,
    /// Tensors with the same number come from the same rule and have the same type.
    pub(super) rule: usize,
    /// A conversion writes tensors with the same number together, at the position of the last of
    /// them.
    pub(super) group: usize,
    /// Whether a conversion moves the resulting tensors to the front.
    pub(super) early: bool,
    /// Whether it is a table of token ids, less their positions.
    pub(super) ids: bool,
}

/// The part of a checkpoint tensor that comes from one tensor of the file.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Index of the tensor in the file.
    pub(super) tensor: usize,
    /// Index of the first of its values.
    pub(super) base: u64,
    /// The destination of the values in the checkpoint tensor.
    pub(super) view: View,
}

impl Saved {
    /// Returns the number of values.
    pub(super) fn values(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Returns how many of them the file does not have.
    pub(super) fn lost(&self) -> u64 {
        let held: u64 = self.pieces.iter().map(|piece| piece.view.values()).sum();
        let given = self.given.as_ref().map_or(0, |given| given.len() as u64);
        self.values().saturating_sub(held + given)
    }

    /// Makes a tensor of the file under its own name.
    pub(super) fn plain(name: &str, shape: Shape, tensor: usize) -> Self {
        let mut dimensions = shape.dimensions().to_vec();
        dimensions.reverse();
        let view = View::whole(dimensions.iter().product());
        Self {
            name: name.to_owned(),
            shape: dimensions,
            pieces: vec![Piece { tensor, base: 0, view }],
            given: None,
            changes: Changes::default(),
            copies: Vec::new(),
            rule: tensor,
            group: tensor,
            early: false,
            ids: false,
        }
    }
}

/// The inverted file.
pub(super) struct Inverse {
    /// The tensors of the checkpoint, in the order of their first source.
    pub(super) saved: Vec<Saved>,
    /// Tensors of the file that follow from the config alone.
    pub(super) computed: Vec<String>,
    /// Tensors that the config says are needed but the file lacks.
    pub(super) missing: Vec<String>,
}

/// Applies the inverted rules to all tensors of a file.
pub(super) fn invert(
    arch: &Arch,
    class: &str,
    scope: Scope<'_>,
    model: &Model,
) -> Result<Inverse, Error> {
    let inverter = Inverter::new(arch, class, scope, model)?;
    let mut saved = inverter.numbers()?;
    let mut computed = Vec::new();
    let mut done = HashSet::new();
    for (index, tensor) in model.tensors().enumerate() {
        if done.contains(&index) {
            continue;
        }
        if arch.computed.iter().any(|computed| computed.is(tensor.name())) {
            computed.push(tensor.name().to_owned());
            continue;
        }
        for part in inverter.of(index, &done)? {
            done.extend(part.pieces.iter().map(|piece| piece.tensor).chain(part.copies.clone()));
            saved.push(part);
        }
    }
    let mut names = HashSet::new();
    if let Some(twice) = saved.iter().find(|saved| !names.insert(saved.name.as_str())) {
        return Err(ExportError::SameName { name: twice.name.clone() }.into());
    }
    let missing = inverter.missing(&names)?;
    Ok(Inverse { saved, computed, missing })
}

struct Inverter<'a> {
    arch: &'a Arch,
    headless: bool,
    scope: Scope<'a>,
    model: &'a Model,
    /// Indices of the file's tensors by name.
    tensors: HashMap<&'a str, usize>,
    rules: Vec<Active<'a>>,
    /// Rules and layers that make each tensor of the file.
    makers: HashMap<usize, Vec<(usize, Option<u64>)>>,
}

impl<'a> Inverter<'a> {
    fn new(arch: &'a Arch, class: &str, scope: Scope<'a>, model: &'a Model) -> Result<Self, Error> {
        let headless = arch.headless.iter().any(|name| name == class);
        let tensors: HashMap<_, _> =
            model.tensors().enumerate().map(|(index, tensor)| (tensor.name(), index)).collect();
        let rules = arch.active(&scope)?;
        let mut makers: HashMap<usize, Vec<_>> = HashMap::new();
        for (number, active) in rules.iter().enumerate() {
            for layer in active.layers() {
                for output in &active.outputs {
                    if let Some(tensor) = tensors.get(output.name(layer).as_str()) {
                        makers.entry(*tensor).or_default().push((number, layer));
                    }
                }
            }
        }
        Ok(Self { arch, headless, scope, model, tensors, rules, makers })
    }

    /// Returns the tensors of the checkpoint that a tensor of the file comes from. None of them may
    /// be `done`.
    ///
    /// If several rules make it, a rule that the config says is needed wins over others, a `spare`
    /// rule comes last, and one with a condition that holds precedes one without.
    fn of(&self, tensor: usize, done: &HashSet<usize>) -> Result<Vec<Saved>, Error> {
        let mut makers = Vec::new();
        for (number, layer) in self.makers.get(&tensor).into_iter().flatten() {
            let rule = self.rules[*number].rule;
            let needed = self.scope.at(*layer).holds(&rule.needed)?;
            makers.push(((!needed, rule.spare, rule.when.is_none(), *number), *layer));
        }
        makers.sort_unstable();
        let mut problem = None;
        for ((.., number), layer) in makers {
            match self.build(number, layer, done) {
                Ok(saved) => return Ok(saved),
                Err(why) => _ = problem.get_or_insert(why),
            }
        }
        let (tensor, arch) = (self.name(tensor), self.arch.name.clone());
        Err(problem.unwrap_or_else(|| ExportError::NoRule { tensor, arch, lacks: None }.into()))
    }

    /// Whether the file has something else in place of a tensor that rules know by this name.
    fn is_folded(&self, name: &str) -> bool {
        self.arch.folded.iter().any(|folded| self.arch.rule_name(&folded.tensor) == name)
    }

    /// Builds the checkpoint tensors of a rule for one layer.
    fn build(
        &self,
        number: usize,
        layer: Option<u64>,
        done: &HashSet<usize>,
    ) -> Result<Vec<Saved>, Error> {
        let active = &self.rules[number];
        let rule = active.rule;
        if rule.ty == Some(RuleType::I32) {
            let (tensor, rule) = (rule.outputs[0].name(layer), rule.sources[0].text().to_owned());
            let why = "the checkpoint has integers, which an export does not write";
            return Err(ExportError::NoInverse { tensor, rule, why }.into());
        }
        let calculated = rule
            .outputs
            .iter()
            .find(|output| !matches!(output.calculation, None | Some(Calculation::Centred)));
        let lost = match calculated {
            Some(output) => Some((output, "the file has only what was calculated from several")),
            None if rule.resample.is_some() => {
                Some((&rule.outputs[0], "the file may have it in another size"))
            }
            None if rule.sources.iter().any(|source| self.is_folded(source.text())) => {
                Some((&rule.outputs[0], "the file has only what rows became in matrices"))
            }
            None if rule.sum => Some((&rule.outputs[0], "the file has only the sum")),
            None if rule.joined || rule.padded => {
                Some((&rule.outputs[0], "the file does not say how long its parts were"))
            }
            None if rule.change.rounds() => {
                Some((&rule.outputs[0], "the values before they were rounded to three are lost"))
            }
            None => None,
        };
        if let Some((output, why)) = lost {
            let (tensor, rule) = (output.name(layer), rule.sources[0].text().to_owned());
            return Err(ExportError::NoInverse { tensor, rule, why }.into());
        }
        let scope = self.scope.at(layer);
        // A dimension that may have any length is that of the tensor in the file.
        let any = active.outputs.first().and_then(|target| {
            let tensor = self.model.tensor_at(*self.tensors.get(target.name(layer).as_str())?);
            Some(tensor.shape().dimensions().iter().rev().copied().collect::<Vec<_>>())
        });
        let any = any.unwrap_or_default();
        let shape = rule.shape.iter().enumerate().map(|(at, number)| match any.get(at) {
            Some(any) if number.is_null() => Ok(*any),
            _ => scope.unsigned(number),
        });
        let shape = shape.collect::<Result<Vec<u64>, _>>()?;
        let group = active.batch + self.rules.len() * layer.map_or(0, |layer| layer as usize + 1);
        let instance = number + self.rules.len() * layer.map_or(0, |layer| layer as usize + 1);
        let changes = rule.change.resolve(&scope, 0.0)?;
        let mut saved = Vec::new();
        for expert in numbers(active.experts(layer)) {
            for source in &rule.sources {
                saved.push(Saved {
                    name: self
                        .saved_name(&active.fill(source, Place { layer, expert, number: None })),
                    shape: shape.clone(),
                    pieces: Vec::new(),
                    given: None,
                    changes: changes.clone(),
                    copies: Vec::new(),
                    rule: instance,
                    group,
                    early: rule.early,
                    ids: rule.ids_below.is_some(),
                });
            }
        }
        let first = saved.first().map(|saved| saved.name.clone()).unwrap_or_default();
        let mut seen = Vec::new();
        let present = |name: &str| self.tensors.get(name).filter(|index| !done.contains(index));
        for target in &active.outputs {
            let (name, output) = (target.name(layer), target.output);
            if !output.applies(&scope)? {
                continue;
            }
            let Some(tensor) = present(&name).copied() else {
                let known = active.outputs.iter().map(|target| target.name(layer));
                let tensor = known.into_iter().find(|name| present(name).is_some());
                let arch = self.arch.name.clone();
                let tensor = tensor.unwrap_or_default();
                let lacks = Some((first, name));
                return Err(ExportError::NoRule { tensor, arch, lacks }.into());
            };
            let no_inverse = |why| {
                Error::from(ExportError::NoInverse {
                    tensor: name.clone(),
                    rule: first.clone(),
                    why,
                })
            };
            // Of the layers that share a tensor of the checkpoint, the first gives it back.
            let shared = seen.contains(&std::ptr::from_ref(output));
            seen.push(std::ptr::from_ref(output));
            if output.again || shared {
                saved.iter_mut().for_each(|saved| saved.copies.push(tensor));
                continue;
            }
            let mut base = 0;
            let mut dimensions: Vec<u64> = Vec::new();
            for (part, saved) in saved.iter_mut().enumerate() {
                let views = output.views(&scope, &shape)?;
                let views = views.map_err(|_| no_inverse("a pattern does not fit the shape"))?;
                for (shape, view) in views {
                    if !view.is_injective() {
                        return Err(no_inverse("the file holds values twice"));
                    }
                    let values = view.values();
                    match dimensions.split_first_mut() {
                        None => dimensions = shape,
                        // Experts are concatenated; other parts grow the first dimension.
                        Some((rows, _)) if active.experts(layer).is_none() || part == 0 => {
                            *rows = rows.saturating_add(shape[0]);
                        }
                        Some(_) => {}
                    }
                    saved.pieces.push(Piece { tensor, base, view });
                    base += values;
                }
            }
            if let Some(experts) = active.experts(layer) {
                dimensions.insert(0, experts.saturating_mul(rule.sources.len() as u64));
            }
            if let (Some(rows), Some(first)) = (&rule.rows, dimensions.first_mut()) {
                *first = scope.unsigned(rows)?.max(*first);
            }
            if let (Some(before), [first, row @ ..]) = (&rule.zeros_before, &mut dimensions[..]) {
                let before = scope.unsigned(before)?;
                let values = row.iter().fold(before, |all, size| all.saturating_mul(*size));
                saved.iter_mut().flat_map(|saved| &mut saved.pieces).for_each(|piece| {
                    if piece.tensor == tensor {
                        piece.base = piece.base.saturating_add(values);
                    }
                });
                *first = first.saturating_add(before);
            }
            dimensions.reverse();
            let found = self.model.tensor_at(tensor).shape();
            if Shape::new(&dimensions) != Some(found) {
                let (tensor, rule, by) = (name, first, rule.shape_text());
                let expected = dimensions;
                return Err(ExportError::Shape { tensor, rule, by, found, expected }.into());
            }
        }
        for saved in &saved {
            let held: u64 = saved.pieces.iter().map(|piece| piece.view.values()).sum();
            if held > saved.values() {
                return Err(ExportError::NoInverse {
                    tensor: active.outputs[0].name(layer),
                    rule: first,
                    why: "the file holds values twice",
                }
                .into());
            }
        }
        Ok(saved)
    }

    /// Returns the tensors that have become numbers, if an entry of the metadata is such a number.
    /// They come first, where their names cannot disturb the order of the others.
    fn numbers(&self) -> Result<Vec<Saved>, Error> {
        let mut all = Vec::new();
        for (number, active) in self.rules.iter().enumerate() {
            let Some(name) = &active.rule.number else { continue };
            let Some(values) = super::config::numbers(self.arch, name, self.model) else {
                continue;
            };
            let mut rest = &values[..];
            let mut saved = Vec::new();
            for layer in active.layers() {
                for part in self.build(number, layer, &HashSet::new())? {
                    let count = usize::try_from(part.values()).unwrap_or(usize::MAX);
                    let Some((here, after)) = rest.split_at_checked(count) else { break };
                    rest = after;
                    saved.push(Saved { given: Some(here.to_vec()), early: true, ..part });
                }
            }
            let expected = active.layers().count().max(1);
            if rest.is_empty() && saved.len().is_multiple_of(expected) {
                all.append(&mut saved);
            }
        }
        Ok(all)
    }

    /// Returns the tensors that the config says are needed but that no tensor of the file provides.
    fn missing(&self, names: &HashSet<&str>) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for active in &self.rules {
            for layer in active.layers() {
                let mut outputs = active.outputs.iter().filter(|target| !target.output.again);
                if outputs.any(|output| self.tensors.contains_key(output.name(layer).as_str()))
                    || active.rule.unless_equal.is_some()
                    || !self.scope.at(layer).holds(&active.rule.needed)?
                {
                    continue;
                }
                let expert = active.experts(layer).map(|_| 0);
                let place = Place { layer, expert, number: None };
                let name = self.saved_name(&active.fill(&active.rule.sources[0], place));
                if !names.contains(name.as_str()) {
                    missing.push(name);
                }
            }
        }
        Ok(missing)
    }

    /// Returns the name in the checkpoint. It must lead back to the rule.
    fn saved_name(&self, name: &str) -> String {
        let saved = self.arch.saved_name(name, self.headless);
        let back = self.arch.rule_name(&saved);
        let leads = back == name || self.arch.prefixed(&back).as_deref() == Some(name);
        if leads { saved } else { name.to_owned() }
    }

    fn name(&self, tensor: usize) -> String {
        self.model.tensor_at(tensor).name().to_owned()
    }
}

fn numbers(count: Option<u64>) -> impl Iterator<Item = Option<u64>> {
    (0..count.unwrap_or(1)).map(move |number| count.map(|_| number))
}
