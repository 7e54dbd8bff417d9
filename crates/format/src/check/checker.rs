use super::kind::FileKind;
use super::options::Options;
use super::probe::{Check, Out, note};
use super::report::{Field, Finding, Report};
use super::rule::Rule;
use super::rules;
use super::scan::{self, Piece};
use super::sibling::Sibling;
use super::sink::Sink;
use super::view::View;
use crate::Error;
use crate::container::{Draft, Header, ShardName, Survey};
use crate::error::Place;
use crate::prelude::*;

/// Checks a whole file.
pub fn check(file: &[u8], options: &Options<'_>) -> Report {
    let mut checker = Checker::new(file, options);
    for piece in checker.pieces() {
        checker.add(piece.scan());
    }
    checker.finish()
}

/// Checks files before any of their data is written: their headers, what these say about the model,
/// and, if there are several, the files as one split set.
///
/// Ignores `name` and `siblings` in the options. Lists every part that breaks a rule, without the
/// limit of [`Report::MOST_OF_A_RULE`].
#[must_use]
pub fn check_drafts(drafts: &[Draft], options: &Options<'_>) -> Vec<Finding> {
    /// Larger sets are not compared file by file.
    const MOST_COMPARED: usize = 1000;
    let files: Vec<_> = drafts.iter().map(|draft| (draft.header(), draft.data_bytes())).collect();
    let surveys = files.iter().map(|(header, data)| {
        Header::survey_prefix(header, header.len() as u64 + data, &options.limits)
    });
    let surveys: Vec<_> = surveys.collect();
    let count = u32::try_from(drafts.len()).unwrap_or(u32::MAX);
    let set = ShardName { stem: "model".to_owned(), number: 1, count };
    let names: Vec<_> = set.all().collect();
    let is_set = (2..=MOST_COMPARED).contains(&drafts.len());
    let siblings = names.iter().zip(&surveys).skip(1);
    let siblings: Vec<_> =
        siblings.map(|(name, survey)| Sibling { name, header: survey.header.as_ref() }).collect();
    let alone = Options { name: None, siblings: None, ..*options };
    let name = names.first().map(String::as_str);
    let first = Options { name, siblings: Some(&siblings), ..alone };
    let mut findings = Vec::new();
    for (index, ((header, _), survey)) in files.iter().zip(&surveys).enumerate() {
        let options = if is_set && index == 0 { &first } else { &alone };
        findings.extend(structure(header, survey, options, Sink::of(usize::MAX)).sorted());
    }
    findings
}

/// Checks a file before any of its data is written, as [`check_drafts`] does. `header` is what
/// [`Draft::header`] returns, and `data_bytes` bytes will follow it.
#[must_use]
pub fn check_header(header: &[u8], data_bytes: u64, options: &Options<'_>) -> Vec<Finding> {
    let survey = Header::survey_prefix(header, header.len() as u64 + data_bytes, &options.limits);
    let options = Options { name: None, siblings: None, ..*options };
    structure(header, &survey, &options, Sink::of(usize::MAX)).sorted()
}

/// Returns the rule with this id, ignoring case.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules::by_id(id)
}

/// A check in parts: the structure at once, the blocks in any order.
#[derive(Debug)]
#[must_use = "only `finish` gives the report"]
pub struct Checker<'a> {
    file: &'a [u8],
    structure_only: bool,
    survey: Survey,
    sink: Sink,
}

impl<'a> Checker<'a> {
    /// Checks everything except the contents of blocks.
    pub fn new(file: &'a [u8], options: &Options<'_>) -> Self {
        let survey = Header::survey(file, &options.limits);
        let sink = structure(file, &survey, options, Sink::default());
        Self { file, structure_only: options.structure_only, survey, sink }
    }

    /// Returns the header, as far as it could be read.
    pub const fn header(&self) -> Option<&Header> {
        self.survey.header.as_ref()
    }

    /// Returns the blocks in pieces of a few megabytes, in file order; none if only the structure
    /// is checked. Pieces do not overlap. Truncated data is included up to its last whole block.
    pub fn pieces(&self) -> Vec<Piece<'a>> {
        match &self.survey.header {
            Some(header) if !self.structure_only && self.survey.complete => {
                scan::pieces(self.file, header)
            }
            _ => Vec::new(),
        }
    }

    /// Adds what [`Piece::scan`] found. Pieces may be scanned in any order; the report is the same
    /// if their findings are added in the order of the pieces.
    pub fn add(&mut self, findings: Vec<Finding>) {
        findings.into_iter().for_each(|finding| self.sink.push(finding));
    }

    /// Returns the report.
    pub fn finish(self) -> Report {
        Report {
            kind: FileKind::of(self.file),
            file_bytes: self.file.len() as u64,
            blocks_checked: !self.structure_only && self.survey.complete,
            findings: self.sink.sorted(),
        }
    }
}

/// Finds what is wrong with everything except the contents of blocks.
fn structure(file: &[u8], survey: &Survey, options: &Options<'_>, mut sink: Sink) -> Sink {
    for fault in &survey.faults {
        sink.push(of_fault(&fault.error, fault.times));
    }
    let Some(header) = &survey.header else { return sink };
    let view = View::new(file, header, survey.all_tensors, options);
    for (rule, check) in rules::checks() {
        let out = &mut Out { sink: &mut sink, rule };
        match check {
            Check::Header(check) => check(&view, out),
            Check::Metadata(check) if survey.metadata_complete => check(&view, out),
            Check::Table(check) if survey.complete => check(&view, out),
            _ => {}
        }
    }
    sink
}

/// Turns a fault of the parser into a finding.
fn of_fault(error: &Error, times: u64) -> Finding {
    let meaning = rules::checks().find_map(|(rule, check)| match check {
        Check::Fault(meaning) => Some((rule, meaning(error)?)),
        _ => None,
    });
    debug_assert!(meaning.is_some(), "no rule for {error}");
    // a finding under an inexact rule is better than none
    let (rule, note) = meaning.unwrap_or_else(|| (rules::any("H008"), note(&error.kind, "")));
    let field = match &error.place {
        Place::Header => Field::Header,
        Place::Key(index) => Field::Entry { index: *index },
        Place::Value(key) | Place::Element(key) | Place::NestedValue(key) => Field::metadata(key),
        Place::TensorEntry(index) => Field::Row { index: *index },
        Place::Tensor(name) => Field::tensor(name),
    };
    let (found, expected) = (note.found, note.expected);
    Finding { rule, offset: error.offset, field, found, expected, times }
}
