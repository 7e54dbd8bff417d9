//! The architectures that are built in.

use std::sync::{Arc, LazyLock, OnceLock};

use super::mistake::did_you_mean;
use super::{Arch, FILES, description};
use crate::Problem;

/// The architectures in the order of the table, each read when it is first asked for: a conversion
/// needs few of them.
static BUILT_IN: LazyLock<Vec<OnceLock<Arc<Arch>>>> =
    LazyLock::new(|| FILES.iter().map(|_| OnceLock::new()).collect());

/// All architectures that are built in.
pub fn all() -> &'static [Arc<Arch>] {
    static ALL: LazyLock<Vec<Arc<Arch>>> =
        LazyLock::new(|| (0..FILES.len()).map(|index| get(index).clone()).collect());
    &ALL
}

fn get(index: usize) -> &'static Arc<Arch> {
    let (name, text) = FILES[index];
    BUILT_IN[index].get_or_init(|| {
        Arc::new(description::parse(text).unwrap_or_else(|why| panic!("{name}: {why:?}")))
    })
}

/// The architectures whose descriptions contain this word, such as the name of a class: the others
/// have nothing to do with it.
pub(super) fn mentioning<'a>(word: &str) -> impl Iterator<Item = &'a Arc<Arch>> + use<'a> {
    let word = word.to_owned();
    let indices = FILES.iter().enumerate().filter(move |(_, (_, text))| mentions(text, &word));
    indices.map(|(index, _)| get(index))
}

fn mentions(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            !text[..at].ends_with(inside) && !text[at + word.len()..].starts_with(inside)
        })
}

/// The built-in architectures with the names of their descriptions.
pub(super) fn named() -> impl Iterator<Item = (&'static str, &'static Arc<Arch>)> {
    let names = FILES.iter().map(|(file, _)| file.strip_suffix(".toml").unwrap_or(file));
    names.zip(all())
}

/// Returns the built-in description with this name: that of its file, without `.toml`.
///
/// # Errors
/// If there is none. The error suggests a name.
pub(crate) fn by_name(name: &str) -> Result<Arc<Arch>, Problem> {
    let found = named().find_map(|(known, arch)| (known == name).then_some(arch));
    found.cloned().ok_or_else(|| Problem::NoDescription {
        name: name.to_owned(),
        suggestion: did_you_mean(name, names()),
    })
}

/// Returns the names of the built-in descriptions.
pub fn names() -> impl Iterator<Item = &'static str> {
    named().map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::arch::models::{DEFAULTS, GROUPS};

    #[test]
    fn words_are_found_as_a_whole() {
        let text = "classes = [\"A.BForCausalLM\"]\n[defaults.b_2]";
        for (word, expected) in [
            ("A.BForCausalLM", true),
            ("BForCausalLM", true),
            ("ForCausalLM", false),
            ("b_2", true),
            ("b", false),
            ("", false),
        ] {
            assert_eq!(mentions(text, word), expected, "{word}");
        }
        for arch in all() {
            for word in arch.classes.iter().chain(arch.defaults.iter().map(|ty| &ty.name)) {
                assert!(mentioning(word).any(|found| Arc::ptr_eq(found, arch)), "{word}");
            }
        }
    }

    #[test]
    fn every_description_is_good() {
        for (name, text) in FILES {
            let (arch, mistakes) = description::read(text);
            assert!(arch.is_some() && mistakes.is_empty(), "{name}: {mistakes:#?}");
        }
        let listed: HashSet<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/arch/models");
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let name = entry.expect("readable").file_name().into_string().expect("ASCII");
            let is_other = [GROUPS.0, DEFAULTS.0].contains(&name.as_str());
            assert!(listed.contains(&name) || is_other, "{name} is not in the table");
        }
    }

    #[test]
    fn classes_and_model_types_belong_to_one_architecture() {
        let mut classes = HashSet::new();
        let mut types = HashSet::new();
        for arch in all() {
            for class in &arch.classes {
                assert!(classes.insert(class) || arch.when.is_some(), "{class}");
            }
            arch.defaults.iter().for_each(|ty| assert!(types.insert(&ty.name), "{}", ty.name));
            let known = |class| arch.classes.contains(class);
            assert!(arch.headless.iter().all(known), "{}", arch.name);
        }
    }
}
