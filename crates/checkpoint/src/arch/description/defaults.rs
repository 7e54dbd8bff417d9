//! What the classes of a description fill in: tables that are made from their library, and what the
//! description says itself.

use std::sync::LazyLock;

use toml::Spanned;

use super::parts::Part;
use super::text::{DefaultsText, Pairs};
use super::{Reading, did_you_mean};
use crate::arch::mistake::nearest;
use crate::arch::{DEFAULTS, Kind, ModelType, PROJECTOR_DEFAULTS};

static GENERATED: LazyLock<DefaultsText> = LazyLock::new(|| parse(DEFAULTS));

static GENERATED_OF_PROJECTORS: LazyLock<DefaultsText> =
    LazyLock::new(|| parse(PROJECTOR_DEFAULTS));

fn parse((name, text): (&str, &str)) -> DefaultsText {
    toml::from_str(text).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// The tables for descriptions of a kind.
fn generated(kind: Kind) -> &'static DefaultsText {
    match kind {
        Kind::Model => &GENERATED,
        Kind::Projector => &GENERATED_OF_PROJECTORS,
    }
}

impl Reading {
    /// The defaults of all model types that the file names.
    pub(super) fn defaults(&mut self, file: &Part<'_>) -> Vec<ModelType> {
        let text = file.text;
        let generated = generated(self.kind);
        for ty in &text.model_types {
            let (place, ty) = (file.place(&ty.span()), ty.get_ref());
            if table(&generated.defaults, ty).is_none() {
                let known = generated.defaults.0.iter().map(|(ty, _)| ty.get_ref().as_str());
                let advice = match nearest(ty, known) {
                    Some(known) => format!("did you mean {known:?}?"),
                    None => format!("write them under [defaults.{ty}], without \"model-types\""),
                };
                self.mistakes.push(place.error(format!(
                    "no defaults are built in for the model type {ty:?}; {advice}"
                )));
            }
        }
        let mut types: Vec<&str> = text.model_types.iter().map(|ty| &**ty.get_ref()).collect();
        for (ty, _) in &text.defaults.0 {
            if !types.contains(&&**ty.get_ref()) {
                types.push(ty.get_ref());
            }
        }
        for (ty, _) in &text.aliases.0 {
            if !types.contains(&&**ty.get_ref()) {
                let suggestion = did_you_mean(ty.get_ref(), types.iter().copied());
                let message =
                    format!("aliases of {:?}, which has no defaults{suggestion}", ty.get_ref());
                self.mistakes.push(file.place(&ty.span()).error(message));
            }
        }
        self.know_defaults(file);
        types.into_iter().map(|ty| model_type(file, ty)).collect()
    }

    /// Take note of the keys that have defaults or other names, and look at what is in them.
    pub(super) fn know_defaults(&mut self, part: &Part<'_>) {
        let text = part.text;
        for ty in &text.model_types {
            let DefaultsText { defaults, aliases } = generated(self.kind);
            for (key, _) in table(defaults, ty.get_ref()).into_iter().flatten() {
                self.names.know(key.get_ref());
            }
            for (_, key) in table(aliases, ty.get_ref()).into_iter().flatten() {
                self.names.know(key.get_ref());
            }
        }
        let values = text.defaults.0.iter().flat_map(|(_, values)| &values.0);
        let keys = values.clone().map(|(key, _)| key);
        let aliased = text.aliases.0.iter().flat_map(|(_, pairs)| &pairs.0).map(|(_, key)| key);
        for key in keys.chain(aliased) {
            match part.is_file() {
                true => self.names.set_default(part.place(&key.span()), key.get_ref()),
                false => self.names.know(key.get_ref()),
            }
        }
        for (_, value) in values.filter(|_| part.is_file()) {
            self.names.see_default(part.place(&value.span()), value.get_ref());
        }
    }
}

/// The defaults of a model type: those of the library, then what the file says instead.
fn model_type(file: &Part<'_>, ty: &str) -> ModelType {
    let text = file.text;
    let is_generated = text.model_types.iter().any(|known| known.get_ref() == ty);
    let DefaultsText { defaults, aliases } = generated(text.kind);
    ModelType {
        name: ty.to_owned(),
        aliases: merged(table(aliases, ty).filter(|_| is_generated), table(&text.aliases, ty)),
        values: merged(table(defaults, ty).filter(|_| is_generated), table(&text.defaults, ty)),
    }
}

type Table<'a, T> = &'a [(Spanned<String>, Spanned<T>)];

/// The pairs of both tables; those of the second replace others with their keys, and come last.
fn merged<T: Clone>(one: Option<Table<'_, T>>, other: Option<Table<'_, T>>) -> Vec<(String, T)> {
    let mut pairs: Vec<(String, T)> = Vec::new();
    for (key, value) in one.into_iter().chain(other).flatten() {
        pairs.retain(|(known, _)| known != key.get_ref());
        pairs.push((key.get_ref().clone(), value.get_ref().clone()));
    }
    pairs
}

/// The table of a model type.
fn table<'a, T>(tables: &'a Pairs<Pairs<Spanned<T>>>, ty: &str) -> Option<Table<'a, T>> {
    let found = tables.0.iter().find(|(name, _)| name.get_ref() == ty);
    found.map(|(_, pairs)| &pairs.0[..])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;
    use crate::arch::{Arch, all, projectors};

    #[test]
    fn every_generated_table_has_a_use_and_names_only_its_own_keys() {
        every_table_has_a_use(&GENERATED, all());
        every_table_has_a_use(&GENERATED_OF_PROJECTORS, projectors());
    }

    fn every_table_has_a_use(generated: &DefaultsText, archs: &[Arc<Arch>]) {
        let used = archs.iter().flat_map(|arch| &arch.defaults);
        let used: HashSet<_> = used.map(|ty| ty.name.as_str()).collect();
        for (ty, values) in &generated.defaults.0 {
            assert!(used.contains(ty.get_ref().as_str()), "{ty:?}: no description has it");
            let keys: HashSet<_> = values.0.iter().map(|(key, _)| key.get_ref().as_str()).collect();
            for (key, value) in &values.0 {
                let mut names = value.get_ref().names().into_iter();
                assert!(names.all(|name| keys.contains(name)), "{ty:?}: {key:?}");
            }
        }
        for (ty, _) in &generated.aliases.0 {
            assert!(table(&generated.defaults, ty.get_ref()).is_some(), "{ty:?}");
        }
    }
}
