//! The parts that make up a description: the groups that it uses, what it is like, and itself.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use toml::Spanned;

use super::text::Text;
use super::{Mistake, Reading, did_you_mean};
use crate::arch::{FILES, GROUPS, Kind, PROJECTOR_GROUPS, PROJECTORS};

/// Groups by their names, each with the text that it comes from.
type Groups = HashMap<String, (Text, &'static str)>;

static GROUP_TEXTS: LazyLock<Groups> = LazyLock::new(|| parse_groups(GROUPS));

static PROJECTOR_GROUP_TEXTS: LazyLock<Groups> = LazyLock::new(|| parse_groups(PROJECTOR_GROUPS));

fn parse_groups(files: &[(&str, &'static str)]) -> Groups {
    let parse = |(name, source): &(&str, &'static str)| {
        let groups: HashMap<String, Text> =
            toml::from_str(source).unwrap_or_else(|why| panic!("{name}: {why}"));
        groups.into_iter().map(|(name, text)| (name, (text, *source))).collect::<Vec<_>>()
    };
    files.iter().flat_map(parse).collect()
}

/// The groups that descriptions of a kind can use.
pub(super) fn groups_of(kind: Kind) -> &'static Groups {
    match kind {
        Kind::Model => &GROUP_TEXTS,
        Kind::Projector => &PROJECTOR_GROUP_TEXTS,
    }
}

type Files = HashMap<&'static str, BuiltIn<'static>>;

/// The built-in descriptions by the names that `like` calls them.
static BUILT_IN: LazyLock<Files> = LazyLock::new(|| by_name(FILES));

static BUILT_IN_PROJECTORS: LazyLock<Files> = LazyLock::new(|| by_name(PROJECTORS));

fn by_name(files: &[(&'static str, &'static str)]) -> Files {
    let named = |(file, source): &(&'static str, &'static str)| {
        let name = file.strip_suffix(".toml").unwrap_or(file);
        (name, BuiltIn { source, text: OnceLock::new() })
    };
    files.iter().map(named).collect()
}

/// The group that every description uses.
const ALWAYS: &str = "always";

/// A built-in description, parsed only if another is like it.
struct BuiltIn<'a> {
    source: &'a str,
    text: OnceLock<Text>,
}

/// A description that another is like.
#[derive(Clone, Copy)]
struct Base<'a> {
    name: &'a str,
    text: &'a Text,
    source: &'a str,
}

/// A part of a description: the file itself, or what it takes over from elsewhere.
pub(super) struct Part<'a> {
    pub(super) text: &'a Text,
    /// What the places count in.
    pub(super) source: &'a str,
    /// `None` for the file itself.
    pub(super) origin: Option<Origin>,
}

/// Where a part is taken from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// What messages call it, such as `group "norms"`.
    pub(super) name: String,
    /// The line of the file that asks for it.
    pub(super) line: Option<usize>,
}

/// Where something stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) line: Option<usize>,
    /// What messages call the part, if it is not the file itself.
    pub(super) origin: Option<String>,
}

impl<'a> Part<'a> {
    pub(super) const fn file(text: &'a Text, source: &'a str) -> Self {
        Self { text, source, origin: None }
    }

    pub(super) fn group(name: &str, (text, source): &'a (Text, &str), line: Option<usize>) -> Self {
        let origin = Origin { name: format!("group {name:?}"), line };
        Self { text, source, origin: Some(origin) }
    }

    fn base(base: Base<'a>, line: Option<usize>) -> Self {
        let origin = Origin { name: format!("like {:?}", base.name), line };
        Self { text: base.text, source: base.source, origin: Some(origin) }
    }

    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        match &self.origin {
            Some(Origin { name, line }) => Place { line: *line, origin: Some(name.clone()) },
            None => Place { line: Some(line_of(self.source, span.start)), origin: None },
        }
    }

    pub(super) const fn is_file(&self) -> bool {
        self.origin.is_none()
    }
}

impl Place {
    pub(super) fn error(&self, message: impl std::fmt::Display) -> Mistake {
        Mistake::error(self.line, self.text(message))
    }

    pub(super) fn warning(&self, message: impl std::fmt::Display) -> Mistake {
        Mistake::warning(self.line, self.text(message))
    }

    fn text(&self, message: impl std::fmt::Display) -> String {
        match &self.origin {
            Some(origin) => format!("{origin}: {message}"),
            None => message.to_string(),
        }
    }
}

/// The line of a place in a text.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// The parts of a description and its groups; what comes later replaces what comes before.
pub(super) struct Parts<'a> {
    pub(super) groups: Vec<Part<'a>>,
    /// The description, or one that it is like.
    pub(super) description: Part<'a>,
}

impl Reading {
    /// What a description consists of: first the descriptions that it is like, the farthest in
    /// front, then itself.
    pub(super) fn parts<'a>(&mut self, text: &'a Text, source: &'a str) -> Vec<Parts<'a>> {
        let file = Part::file(text, source);
        let mut bases = Vec::new();
        if let Some(like) = &text.like {
            let place = file.place(&like.span());
            let built_in = match self.kind {
                Kind::Model => &BUILT_IN,
                Kind::Projector => &BUILT_IN_PROJECTORS,
            };
            match bases_of(like.get_ref(), built_in) {
                Ok(found) => {
                    bases.extend(found.into_iter().map(|base| Part::base(base, place.line)));
                }
                Err(why) => self.mistakes.push(place.error(why)),
            }
        }
        let mut parts = Vec::new();
        for description in bases.into_iter().chain([file]) {
            let names = &description.text.groups;
            let groups = names.iter().filter_map(|name| self.group(&description, name)).collect();
            parts.push(Parts { groups, description });
        }
        let always = &groups_of(self.kind)[ALWAYS];
        parts[0].groups.insert(0, Part::group(ALWAYS, always, None));
        parts
    }

    /// The group of this name; its rules and numbers are used.
    fn group(&mut self, part: &Part<'_>, name: &Spanned<String>) -> Option<Part<'static>> {
        // A group with metadata alone would add nothing.
        let adds = |text: &Text| {
            !(text.numbers.0.is_empty()
                && text.tensors.0.is_empty()
                && text.computed.0.is_empty()
                && text.rename.0.is_empty())
        };
        let place = part.place(&name.span());
        let groups = groups_of(self.kind);
        let found = groups.get_key_value(name.get_ref());
        if let Some((name, group)) = found.filter(|(_, (text, _))| adds(text)) {
            return Some(Part::group(name, group, place.line));
        }
        let message = match found {
            Some((name, _)) => format!("the group {name:?} is one of metadata: name it there"),
            None => {
                let known =
                    groups.iter().filter(|(_, (text, _))| adds(text)).map(|(name, _)| &**name);
                let suggestion = did_you_mean(name.get_ref(), known);
                format!("there is no group {:?} to use{suggestion}", name.get_ref())
            }
        };
        self.mistakes.push(place.error(message));
        None
    }
}

/// The descriptions that something like `name` is like, the farthest first.
fn bases_of<'a>(
    name: &str,
    known: &'a HashMap<&'a str, BuiltIn<'a>>,
) -> Result<Vec<Base<'a>>, String> {
    let mut bases: Vec<Base<'_>> = Vec::new();
    let mut next = Some(name);
    while let Some(name) = next {
        let Some((name, built_in)) = known.get_key_value(name) else {
            let suggestion = did_you_mean(name, known.keys().copied());
            return Err(format!("there is no built-in description {name:?}{suggestion}"));
        };
        let source = built_in.source;
        let parse = || toml::from_str(source).unwrap_or_else(|why| panic!("{name}: {why}"));
        let text = built_in.text.get_or_init(parse);
        let seen = bases.iter().any(|base| base.name == *name);
        bases.push(Base { name, text, source });
        if seen {
            let way: Vec<_> = bases.iter().map(|base| base.name).collect();
            return Err(format!("{name:?} is like itself: {}", way.join(" -> ")));
        }
        next = text.like.as_ref().map(|like| like.get_ref().as_str());
    }
    bases.reverse();
    Ok(bases)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bases of something like `name`, among descriptions that are like others.
    fn bases(name: &str, like: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let source = |like: &str| match like {
            "" => String::new(),
            _ => format!("like = {like:?}"),
        };
        let sources: Vec<_> = like.iter().map(|(name, like)| (*name, source(like))).collect();
        let built_in = |source| BuiltIn { source, text: OnceLock::new() };
        let known = sources.iter().map(|(name, source)| (*name, built_in(source.as_str())));
        let known: HashMap<_, _> = known.collect();
        let found = bases_of(name, &known)?;
        Ok(found.into_iter().map(|base| base.name.to_owned()).collect())
    }

    #[test]
    fn what_is_like_another_is_like_all_that_this_is_like() {
        let known = [("one", ""), ("two", "one"), ("three", "two")];
        assert_eq!(bases("three", &known).unwrap(), ["one", "two", "three"]);
        let error = bases("there", &known).unwrap_err();
        assert!(error.contains("\"there\"; did you mean \"three\"?"), "{error}");
    }

    #[test]
    fn nothing_is_like_itself() {
        let known = [("one", "two"), ("two", "three"), ("three", "two")];
        let error = bases("one", &known).unwrap_err();
        assert_eq!(error, "\"two\" is like itself: one -> two -> three -> two");
        assert!(bases("x", &[("x", "x")]).is_err());
    }
}
