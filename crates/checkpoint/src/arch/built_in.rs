//! The architectures that are built in.

use std::sync::{Arc, LazyLock};

use super::mistake::did_you_mean;
use super::{Arch, FILES, description};
use crate::Problem;

static BUILT_IN: LazyLock<Vec<Arc<Arch>>> = LazyLock::new(|| {
    let read = |(name, text): &(&str, &str)| {
        description::parse(text).unwrap_or_else(|why| panic!("{name}: {why:?}"))
    };
    FILES.iter().map(|file| Arc::new(read(file))).collect()
});

/// The architectures that are built in.
pub fn all() -> &'static [Arc<Arch>] {
    &BUILT_IN
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
