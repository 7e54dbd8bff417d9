//! The architectures that are built in.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock};

use super::mistake::did_you_mean;
use super::{Arch, FILES, Kind, PROJECTORS, description};
use crate::Problem;

/// The descriptions of a kind in the order of their table, each read when it is first asked for: a
/// conversion needs few of them.
struct Table {
    files: &'static [(&'static str, &'static str)],
    read: LazyLock<Vec<OnceLock<Arc<Arch>>>>,
    all: OnceLock<Vec<Arc<Arch>>>,
    words: LazyLock<Words>,
}

/// The descriptions that have each word, as indices.
type Words = HashMap<&'static str, Vec<usize>>;

static MODELS: Table = Table {
    files: FILES,
    read: LazyLock::new(|| FILES.iter().map(|_| OnceLock::new()).collect()),
    all: OnceLock::new(),
    words: LazyLock::new(|| words(FILES)),
};

static OF_PROJECTORS: Table = Table {
    files: PROJECTORS,
    read: LazyLock::new(|| PROJECTORS.iter().map(|_| OnceLock::new()).collect()),
    all: OnceLock::new(),
    words: LazyLock::new(|| words(PROJECTORS)),
};

fn words(files: &[(&'static str, &'static str)]) -> Words {
    let mut words = Words::new();
    for (index, (_, text)) in files.iter().enumerate() {
        for word in text.split(is_between).filter(|word| !word.is_empty()) {
            let places = words.entry(word).or_default();
            if places.last() != Some(&index) {
                places.push(index);
            }
        }
    }
    words
}

/// Whether a character is no part of a word.
const fn is_between(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || c == '_')
}

impl Table {
    fn of(kind: Kind) -> &'static Self {
        match kind {
            Kind::Model => &MODELS,
            Kind::Projector => &OF_PROJECTORS,
        }
    }

    fn all(&'static self) -> &'static [Arc<Arch>] {
        let read = || (0..self.files.len()).map(|index| self.get(index).clone()).collect();
        self.all.get_or_init(read)
    }

    fn get(&'static self, index: usize) -> &'static Arc<Arch> {
        let (name, text) = self.files[index];
        self.read[index].get_or_init(|| {
            Arc::new(description::parse(text).unwrap_or_else(|why| panic!("{name}: {why:?}")))
        })
    }

    /// The architectures with the names of their descriptions.
    fn named(&'static self) -> impl Iterator<Item = (&'static str, &'static Arc<Arch>)> {
        let names = self.files.iter().map(|(file, _)| file.strip_suffix(".toml").unwrap_or(file));
        names.zip(self.all())
    }
}

/// All architectures that are built in.
pub fn all() -> &'static [Arc<Arch>] {
    MODELS.all()
}

/// All projectors that are built in.
pub fn projectors() -> &'static [Arc<Arch>] {
    OF_PROJECTORS.all()
}

/// The architectures of a kind whose descriptions contain this name, such as that of a class: the
/// others have nothing to do with it.
pub(super) fn mentioning<'a>(
    kind: Kind,
    name: &str,
) -> impl Iterator<Item = &'a Arc<Arch>> + use<'a> {
    let (name, table) = (name.to_owned(), Table::of(kind));
    // a text with the name has its longest word
    let word = name.split(is_between).max_by_key(|word| word.len()).unwrap_or_default();
    let candidates = table.words.get(word).map_or(&[][..], Vec::as_slice).iter();
    let found = candidates.filter(move |index| mentions(table.files[**index].1, &name));
    found.map(|index| table.get(*index))
}

/// The architectures with this name, the value of `general.architecture`.
pub(crate) fn of_name<'a>(name: &str) -> impl Iterator<Item = &'a Arc<Arch>> + use<'a> {
    let line = format!("name = {name:?}");
    let mut indices = Vec::new();
    for (index, (_, text)) in FILES.iter().enumerate() {
        // one that does not say its name has that of the description that it is like
        let said = text.lines().find(|line| line.starts_with("name = "));
        if said.is_none_or(|said| said.starts_with(&line)) {
            indices.push(index);
        }
    }
    let name = name.to_owned();
    let found = indices.into_iter().map(|index| MODELS.get(index));
    found.filter(move |arch| arch.name == name)
}

/// Whether a text has a name, and not as a part of a longer one.
fn mentions(text: &str, name: &str) -> bool {
    let ends = |c: Option<char>| c.is_none_or(is_between);
    text.match_indices(name).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + name.len()..]);
        ends(before.chars().next_back()) && ends(behind.chars().next())
    })
}

/// The built-in architectures with the names of their descriptions.
pub(super) fn named() -> impl Iterator<Item = (&'static str, &'static Arc<Arch>)> {
    MODELS.named()
}

/// Returns the built-in description of a kind with this name: that of its file, without `.toml`.
///
/// # Errors
/// If there is none. The error suggests a name.
pub(crate) fn by_name(kind: Kind, name: &str) -> Result<Arc<Arch>, Problem> {
    let named = || Table::of(kind).named();
    let found = named().find_map(|(known, arch)| (known == name).then_some(arch));
    found.cloned().ok_or_else(|| Problem::NoDescription {
        name: name.to_owned(),
        suggestion: did_you_mean(name, named().map(|(name, _)| name)),
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
    use crate::arch::projectors::PROJECTOR_GROUPS;

    #[test]
    fn words_are_found_as_a_whole() {
        let text = "classes = [\"A.BForCausalLM\"]\n[defaults.b_2]";
        for (word, expected) in [
            ("A.BForCausalLM", true),
            ("BForCausalLM", true),
            ("ForCausalLM", false),
            ("b_2", true),
            ("b", false),
        ] {
            assert_eq!(mentions(text, word), expected, "{word}");
        }
        for word in ["", ".", "\u{e9}", "no_such_word"] {
            assert_eq!(mentioning(Kind::Model, word).count(), 0, "{word}");
        }
        for arch in all() {
            let found: Vec<_> = of_name(&arch.name).collect();
            let expected: Vec<_> = all().iter().filter(|other| other.name == arch.name).collect();
            assert!(found.iter().zip(&expected).all(|(a, b)| Arc::ptr_eq(a, b)), "{}", arch.name);
            assert_eq!(found.len(), expected.len(), "{}", arch.name);
        }
        for arch in all().iter().chain(projectors()) {
            for word in arch.classes.iter().chain(arch.defaults.iter().map(|ty| &ty.name)) {
                assert!(
                    mentioning(arch.kind, word).any(|found| Arc::ptr_eq(found, arch)),
                    "{word}"
                );
            }
        }
    }

    #[test]
    fn every_description_is_good() {
        for (name, text) in FILES.iter().chain(PROJECTORS) {
            let (arch, mistakes) = description::read(text, true);
            assert!(arch.is_some() && mistakes.is_empty(), "{name}: {mistakes:#?}");
            let models = arch.map(|arch| arch.models).unwrap_or_default();
            assert!(!models.is_empty(), "{name}: \"models\" says nothing for the lists");
        }
        for (files, folder) in [
            (FILES, "src/arch/models"),
            (GROUPS, "src/arch/models/groups"),
            (PROJECTORS, "src/arch/mmproj"),
            (PROJECTOR_GROUPS, "src/arch/mmproj/groups"),
        ] {
            let listed: HashSet<_> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            for entry in std::fs::read_dir(folder).expect("the folder is there") {
                let name = entry.expect("readable").file_name().into_string().expect("ASCII");
                let is_other = ["groups", DEFAULTS.0].contains(&name.as_str());
                assert!(listed.contains(&name) || is_other, "{name} is not in the table");
            }
        }
    }

    #[test]
    fn classes_and_model_types_belong_to_one_architecture() {
        for archs in [all(), projectors()] {
            belong_to_one(archs);
        }
    }

    fn belong_to_one(archs: &[Arc<Arch>]) {
        let mut classes = HashSet::new();
        let mut types = HashSet::new();
        for arch in archs {
            for class in &arch.classes {
                assert!(arch.when.is_some() || classes.insert(class), "{class}");
            }
            arch.defaults.iter().for_each(|ty| assert!(types.insert(&ty.name), "{}", ty.name));
            let known = |class| arch.classes.contains(class);
            assert!(arch.headless.iter().all(known), "{}", arch.name);
        }
    }
}
