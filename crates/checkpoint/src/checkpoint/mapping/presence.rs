//! What is said about tensors that are missing.

use std::collections::HashSet;

use super::Mapper;
use crate::arch::Place;
use crate::{Error, Problem};

impl Mapper<'_> {
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
                for (expert, (source, pattern)) in all(active.experts(layer))
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
