//! The results of a check.

use core::fmt;

use super::kind::FileKind;
use super::rule::{Rule, Severity};
use crate::prelude::*;

/// A part of a file. [`Display`](fmt::Display) formats it as a path such as
/// `metadata["general.alignment"]` or `tensor "output.weight" block 17`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "part", rename_all = "lowercase")
)]
#[non_exhaustive] // new rules find new parts
pub enum Field {
    /// Magic, version and counts.
    Header,
    /// A metadata entry whose key cannot be named.
    Entry {
        /// Its place among the entries, from 0.
        index: u64,
    },
    /// The metadata entry with this key.
    Metadata {
        /// The key.
        key: String,
    },
    /// An entry of the tensor table whose tensor cannot be named.
    Row {
        /// Its place in the table, from 0.
        index: u64,
    },
    /// A tensor.
    Tensor {
        /// Its name.
        name: String,
    },
    /// A block of a tensor's data.
    Block {
        /// The tensor's name.
        name: String,
        /// The place of the block among the tensor's blocks, from 0.
        block: u64,
    },
    /// The bytes of the data section that belong to no tensor.
    Padding,
    /// Another file of the split set.
    Shard {
        /// The file's name.
        file: String,
    },
}

impl Field {
    /// The metadata entry with this key; very long keys are shortened.
    pub(crate) fn metadata(key: &str) -> Self {
        Self::Metadata { key: shortened(key) }
    }

    /// The tensor with this name; very long names are shortened.
    pub(crate) fn tensor(name: &str) -> Self {
        Self::Tensor { name: shortened(name) }
    }
}

/// The first 128 characters: names may be as long as a file.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(128) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => write!(f, "header"),
            Self::Entry { index } => write!(f, "metadata[{index}]"),
            Self::Metadata { key } => write!(f, "metadata[{key:?}]"),
            Self::Row { index } => write!(f, "tensors[{index}]"),
            Self::Tensor { name } => write!(f, "tensor {name:?}"),
            Self::Block { name, block } => write!(f, "tensor {name:?} block {block}"),
            Self::Padding => write!(f, "padding"),
            Self::Shard { file } => write!(f, "shard {file:?}"),
        }
    }
}

/// A violation of a rule, and its place in the file.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive] // more may be told of a finding
pub struct Finding {
    /// The rule.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub rule: &'static Rule,
    /// The first violation, in bytes from the start of the file.
    pub offset: u64,
    /// The part of the file.
    pub field: Field,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// How many times the rule is broken in this part: in the whole metadata value or tensor. If a
    /// rule is broken in more than [`Report::MOST_OF_A_RULE`] parts, the last of its findings
    /// counts the rest.
    pub times: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, offset, field, found, expected, times } = self;
        write!(f, "{} {}: {field}: found {found}, expected {expected}", rule.severity, rule.id)?;
        write!(f, " (at byte {offset}")?;
        if *times > 1 {
            write!(f, ", {times} times")?;
        }
        write!(f, ")")
    }
}

/// The result of checking a file.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
#[non_exhaustive] // more may be reported
pub struct Report {
    /// What kind of file it is.
    pub kind: FileKind,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Whether the contents of blocks were checked.
    pub blocks_checked: bool,
    /// The findings, by their offset in the file.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The most findings of one rule that are listed separately.
    pub const MOST_OF_A_RULE: usize = 100;

    /// Number of findings that make the file invalid.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// Number of findings that do not.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// Whether the file is valid; with `strict` warnings count as errors.
    pub fn is_valid(&self, strict: bool) -> bool {
        if strict { self.findings.is_empty() } else { self.errors() == 0 }
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.rule.severity == severity).count()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Report {
    /// As `spec/check-report.schema.json` says.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Report", 8)?;
        out.serialize_field("schema", &1)?;
        out.serialize_field("kind", &self.kind)?;
        out.serialize_field("file_bytes", &self.file_bytes)?;
        out.serialize_field("blocks_checked", &self.blocks_checked)?;
        out.serialize_field("valid", &self.is_valid(false))?;
        out.serialize_field("errors", &self.errors())?;
        out.serialize_field("warnings", &self.warnings())?;
        out.serialize_field("findings", &self.findings)?;
        out.end()
    }
}
