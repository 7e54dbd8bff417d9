//! The tensors that a GGUF file must have, by the descriptions of its architecture.

use std::collections::HashSet;
use std::path::PathBuf;

use granule_format::{Metadata, Value as Meta};
use serde_json::{Map, Value};

use super::{Arch, Config, Entry, Item, TensorRule, of_name};
use crate::folder::Nowhere;

/// Tensors that every checkpoint has, so that descriptions need them, but programs do not.
const DISPENSABLE: &[&str] = &["token_types.weight", ".ffn_gate_exps.weight"];

/// Calls `found` with the name of each tensor that programs need to load a model with this
/// metadata: the tensors outside layers, and those of the given layers. It names none for an
/// architecture without a description.
///
/// A tensor is needed if all descriptions of the architecture say so. A rule is ignored if its
/// condition depends on config keys that the metadata do not hold, and biases are ignored because
/// many programs do without them. This is the function for
/// [`Options::needed`](granule_format::check::Options::needed).
pub fn needed(metadata: &Metadata, layers: &[u64], found: &mut dyn FnMut(&str)) {
    let Ok(Some(name)) = metadata.text("general.architecture") else { return };
    let known: Vec<_> = of_name(name).map(|arch| Known::new(arch, metadata)).collect();
    let Some((first, others)) = known.split_first() else { return };
    let others: Vec<_> = others.iter().map(Known::judged).collect();
    let mut others: Vec<_> = others.iter().zip(&known[1..]).collect();
    let judged = first.judged();
    for layer in std::iter::once(None).chain(layers.iter().copied().map(Some)) {
        let mut agreed: Option<HashSet<String>> = None;
        for (judged, known) in &mut others {
            let names: HashSet<_> = known.needed(judged, layer).collect();
            agreed = Some(match agreed {
                Some(agreed) => agreed.intersection(&names).cloned().collect(),
                None => names,
            });
        }
        for name in first.needed(&judged, layer) {
            if agreed.as_ref().is_none_or(|agreed| agreed.contains(&name)) {
                found(&name);
            }
        }
    }
}

/// A description, and the part of the config that the metadata hold.
struct Known<'a> {
    arch: &'a Arch,
    config: Config,
    /// The keys of the config that are known, whether present or absent.
    keys: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    fn new(arch: &'a Arch, metadata: &Metadata) -> Self {
        let mut keys = HashSet::new();
        let mut raw = Map::new();
        for item in arch.items() {
            let Item::Entry(Entry { key, value, .. }) = item else { continue };
            let number = match metadata.get(&arch.key(key)) {
                // Without the key there are no experts.
                None if key == "expert_count" => Value::from(0),
                Some(Meta::Bool(truth)) => Value::from(*truth),
                Some(value) => match value.as_integer().and_then(|value| i64::try_from(value).ok())
                {
                    Some(number) => Value::from(number),
                    None => continue,
                },
                None => continue,
            };
            for key in value.paths(&arch.numbers) {
                keys.insert(key);
                insert(&mut raw, key, &number);
            }
        }
        let config = Config::bare(PathBuf::new(), raw);
        Self { arch, config, keys }
    }

    /// The rules whose conditions can be decided by the metadata.
    fn judged(&self) -> Vec<&'a TensorRule> {
        let is_judged = |rule: &&TensorRule| {
            let names = rule.needed.dependencies(&self.arch.numbers);
            let is_known =
                names.is_some_and(|names| names.iter().all(|name| self.keys.contains(name)));
            is_known
                && rule.when.is_none()
                && rule.unless_equal.is_none()
                && !(rule.advised || rule.spare)
        };
        self.arch.tensors.iter().filter(is_judged).collect()
    }

    /// The names of the needed tensors of a layer, or of those outside layers.
    fn needed(&self, rules: &[&'a TensorRule], layer: Option<u64>) -> impl Iterator<Item = String> {
        let scope = self.config.scope(&Nowhere, self.arch, None).at(layer);
        let here = rules.iter().filter(move |rule| {
            let named = rule.outputs.iter().all(|output| output.place.is_none());
            named
                && rule.sources[0].layers.is_some() == layer.is_some()
                && scope.holds(&rule.needed).unwrap_or(false)
        });
        let names = here.flat_map(move |rule| {
            // Whether a layer has one may depend on keys that the metadata do not hold.
            let outputs = rule.outputs.iter().filter(|output| output.when.is_none());
            outputs.map(move |output| output.name(layer))
        });
        let can_do_without = |name: &str| {
            name.ends_with(".bias") || DISPENSABLE.iter().any(|end| name.ends_with(end))
        };
        names.filter(move |name| !can_do_without(name))
    }
}

/// Puts a value at a path such as `a.b` into an object.
fn insert(into: &mut Map<String, Value>, path: &str, value: &Value) {
    match path.split_once('.') {
        Some((key, rest)) => {
            let inner = into.entry(key).or_insert_with(|| Map::new().into());
            if let Some(inner) = inner.as_object_mut() {
                insert(inner, rest, value);
            }
        }
        None => _ = into.insert(path.to_owned(), value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use granule_format::Array;

    use super::*;

    fn names(architecture: &str, keys: &[(&str, u32)], layers: &[u64]) -> Vec<String> {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", architecture);
        for (key, value) in keys {
            metadata.set(&format!("{architecture}.{key}"), *value);
        }
        let mut names = Vec::new();
        needed(&metadata, layers, &mut |name| names.push(name.to_owned()));
        names
    }

    #[test]
    fn what_llama_needs() {
        let model = ["token_embd.weight", "output_norm.weight"];
        let attention =
            ["norm", "q", "k", "v", "output"].map(|part| format!("blk.3.attn_{part}.weight"));
        let dense = ["norm", "gate", "up", "down"].map(|part| format!("blk.3.ffn_{part}.weight"));
        let experts = ["norm", "gate_inp", "up_exps", "down_exps"]
            .map(|part| format!("blk.3.ffn_{part}.weight"));
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let expected = |parts: &[&[String]]| {
            let model = model.map(str::to_owned);
            sorted(
                [&model[..], &attention]
                    .iter()
                    .chain(parts)
                    .flat_map(|part| part.to_vec())
                    .collect(),
            )
        };
        assert_eq!(sorted(names("llama", &[], &[3])), expected(&[&dense]));
        assert_eq!(sorted(names("llama", &[("expert_count", 4)], &[3])), expected(&[&experts]));
        assert_eq!(names("llama", &[], &[]).len(), 2);
        assert_eq!(names("unheard-of", &[], &[0]), [""; 0]);
    }

    #[test]
    fn layers_differ() {
        let keys = [("block_count", 2), ("expert_count", 8), ("leading_dense_block_count", 1)];
        let names = names("deepseek2", &keys, &[0, 1]);
        let has = |name: &str| names.iter().any(|other| other == name);
        assert!(has("blk.0.ffn_up.weight") && !has("blk.0.ffn_up_exps.weight"));
        assert!(!has("blk.1.ffn_up.weight") && has("blk.1.ffn_up_exps.weight"));
        // the metadata do not say whether there are any
        assert!(!has("blk.1.ffn_up_shexp.weight") && !has("blk.0.attn_q.weight"));
    }

    #[test]
    fn all_descriptions_must_agree() {
        let names = names("bert", &[], &[0]);
        assert!(names.contains(&"blk.0.attn_output_norm.weight".to_owned()));
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", "bert");
        for known in of_name("bert").map(|arch| Known::new(arch, &metadata)) {
            let own: HashSet<_> = known.needed(&known.judged(), Some(0)).collect();
            let missing =
                names.iter().find(|name| name.starts_with("blk.") && !own.contains(*name));
            assert_eq!(missing, None, "{:?}", known.arch.classes);
        }
    }

    #[test]
    fn odd_metadata_do_no_harm() {
        let mut metadata = Metadata::new();
        metadata.set("general.architecture", "llama");
        metadata.set("llama.block_count", Array::I32(vec![1, 2]));
        metadata.set("llama.expert_count", "many");
        let mut names = 0;
        needed(&metadata, &[0, u64::MAX], &mut |_| names += 1);
        assert!(names > 0);
    }
}
