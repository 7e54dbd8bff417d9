//! Rules with the numbers of a model: which of them apply, to which layers and experts, and what
//! the tensors of the file are called.

use super::rules::{NamePattern, Output, Place, TensorRule};
use super::{Arch, Scope};
use crate::Error;

/// A rule that applies to a model, and its repetitions.
pub(crate) struct Active<'a> {
    pub(crate) rule: &'a TensorRule,
    /// The layers, by their numbers in the file; `None` if the rule is for none.
    pub(crate) layers: Option<(u64, u64)>,
    /// The numbers of experts in these layers, or the only number; `None` without experts.
    experts: Option<Vec<u64>>,
    /// Rules with the same number are written together, after the last tensor of a layer.
    pub(crate) batch: usize,
    /// Rules with the same number stand layer by layer in the file, if that is their order.
    pub(crate) run: usize,
    pub(crate) outputs: Vec<Target<'a>>,
}

/// A tensor of the file, whose name has no place left but that for the layer.
pub(crate) struct Target<'a> {
    name: String,
    pub(crate) output: &'a Output,
}

impl Arch {
    /// The rules that apply in this scope.
    pub(crate) fn active<'a>(&'a self, scope: &Scope<'a>) -> Result<Vec<Active<'a>>, Error> {
        let mut rules: Vec<Active<'a>> = Vec::new();
        for rule in &self.tensors {
            if let Some(when) = &rule.when
                && !scope.holds(when)?
            {
                continue;
            }
            let source = &rule.sources[0];
            let count = |count| scope.count(count);
            let first = source.first.as_ref().map_or(Ok(0), count)?;
            let layers = source.layers.as_ref().map(count).transpose()?;
            let stack = rule.stack();
            let alike = |other: &Active<'_>| {
                other.rule.stack() == stack && other.layers == layers.map(|end| (first, end))
            };
            let experts = |layer| {
                let experts = source.experts.as_ref();
                experts.map(|experts| scope.at(layer).count(experts)).transpose()
            };
            let experts: Option<Vec<u64>> = match layers {
                Some(end) if source.experts.is_some() => {
                    let counts = (first..end).map(|layer| experts(Some(layer)));
                    counts.collect::<Result<_, _>>()?
                }
                _ => experts(None)?.map(|count| vec![count]),
            };
            let mate = stack.as_ref().and_then(|_| rules.iter().position(alike));
            let batch = mate.unwrap_or(rules.len());
            let follows = |before: &&Active<'_>| {
                let ordered = |rule: &TensorRule| rule.early && rule.by_layer;
                stack.is_none() && alike(before) && ordered(rule) && ordered(before.rule)
            };
            let run = rules.last().filter(follows).map_or(batch, |before| before.run);
            rules.push(Active {
                rule,
                layers: layers.map(|end| (first, end)),
                experts,
                batch,
                run,
                outputs: targets(rule, scope)?,
            });
        }
        Ok(rules)
    }
}

impl Active<'_> {
    /// The place of a tensor if this source has its name.
    pub(crate) fn fit(&self, source: &NamePattern, name: &str) -> Option<Place> {
        let place = source.fit(name)?;
        let (first, _) = self.layers.unwrap_or_default();
        let layer = match place.layer {
            Some(layer) => Some(layer.checked_add(first)?),
            None => None,
        };
        Some(Place { layer, ..place })
    }

    /// The number of experts in a layer; `None` if the rule is not for experts.
    pub(crate) fn experts(&self, layer: Option<u64>) -> Option<u64> {
        let (first, _) = self.layers.unwrap_or_default();
        let index = layer.unwrap_or_default().saturating_sub(first) as usize;
        let counts = self.experts.as_ref()?;
        Some(counts.get(index).copied().unwrap_or_default())
    }

    /// The name in the checkpoint of a source at this place.
    pub(crate) fn fill(&self, source: &NamePattern, place: Place) -> String {
        let (first, _) = self.layers.unwrap_or_default();
        source.fill(Place { layer: place.layer.map(|layer| layer.saturating_sub(first)), ..place })
    }

    /// Its layers, or only `None` if it has none.
    pub(crate) fn layers(&self) -> impl Iterator<Item = Option<u64>> + use<> {
        let (first, end) = self.layers.unwrap_or((0, 1));
        let some = self.layers.is_some();
        (first..end).map(move |layer| some.then_some(layer))
    }
}

impl Target<'_> {
    /// The name with the number of the layer filled in.
    pub(crate) fn name(&self, layer: Option<u64>) -> String {
        match layer {
            Some(layer) => self.name.replace("{layer}", &layer.to_string()),
            None => self.name.clone(),
        }
    }
}

/// What a rule makes: one tensor for each output, or one for each layer that the output names.
fn targets<'a>(rule: &'a TensorRule, scope: &Scope<'a>) -> Result<Vec<Target<'a>>, Error> {
    let mut targets = Vec::new();
    for output in &rule.outputs {
        let Some(place) = &output.place else {
            targets.push(Target { name: output.target.clone(), output });
            continue;
        };
        let first = scope.count(&place.first)?;
        let end = place.end.as_ref().map_or(Ok(first + 1), |end| scope.count(end))?;
        for layer in first..end {
            let name = output.target.replace(&place.text, &layer.to_string());
            targets.push(Target { name, output });
        }
    }
    Ok(targets)
}
