use core::fmt;

use crate::prelude::*;

/// Whether a finding makes a file invalid.
///
/// Exhaustive: a finding makes a file invalid or it does not.
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

/// A rule of the validator.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive] // more may be told of a rule
pub struct Rule {
    /// A letter for the part of the file and three digits. Ids are never reused.
    #[cfg_attr(feature = "serde", serde(rename = "rule"))]
    pub id: &'static str,
    /// A short name for what is wrong.
    pub name: &'static str,
    /// Whether a file that breaks it is invalid.
    pub severity: Severity,
    /// What it checks, why that matters and how to fix a file, in Markdown.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub page: &'static str,
}

impl Rule {
    /// Returns the first sentence of the page: what the rule checks, in one line.
    pub fn summary(&self) -> String {
        let paragraph = self.page.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        match paragraph.split_once(". ") {
            Some((sentence, _)) => format!("{sentence}."),
            None => paragraph.trim_end().to_owned(),
        }
    }
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
