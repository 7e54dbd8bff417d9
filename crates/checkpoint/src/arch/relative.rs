//! The built-in architecture that a checkpoint of an unknown class resembles most.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Arch, Kind, built_in};

/// How many names a message lists.
const LISTED: usize = 3;

/// How many descriptions are tried.
const TRIED: usize = 16;

/// A built-in architecture that resembles a checkpoint by the names of its tensors.
///
/// Tensors that differ only in the numbers in their names count as one kind.
#[derive(Debug)]
pub(crate) struct Relative {
    /// The name of its description.
    name: &'static str,
    arch: Arc<Arch>,
    /// The number of kinds of tensors in the checkpoint.
    kinds: usize,
    /// The kinds for which it has no rule.
    unknown: Vec<String>,
    /// Tensors that it always needs and the checkpoint lacks, as rules name them.
    lacking: Vec<String>,
}

/// Finds the architecture that knows most of the tensors with these names. Of equals, it is the one
/// that needs least besides; of these, the first that `works`: models of text alone come first, of
/// them those with most classes, then those that the library knows. `None` if none knows half of
/// the tensors.
pub(crate) fn relative<'a>(
    names: impl Iterator<Item = &'a str>,
    works: impl Fn(&str) -> bool,
) -> Option<Relative> {
    let kinds: BTreeMap<String, &str> = names.map(|name| (kind(name), name)).collect();
    let mut all: Vec<_> =
        built_in::named().map(|(name, arch)| compare(name, arch, &kinds)).collect();
    all.sort_by_key(|it| {
        let classes = std::cmp::Reverse(it.arch.classes.len());
        (it.distance(), it.has_projector(), classes, it.arch.defaults.is_empty())
    });
    let least = all.first()?.distance();
    let equals = all.iter().take_while(|it| it.distance() == least).take(TRIED);
    // what has no rule for a tensor cannot work
    let best = if least == (0, 0) { equals.map(|it| it.name).position(works) } else { None };
    let best = all.swap_remove(best.unwrap_or(0));
    (2 * best.unknown.len() < best.kinds).then_some(best)
}

fn compare(name: &'static str, arch: &Arc<Arch>, kinds: &BTreeMap<String, &str>) -> Relative {
    let fits = |name: &str| {
        let mut patterns = arch.tensors.iter().flat_map(|rule| &rule.sources);
        patterns.any(|pattern| pattern.fit(name).is_some())
            || arch.left_out.iter().any(|it| it.beyond.is_none() && it.fits(name, None))
    };
    let known = |name: &str| {
        let name = arch.rule_name(name);
        if fits(&name) {
            return Some(name);
        }
        arch.prefixed(&name).filter(|prefixed| fits(prefixed))
    };
    let mut unknown = Vec::new();
    let mut found = Vec::new();
    for (kind, name) in kinds {
        match known(name) {
            Some(name) => found.push(name),
            None => unknown.push(kind.clone()),
        }
    }
    let always = arch.tensors.iter().filter(|rule| {
        let needed = rule.needed.to_string() == "true" && rule.when.is_none();
        needed && !rule.advised && !rule.spare
    });
    let lacking = always
        .flat_map(|rule| &rule.sources)
        .filter(|pattern| !found.iter().any(|name| pattern.fit(name).is_some()));
    let lacking = lacking.map(|pattern| pattern.text().to_owned()).collect();
    Relative { name, arch: arch.clone(), kinds: kinds.len(), unknown, lacking }
}

impl Relative {
    /// How far it is: kinds of tensors that only one side has, and those that it does not know.
    fn distance(&self) -> (usize, usize) {
        (self.unknown.len() + self.lacking.len(), self.unknown.len())
    }

    /// Whether models of its first class take images or sound, too.
    fn has_projector(&self) -> bool {
        let class = self.arch.classes.first();
        class.is_some_and(|class| built_in::mentioning(Kind::Projector, class).next().is_some())
    }
}

/// A name with its numbers replaced: `model.layers.3.norm.weight` is `model.layers.N.norm.weight`.
fn kind(name: &str) -> String {
    let number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let words = name.split('.').map(|word| if number(word) { "N" } else { word });
    words.collect::<Vec<_>>().join(".")
}

impl std::fmt::Display for Relative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, arch, kinds, unknown, lacking } = self;
        write!(f, "it looks like {name}")?;
        if let Some(class) = arch.classes.first() {
            write!(f, " ({class})")?;
        }
        if unknown.is_empty() && lacking.is_empty() {
            write!(f, ", whose tensors have the same names")?;
        }
        if !unknown.is_empty() {
            let known = kinds - unknown.len();
            write!(f, ", which has {known} of its {kinds} kinds of tensors, but not ")?;
            f.write_str(&listed(unknown))?;
        }
        if !lacking.is_empty() {
            write!(f, "; it lacks {}", listed(lacking))?;
        }
        write!(f, ": `--arch {name}` tries that description")
    }
}

/// The first of some names, and how many follow.
fn listed(names: &[String]) -> String {
    let first = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the tensors of a Llama with one layer.
    const LLAMA: &[&str] = &[
        "model.embed_tokens.weight",
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.mlp.down_proj.weight",
        "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.mlp.up_proj.weight",
        "model.layers.0.post_attention_layernorm.weight",
        "model.layers.0.self_attn.k_proj.weight",
        "model.layers.0.self_attn.o_proj.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.v_proj.weight",
        "model.norm.weight",
        "lm_head.weight",
    ];

    fn said(names: &[&str]) -> Option<String> {
        relative(names.iter().copied(), |_| true).map(|relative| relative.to_string())
    }

    #[test]
    fn a_relative_is_named_with_the_differences() {
        let same = said(LLAMA).unwrap();
        assert!(same.contains("whose tensors have the same names"), "{same}");
        let mut more = LLAMA.to_vec();
        more.extend(["model.layers.0.self_attn.gate.weight", "model.layers.0.mlp.extra.weight"]);
        let more = said(&more).unwrap();
        assert!(
            more.contains(
                "12 of its 14 kinds of tensors, but not model.layers.N.mlp.extra.weight, \
                 model.layers.N.self_attn.gate.weight: `--arch "
            ),
            "{more}"
        );
        assert!(more.starts_with("it looks like llama ("), "{more}");
        let fewer = said(&LLAMA[1..]).unwrap();
        assert!(fewer.contains("; it lacks model.embed_tokens.weight"), "{fewer}");
    }

    #[test]
    fn of_equals_the_first_that_works_is_named() {
        let among = |works: fn(&str) -> bool| {
            relative(LLAMA.iter().copied(), works).map(|relative| relative.name)
        };
        assert_eq!(among(|_| true), Some("llama"));
        assert_eq!(among(|_| false), Some("llama"));
        let other = among(|name| name != "llama");
        assert!(other.is_some_and(|name| name != "llama"), "{other:?}");
    }

    #[test]
    fn strangers_have_no_relative() {
        assert_eq!(said(&["conv_in.weight", "down_blocks.0.resnets.1.conv1.weight"]), None);
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..5).map(|i| format!("n{i}")).collect();
        assert_eq!(listed(&names), "n0, n1, n2 and 2 more");
        assert_eq!(listed(&names[..2]), "n0, n1");
    }
}
