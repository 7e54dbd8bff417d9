//! What expressions can ask about the tensors of a checkpoint.

use crate::stored::StoredTensor;

/// What is known of the tensors of a checkpoint, and what is wanted of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored<'a> {
    /// The names of the tensors; empty if they are not known.
    pub(crate) names: &'a [String],
    /// The tensors themselves.
    pub(crate) tensors: &'a [StoredTensor],
    /// The number of processors whose rows are in some tensors, if there are several.
    pub(crate) shards: Option<u64>,
    /// The number of layers that predict further tokens, if it is known otherwise.
    pub(crate) further: Option<u64>,
    /// Whether such layers are left out.
    pub(crate) without: bool,
}

impl<'a> Stored<'a> {
    /// The number of layers with a prefix.
    pub(super) fn layers(&self, prefix: &str) -> u64 {
        let number = |name: &String| {
            let number = name.strip_prefix(prefix)?.split('.').next()?;
            number.parse::<u64>().ok()?.checked_add(1)
        };
        let found = || self.names.iter().filter_map(number).max();
        self.further.or_else(found).unwrap_or_default()
    }

    /// The number of tensors whose names fit a pattern.
    pub(super) fn count(&self, pattern: &str) -> usize {
        self.tensors.iter().filter(|tensor| matches(pattern, &tensor.name)).count()
    }

    /// The dimensions of the first tensor whose name fits a pattern.
    pub(super) fn shape(&self, pattern: &str) -> Option<&'a [u64]> {
        let found = self.tensors.iter().find(|tensor| matches(pattern, &tensor.name));
        found.map(|tensor| &*tensor.shape)
    }

    /// The outermost dimensions of the tensors whose names fit a pattern, in the order of the
    /// numbers in the names.
    pub(super) fn lengths(&self, pattern: &str) -> Vec<u64> {
        let found = self.tensors.iter().filter(|tensor| matches(pattern, &tensor.name));
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|tensor| numbers(&tensor.name));
        found.iter().map(|tensor| tensor.shape.first().copied().unwrap_or(1)).collect()
    }
}

/// The numbers in a name.
fn numbers(name: &str) -> Vec<u64> {
    name.split('.').filter_map(|word| word.parse().ok()).collect()
}

/// Whether a name fits a pattern, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(first) else { return false };
    let mut ends = (0..=name.len()).filter(|end| name.is_char_boundary(*end));
    ends.any(|end| matches(rest, &name[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_decide_the_order() {
        let mut names = ["a.10.b", "a.9.b", "a.x.b", "a.9.1.b"];
        names.sort_by_key(|name| numbers(name));
        assert_eq!(names, ["a.x.b", "a.9.b", "a.9.1.b", "a.10.b"]);
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, fits) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("*.b", "a.b", true),
            ("*.b", "a.b.c", false),
            ("*.b*", "a.b.c", true),
            ("a.*.c*d", "a.b.c.\u{e9}d", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
