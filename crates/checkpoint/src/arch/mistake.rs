//! Mistakes in descriptions, and suggestions for unknown names.

use std::fmt;

use granule_format::nearest::distance;

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The description is rejected.
    Error,
    /// The description is accepted but probably does not say what was meant.
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
    /// What is wrong, with the nearest known name if a name is unknown.
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

/// Asks, at the end of a message, whether the known name nearest to `name` was meant.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let nearest = nearest(name, known);
    nearest.map_or(String::new(), |known| format!("; did you mean {known:?}?"))
}

/// The known name that differs least from `name`, if the two differ by few letters.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    let others = known.into_iter().filter(|other| *other != name);
    let others = others.map(|other| (distance(name, other), other));
    others.filter(|(distance, _)| *distance <= most).min().map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = ["head", "heads", "hidden_size"];
        assert_eq!(nearest("haed", known), Some("head"));
        assert_eq!(nearest("hiden_size", known), Some("hidden_size"));
        assert_eq!(nearest("width", known), None);
        assert_eq!(did_you_mean("haed", known), "; did you mean \"head\"?");
    }
}
