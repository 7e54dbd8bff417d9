//! What is wrong with a description, and the known name that an unknown one is meant to be.

use std::fmt;

/// Whether a description with a mistake is of any use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is refused.
    Error,
    /// It is read, but probably does not say what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A mistake in the description of an architecture.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// The line in the file, counted from 1; `None` if it concerns the whole file.
    pub line: Option<usize>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, and the nearest known name where a name is unknown.
    pub message: String,
}

impl Mistake {
    pub(super) fn error(line: Option<usize>, message: impl Into<String>) -> Self {
        Self { line, severity: Severity::Error, message: message.into() }
    }

    pub(super) fn warning(line: Option<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(line, message) }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// A question for the end of a message: whether the known name nearest to `name` was meant.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = nearest(name, known);
    nearest.map_or(String::new(), |known| format!("; did you mean {known:?}?"))
}

/// The known name that differs least from `name`, if it differs in few letters.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    let known = known.into_iter().map(|other| (distance(name, other), other));
    known.filter(|(distance, _)| (1..=most).contains(distance)).min().map(|(_, other)| other)
}

/// How many letters have to be inserted, removed, replaced or exchanged with their neighbours to
/// make one text of the other (optimal string alignment).
pub(super) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = [vec![0; b.len() + 1], vec![0; b.len() + 1], (0..=b.len()).collect::<Vec<_>>()];
    for (i, x) in a.iter().enumerate() {
        rows.rotate_left(1);
        rows[2][0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = rows[1][j] + usize::from(x != y);
            let mut least = replaced.min(rows[1][j + 1] + 1).min(rows[2][j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(rows[0][j - 1] + 1);
            }
            rows[2][j + 1] = least;
        }
    }
    rows[2][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_are_counted() {
        for (a, b, expected) in [
            ("head", "head", 0),
            ("haed", "head", 1),
            ("hed", "head", 1),
            ("heads", "head", 1),
            ("hoad", "head", 1),
            ("", "head", 4),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = ["head", "heads", "hidden_size"];
        assert_eq!(nearest("haed", known), Some("head"));
        assert_eq!(nearest("hiden_size", known), Some("hidden_size"));
        assert_eq!(nearest("width", known), None);
        assert_eq!(did_you_mean("haed", known), "; did you mean \"head\"?");
    }
}
