//! Reads the description of an architecture; `spec/architectures.md` documents the form.
//!
//! Every name in a description must be known. A typing mistake is then an error with its line, not
//! a key that is missing from a file.

mod change;
mod defaults;
mod names;
mod parts;
mod rules;
mod text;

use std::path::Path;

use regex::Regex;
use toml::Spanned;

use super::mistake::{Mistake, Severity, did_you_mean};
use super::{Arch, Computed, Doubt, Entry, EntryKind, Folded, Item, Kind, LeftOut, Module, Rename};
use crate::Error;
use crate::Problem;
use names::Names;
use parts::{Part, Parts, groups_of, line_of};
use text::{
    ComputedText, DoubtText, EntryText, FoldedText, ItemText, LeftOutTable, LeftOutText,
    ModuleText, Text,
};

/// Items of the metadata that are not groups.
const ITEMS: &[(&str, Item)] = &[
    ("rope-scaling", Item::RopeScaling),
    ("rope-bases", Item::RopeBases),
    ("pooling", Item::Pooling),
    ("file-type", Item::FileType),
];

/// The architecture of all projectors.
const PROJECTORS: &str = "clip";

impl Arch {
    /// Reads a description from a file.
    ///
    /// # Errors
    /// If the file cannot be read, or has mistakes; the error names their lines.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = granule_reader::file::read_to_string(path).map_err(Error::io(path))?;
        let arch = parse(&text);
        arch.map_err(|mistakes| Error::in_file(path, Problem::Description(mistakes)))
    }

    /// All mistakes in the description in a file, in the order of their lines.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn check(path: &Path) -> Result<Vec<Mistake>, Error> {
        let text = granule_reader::file::read_to_string(path).map_err(Error::io(path))?;
        Ok(read(&text, true).1)
    }
}

/// Parses a description.
///
/// # Errors
/// All mistakes for which it is rejected.
pub(super) fn parse(text: &str) -> Result<Arch, Vec<Mistake>> {
    let (arch, mut mistakes) = read(text, false);
    mistakes.retain(|mistake| mistake.severity == Severity::Error);
    arch.ok_or(mistakes)
}

/// Parses a description: the result unless it is rejected, and all mistakes in the order of their
/// lines. `spelling` says whether to compare its names with those of all other descriptions.
pub(super) fn read(text: &str, spelling: bool) -> (Option<Arch>, Vec<Mistake>) {
    let file: Text = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => return (None, vec![syntax(text, &error)]),
    };
    let names = Names::default();
    let mut reading = Reading { kind: file.kind, mistakes: Vec::new(), names };
    let arch = reading.whole(&file, text);
    let Reading { mut mistakes, names, .. } = reading;
    names.check(&arch, &mut mistakes);
    if spelling {
        names.check_spelling(&arch, &mut mistakes);
    }
    mistakes.sort_by_key(|mistake| mistake.line);
    mistakes.dedup();
    let refused = mistakes.iter().any(|mistake| mistake.severity == Severity::Error);
    ((!refused).then_some(arch), mistakes)
}

/// A mistake that TOML or the types of the values reject.
fn syntax(text: &str, error: &toml::de::Error) -> Mistake {
    let line = error.span().map(|span| line_of(text, span.start));
    let message = error.message();
    // The message lists what is known: "unknown field `chnge`, expected one of `change`, .."
    let mut quoted = message.split('`').skip(1).step_by(2);
    let suggestion = match quoted.next() {
        Some(unknown) if message.starts_with("unknown ") => did_you_mean(unknown, quoted),
        _ => String::new(),
    };
    Mistake::error(line, format!("{message}{suggestion}"))
}

/// The state of reading a description.
struct Reading {
    kind: Kind,
    mistakes: Vec<Mistake>,
    names: Names,
}

impl Reading {
    fn whole(&mut self, text: &Text, source: &str) -> Arch {
        let parts = self.parts(text, source);
        let file = Part::file(text, source);
        let of_kind = || match text.kind {
            Kind::Model => String::new(),
            Kind::Projector => PROJECTORS.to_owned(),
        };
        // What comes nearest to the file decides.
        let nearest = || parts.iter().rev().map(|part| part.description.text);
        let mut arch = Arch {
            models: text.models.clone().unwrap_or_default(),
            name: nearest().find_map(|text| text.name.clone()).unwrap_or_else(of_kind),
            kind: text.kind,
            classes: text.classes.iter().map(|class| class.get_ref().clone()).collect(),
            headless: text.headless.iter().map(|class| class.get_ref().clone()).collect(),
            outermost: text.outermost.iter().map(|class| class.get_ref().clone()).collect(),
            optional_prefix: None,
            when: text.when.as_ref().map(|when| when.get_ref().clone()),
            requires: Vec::new(),
            doubts: Vec::new(),
            raw_config: nearest().any(|text| text.raw_config),
            stored_types: nearest().any(|text| text.stored_types),
            mxfp4_experts: text.mxfp4_experts.as_ref().map(|experts| experts.get_ref().clone()),
            unnamed: text.unnamed.clone(),
            text_part: text.text_part.clone(),
            config: Vec::new(),
            defaults: self.defaults(&file),
            numbers: Vec::new(),
            early_metadata: Vec::new(),
            metadata: Vec::new(),
            late_metadata: Vec::new(),
            last_metadata: Vec::new(),
            loader_needs: Vec::new(),
            tensors: Vec::new(),
            later_names: Vec::new(),
            renames: Vec::new(),
            saved: Vec::new(),
            left_out: Vec::new(),
            only: Vec::new(),
            folded: Vec::new(),
            sharded: Vec::new(),
            parts: Vec::new(),
            computed: Vec::new(),
            modules: Vec::new(),
            rope_types: Vec::new(),
            tokenizers: nearest().find_map(|text| text.tokenizers.clone()).unwrap_or_default(),
            draft_of: text.draft_of.clone(),
            target: nearest().find_map(|text| text.target),
            quirks: nearest().find_map(|text| text.quirks.clone()).unwrap_or_default(),
        };
        for Parts { groups, description } in &parts {
            groups.iter().for_each(|group| self.take(group, &mut arch));
            self.take(description, &mut arch);
            let Text { early_metadata, metadata, late_metadata, last_metadata, .. } =
                description.text;
            arch.early_metadata.extend(self.items(description, early_metadata));
            arch.metadata.extend(self.items(description, metadata));
            arch.late_metadata.extend(self.items(description, late_metadata));
            arch.last_metadata.extend(self.items(description, last_metadata));
            if !description.is_file() {
                self.know_defaults(description);
            }
        }
        self.name_later_layers(&parts, &mut arch);
        for (empty, what) in [
            (arch.name.is_empty(), "name"),
            (arch.classes.is_empty(), "classes"),
            (arch.tokenizers.is_empty() && arch.kind == Kind::Model, "tokenizers"),
        ] {
            if empty {
                self.mistakes.push(Mistake::error(None, format!("{what:?} is missing")));
            }
        }
        for class in text.headless.iter().chain(&text.outermost) {
            if !arch.classes.contains(class.get_ref()) {
                let known = arch.classes.iter().map(String::as_str);
                let suggestion = did_you_mean(class.get_ref(), known);
                let message = format!("{:?} is none of \"classes\"{suggestion}", class.get_ref());
                self.mistakes.push(file.place(&class.span()).error(message));
            }
        }
        for condition in [&text.when, &text.mxfp4_experts].into_iter().flatten() {
            self.names.see(file.place(&condition.span()), condition.get_ref(), false);
        }
        arch
    }

    /// Adds what a part says; it replaces what earlier parts say about the same thing.
    fn take(&mut self, part: &Part<'_>, arch: &mut Arch) {
        let Text { keys, loader_needs, numbers, tensors, computed, requires, warnings, .. } =
            part.text;
        keys.iter().for_each(|key| self.names.key(key.get_ref()));
        for key in loader_needs {
            arch.loader_needs.push(key.get_ref().clone());
            self.names.needs(part.place(&key.span()), key.get_ref());
        }
        if let Some(prefix) = &part.text.optional_prefix {
            arch.optional_prefix = Some(prefix.clone()).filter(|prefix| !prefix.is_empty());
        }
        for (name, number) in &numbers.0 {
            let (name, place) = (name.get_ref(), part.place(&name.span()));
            self.names.define(place, name, part.is_file());
            self.names.see_inside(part.place(&number.span()), number.get_ref(), name);
            arch.numbers.retain(|(other, _)| other != name);
            arch.numbers.push((name.clone(), number.get_ref().clone()));
        }
        for (section, rules) in &tensors.0 {
            for (names, text) in &rules.0 {
                self.rules(part, section.get_ref(), names, &text.0, &mut arch.tensors);
            }
        }
        for (what, texts, to) in [
            ("rename", &part.text.rename, &mut arch.renames),
            ("saved", &part.text.saved, &mut arch.saved),
        ] {
            for (pattern, with) in &texts.0 {
                match rename(pattern.get_ref(), with.get_ref()) {
                    Ok(rename) => to.push(rename),
                    Err(why) => {
                        let place = part.place(&pattern.span());
                        self.mistakes.push(place.error(format!("{what}: {why}")));
                    }
                }
            }
        }
        for (texts, zeros) in [(&part.text.left_out, false), (&part.text.left_out_zeros, true)] {
            for text in texts {
                let LeftOutText(LeftOutTable { name, when }) = text.get_ref();
                let place = part.place(&text.span());
                if let Some(when) = when {
                    self.names.see(part.place(&when.span()), when.get_ref(), false);
                }
                let when = when.as_ref().map(|when| when.get_ref().clone());
                match LeftOut::new(name, when, zeros) {
                    Ok(left_out) => arch.left_out.push(left_out),
                    Err(why) => self.mistakes.push(place.error(why)),
                }
            }
        }
        for (texts, to) in
            [(&part.text.only, &mut arch.only), (&part.text.sharded, &mut arch.sharded)]
        {
            for text in texts {
                match LeftOut::new(text.get_ref(), None, false) {
                    Ok(names) => to.push(names),
                    Err(why) => self.mistakes.push(part.place(&text.span()).error(why)),
                }
            }
        }
        for (key, value) in &part.text.config.0 {
            let (key, place) = (key.get_ref(), part.place(&value.span()));
            self.names.key(key);
            self.names.see(place, value.get_ref(), false);
            arch.config.retain(|(other, _)| other != key);
            arch.config.push((key.clone(), value.get_ref().clone()));
        }
        for (tensor, FoldedText { layers, divisors, activation }) in &part.text.folded.0 {
            if let Some(activation) = activation {
                let place = part.place(&activation.span());
                self.names.see(place, activation.get_ref(), false);
            }
            let (tensor, layers) = (tensor.get_ref().clone(), layers.clone());
            let divisors = divisors.clone();
            let activation = activation.as_ref().map(|name| name.get_ref().clone());
            arch.folded.retain(|other| other.tensor != tensor);
            arch.folded.push(Folded { tensor, divisors, layers, activation });
        }
        for (name, path) in &part.text.parts.0 {
            let (name, path) = (name.get_ref(), path.get_ref());
            arch.parts.retain(|(other, _)| other != name);
            arch.parts.push((name.clone(), path.clone()));
        }
        for requirement in requires {
            self.names.see(part.place(&requirement.span()), requirement.get_ref(), false);
            arch.requires.push(requirement.get_ref().clone());
        }
        for DoubtText { when, text } in warnings {
            self.names.see(part.place(&when.span()), when.get_ref(), false);
            arch.doubts.push(Doubt { when: when.get_ref().clone(), text: text.clone() });
        }
        for (name, ComputedText { values, length, row, before }) in &computed.0 {
            let layered = name.get_ref().contains("{layer}");
            for expression in [Some(values), length.as_ref(), row.as_ref()].into_iter().flatten() {
                self.names.see(part.place(&expression.span()), expression.get_ref(), layered);
            }
            match before {
                Some(before) => self.names.twin(part.place(&before.span()), before.get_ref()),
                None if layered => {
                    let message = "what each layer has must stand \"before\" a tensor of the layer";
                    self.mistakes.push(part.place(&name.span()).error(message));
                }
                None => {}
            }
            arch.computed.retain(|other| other.name != *name.get_ref());
            arch.computed.push(Computed {
                name: name.get_ref().clone(),
                values: values.get_ref().clone(),
                length: length.as_ref().map(|length| length.get_ref().clone()),
                row: row.as_ref().map(|row| row.get_ref().clone()),
                before: before.as_ref().map(|before| before.get_ref().clone()),
            });
        }
        for (folder, text) in &part.text.modules.0 {
            let (folder, ModuleText { name, by_option }) = (folder.get_ref().clone(), text.clone());
            arch.modules.retain(|other| other.folder != folder);
            arch.modules.push(Module { folder, name, by_option });
        }
        arch.rope_types.extend(part.text.rope_types.iter().cloned());
    }

    /// The metadata, with groups replaced by their entries.
    fn items(&mut self, part: &Part<'_>, texts: &[Spanned<ItemText>]) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for text in texts {
            let place = part.place(&text.span());
            match text.get_ref() {
                ItemText::Entry(entry) => match self.entry(part, entry) {
                    Ok(entry) => items.push(Item::Entry(entry)),
                    Err(why) => self.mistakes.push(place.error(why)),
                },
                ItemText::Name(name) => {
                    if let Some((_, item)) = ITEMS.iter().find(|(known, _)| known == name) {
                        self.names.write_item(item);
                        items.push(item.clone());
                        continue;
                    }
                    let groups = groups_of(self.kind);
                    let group = groups.get_key_value(name);
                    let writes = |(_, (text, _)): &(_, &(Text, _))| !text.metadata.is_empty();
                    let Some((name, group)) = group.filter(writes) else {
                        let known = groups.iter().filter(writes);
                        let known = known.map(|(name, _)| name.as_str());
                        let known = known.chain(ITEMS.iter().map(|(name, _)| *name));
                        let suggestion = did_you_mean(name, known);
                        let message = format!("there are no metadata {name:?}{suggestion}");
                        self.mistakes.push(place.error(message));
                        continue;
                    };
                    let text = &group.0;
                    let group = Part::group(name, group, place.line);
                    text.keys.iter().for_each(|key| self.names.key(key.get_ref()));
                    items.extend(self.items(&group, &text.metadata));
                }
            }
        }
        items
    }

    fn entry(&mut self, part: &Part<'_>, text: &EntryText) -> Result<Entry, String> {
        let kinds = [
            (EntryKind::Integer, &text.u32),
            (EntryKind::Wide, &text.u64),
            (EntryKind::Float, &text.f32),
            (EntryKind::Bool, &text.bool),
            (EntryKind::Text, &text.string),
        ];
        let key = text.key.get_ref();
        let mut found = kinds.into_iter().filter_map(|(kind, value)| Some((kind, value.as_ref()?)));
        let (Some((kind, value)), None) = (found.next(), found.next()) else {
            return Err(format!("{key}: one of u32, u64, f32, bool, string says the value"));
        };
        self.names.see(part.place(&value.span()), value.get_ref(), false);
        self.names.write(part.place(&text.key.span()), key);
        Ok(Entry { key: key.clone(), kind, value: value.get_ref().clone() })
    }
}

/// Parses a replacement, in which every `$1` must be a group of the pattern.
fn rename(pattern: &str, with: &str) -> Result<Rename, String> {
    let pattern = Regex::new(pattern).map_err(|why| why.to_string())?;
    let groups = pattern.captures_len();
    for after in with.split('$').skip(1) {
        let end = after.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(after.len());
        let number = after[..end].parse::<usize>();
        // `$1a` would be a group named "1a", which stands for nothing.
        let alone = !after[end..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !number.is_ok_and(|number| number < groups && alone) {
            return Err(format!("{with:?}: ${after} stands for none of the {} groups", groups - 1));
        }
    }
    Ok(Rename { pattern, with: with.to_owned() })
}

#[cfg(test)]
mod tests;
