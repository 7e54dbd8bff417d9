//! Checks that every name in a description is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::parts::Place;
use super::{Mistake, did_you_mean};
use crate::arch::mistake::nearest;
use crate::arch::{Arch, Expression, FILES, GROUPS, Item, Kind, PROJECTOR_GROUPS, PROJECTORS};
use granule_format::nearest::distance;

/// Numbers that the code reads, besides expressions.
const ASKED_FOR: &[&str] = &["layers", "mtp_layers", "blocks", "experts"];

/// A key or tensor name that differs from a known one by at most this many letters is suspicious.
const SLIP: usize = 2;

/// Shorter names are easily similar by chance.
const LONG_ENOUGH: usize = 8;

/// The names that a description uses and those that it knows, collected while it is read.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Keys of the config that it declares or that have a default.
    keys: BTreeSet<String>,
    /// Those that it declares: code may read them, besides expressions.
    declared: BTreeSet<String>,
    /// Numbers that it or another of its parts defines.
    numbers: BTreeSet<String>,
    /// Numbers that it defines itself.
    own: Vec<(Place, String)>,
    /// Keys that it gives a default or an alias.
    defaults: Vec<(Place, String)>,
    expressions: Vec<Seen>,
    /// Keys of the metadata that it writes, and those that programs need.
    written: Vec<(Place, String)>,
    needed: Vec<(Place, String)>,
    /// Tensors of the file, and those that rules compare theirs with.
    targets: Vec<(Place, String)>,
    twins: Vec<(Place, String)>,
}

/// An expression, and where it stands.
#[derive(Debug)]
struct Seen {
    place: Place,
    expression: Expression,
    /// The number that it defines. In its own definition, a number's name is that of a key.
    inside: Option<String>,
    /// What the expression may refer to.
    sight: Sight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// Only keys: the default of a key.
    Keys,
    /// Keys and numbers.
    Numbers,
    /// Keys, numbers and `layer`.
    Layer,
    /// Anything: what a number refers to depends on where it is used.
    Anything,
}

impl Names {
    /// A declared key of the config.
    pub(super) fn key(&mut self, key: &str) {
        self.keys.insert(key.to_owned());
        self.declared.insert(key.to_owned());
    }

    /// A key to which a table or a description that this one is like gives a default.
    pub(super) fn know(&mut self, key: &str) {
        self.keys.insert(key.to_owned());
    }

    /// A key with a default.
    pub(super) fn set_default(&mut self, place: Place, key: &str) {
        self.keys.insert(key.to_owned());
        self.defaults.push((place, key.to_owned()));
    }

    /// A number; `own` says whether the description itself defines it.
    pub(super) fn define(&mut self, place: Place, name: &str, own: bool) {
        self.numbers.insert(name.to_owned());
        if own {
            self.own.push((place, name.to_owned()));
        }
    }

    /// An expression; `layer` says whether it is about a layer.
    pub(super) fn see(&mut self, place: Place, expression: &Expression, layer: bool) {
        let sight = if layer { Sight::Layer } else { Sight::Numbers };
        self.add(place, expression, None, sight);
    }

    /// The definition of a number.
    pub(super) fn see_inside(&mut self, place: Place, expression: &Expression, name: &str) {
        self.add(place, expression, Some(name.to_owned()), Sight::Anything);
    }

    /// A default.
    pub(super) fn see_default(&mut self, place: Place, expression: &Expression) {
        self.add(place, expression, None, Sight::Keys);
    }

    fn add(&mut self, place: Place, expression: &Expression, inside: Option<String>, sight: Sight) {
        self.expressions.push(Seen { place, expression: expression.clone(), inside, sight });
    }

    /// A key of the metadata that is written.
    pub(super) fn write(&mut self, place: Place, key: &str) {
        self.written.push((place, key.to_owned()));
    }

    /// The keys that an item writes.
    pub(super) fn write_item(&mut self, item: &Item) {
        let nowhere = || Place { line: None, origin: Some(String::new()) };
        for key in item.keys() {
            self.write(nowhere(), key);
        }
    }

    /// A key of the metadata without which programs do not load the file.
    pub(super) fn needs(&mut self, place: Place, key: &str) {
        self.needed.push((place, key.to_owned()));
    }

    /// A tensor of the file.
    pub(super) fn target(&mut self, place: Place, name: &str) {
        self.targets.push((place, name.to_owned()));
    }

    /// A tensor of the file that another is compared with.
    pub(super) fn twin(&mut self, place: Place, name: &str) {
        self.twins.push((place, name.to_owned()));
    }

    /// Reports unknown names, and definitions that nothing uses.
    pub(super) fn check(&self, arch: &Arch, to: &mut Vec<Mistake>) {
        for seen in &self.expressions {
            self.check_expression(seen, arch, to);
        }
        self.check_definitions(arch, to);
        self.check_use(to);
        for (place, twin) in &self.twins {
            let known = || self.targets.iter().map(|(_, name)| name.as_str());
            if !known().any(|name| name == twin) {
                let suggestion = did_you_mean(twin, known());
                to.push(place.error(format!("no rule makes the tensor {twin:?}{suggestion}")));
            }
        }
        for (place, key) in &self.needed {
            let known = || self.written.iter().map(|(_, key)| key.as_str());
            if !known().any(|name| name == key) {
                let suggestion = did_you_mean(key, known());
                to.push(place.warning(format!(
                    "no entry of the metadata writes {key:?}, without which llama.cpp does not \
                     load a file{suggestion}"
                )));
            }
        }
    }

    /// Reports keys and tensors that are probably misspelt.
    pub(super) fn check_spelling(&self, arch: &Arch, to: &mut Vec<Mistake>) {
        let known = match arch.kind {
            Kind::Model => &KNOWN,
            Kind::Projector => &KNOWN_OF_PROJECTORS,
        };
        let slips =
            [("key", &self.written, &known.keys), ("tensor name", &self.targets, &known.tensors)];
        for (what, names, known) in slips {
            for (place, name) in names.iter().filter(|(place, _)| place.origin.is_none()) {
                if let Some(near) = slip(name, known) {
                    to.push(place.warning(format!(
                        "no built-in architecture has the {what} {name:?}; did you mean {near:?}?"
                    )));
                }
            }
        }
    }

    fn check_expression(&self, seen: &Seen, arch: &Arch, to: &mut Vec<Mistake>) {
        let Seen { place, expression, inside, sight } = seen;
        for name in expression.names() {
            let key = self.keys.contains(name)
                || name.strip_prefix("raw.").is_some_and(|key| self.keys.contains(key));
            let number = *sight != Sight::Keys
                && inside.as_deref() != Some(name)
                && self.numbers.contains(name);
            if key || number || name == "layer" {
                continue;
            }
            let keys =
                self.keys.iter().chain(self.numbers.iter().filter(|_| *sight != Sight::Keys));
            let known = keys.map(String::as_str).chain(["layer"]);
            let suggestion = match name.strip_prefix("raw.") {
                Some(key) => nearest(key, known).map(|key| format!("raw.{key}")),
                None => nearest(name, known).map(str::to_owned),
            };
            let advice = match suggestion {
                Some(known) => format!("; did you mean {known:?}?"),
                None => ": it is no number of the description and no key in \"keys\" or a default"
                    .to_owned(),
            };
            to.push(place.error(format!(
                "expression {:?}: the name {name:?} is unknown{advice}",
                expression.to_string()
            )));
        }
        if expression.misuses_or(&arch.numbers) {
            to.push(place.error(format!(
                "expression {:?}: \"or\" needs operands that are true or false; to replace null, \
                 write \"??\"",
                expression.to_string()
            )));
        }
        if *sight == Sight::Numbers && expression.asks_for_layer(&arch.numbers) {
            to.push(place.error(format!(
                "expression {:?} needs the number of a layer, and there is none here",
                expression.to_string()
            )));
        }
        // What this description is like looks for its own classes.
        for class in expression.classes().into_iter().filter(|_| place.origin.is_none()) {
            if !arch.classes.iter().any(|known| known == class) {
                let suggestion = did_you_mean(class, arch.classes.iter().map(String::as_str));
                to.push(place.error(format!("{class:?} is none of \"classes\"{suggestion}")));
            }
        }
    }

    /// Reports numbers that refer to themselves.
    fn check_definitions(&self, arch: &Arch, to: &mut Vec<Mistake>) {
        for seen in &self.expressions {
            let Some(name) = &seen.inside else { continue };
            let text = seen.expression.to_string();
            if arch.numbers.iter().any(|(key, it)| key == name && it.to_string() != text) {
                continue; // replaced
            }
            if let Some(way) = seen.expression.way_back_to(name, &arch.numbers) {
                let way = way.join(" -> ");
                to.push(
                    seen.place.error(format!("{name:?} is defined by itself: {name} -> {way}")),
                );
            }
        }
    }

    /// Reports unused definitions: such a name is misspelt, either here or where it is used.
    fn check_use(&self, to: &mut Vec<Mistake>) {
        let mut used: BTreeMap<&str, bool> = BTreeMap::new();
        for seen in &self.expressions {
            for name in seen.expression.names() {
                let own = seen.inside.as_deref() == Some(name);
                *used.entry(name.strip_prefix("raw.").unwrap_or(name)).or_default() |= !own;
            }
        }
        let candidates = || used.keys().copied().chain(self.numbers.iter().map(String::as_str));
        for (place, name) in &self.own {
            let is_used = used.get(name.as_str()) == Some(&true);
            if !is_used && !ASKED_FOR.contains(&name.as_str()) {
                let others = candidates().filter(|other| other != name);
                let suggestion = did_you_mean(name, others);
                to.push(place.error(format!("nothing uses the number {name:?}{suggestion}")));
            }
        }
        for (place, key) in &self.defaults {
            if !used.contains_key(key.as_str()) && !self.declared.contains(key) {
                let declared = self.declared.iter().map(String::as_str);
                let suggestion = did_you_mean(key, candidates().chain(declared));
                to.push(place.warning(format!("nothing uses the default {key:?}{suggestion}")));
            }
        }
    }
}

/// The keys and tensors that built-in descriptions write.
static KNOWN: LazyLock<Known> = LazyLock::new(|| Known::of(FILES, GROUPS));

static KNOWN_OF_PROJECTORS: LazyLock<Known> =
    LazyLock::new(|| Known::of(PROJECTORS, PROJECTOR_GROUPS));

#[derive(Debug, Default)]
struct Known {
    keys: BTreeSet<String>,
    tensors: BTreeSet<String>,
}

impl Known {
    fn of(files: &[(&str, &str)], groups: &[(&str, &str)]) -> Self {
        let mut known = Self::default();
        for (_, text) in files.iter().chain(groups) {
            known.take(text);
        }
        known
    }

    /// Collects the keys and targets in the text of a description without mistakes.
    fn take(&mut self, text: &str) {
        let Ok(file) = toml::from_str::<toml::Table>(text) else { return };
        self.walk(&toml::Value::Table(file), "");
    }

    fn walk(&mut self, value: &toml::Value, section: &str) {
        match value {
            toml::Value::Table(table) => {
                for (name, value) in table {
                    let text = value.as_str();
                    match (name.as_str(), text) {
                        ("key", Some(key)) => drop(self.keys.insert(key.to_owned())),
                        ("to", Some(to)) => drop(self.tensors.insert(format!("{section}{to}"))),
                        _ => {}
                    }
                    let section = match name.split_once("->") {
                        Some((_, to)) => format!("{section}{}", to.trim()),
                        None => section.to_owned(),
                    };
                    if name.contains("->") && !section.ends_with('.') {
                        self.tensors.insert(section.replace(".weight", ".bias"));
                        self.tensors.insert(section.clone());
                    }
                    self.walk(value, &section);
                }
            }
            toml::Value::Array(items) => items.iter().for_each(|item| self.walk(item, section)),
            _ => {}
        }
    }
}

/// The known name that an unknown one was probably meant to be.
fn slip<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    if known.contains(name) || name.len() < LONG_ENOUGH {
        return None;
    }
    // `attn_norm_2` is no slip of `attn_norm`.
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    let near = known.iter().filter(|other| digits(name) == digits(other));
    // `v.` and `a.` are encoders of images and of sound.
    let part = name.find('.').filter(|end| *end == 1).map(|_| &name[..2]);
    let near = near.filter(|other| part.is_none_or(|part| other.starts_with(part)));
    let near = near.filter(|other| distance(name, other) <= SLIP);
    near.min_by_key(|other| distance(name, other)).map(String::as_str)
}
