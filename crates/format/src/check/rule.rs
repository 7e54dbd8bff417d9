use std::fmt;

/// Whether a finding makes a file invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Severity {
    /// Legal, but risky, or not understood by every reader.
    Warning,
    /// The file is invalid: readers refuse it, or should.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A rule that files are checked against.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Rule {
    /// Its number: a letter for the part of the file and three digits. Never reused.
    #[cfg_attr(feature = "serde", serde(rename = "rule"))]
    pub id: &'static str,
    /// A short name for what is wrong.
    pub name: &'static str,
    /// Whether a file that breaks it is invalid.
    pub severity: Severity,
    /// What it says, why it matters and what to do, in Markdown.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub page: &'static str,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.name)
    }
}
