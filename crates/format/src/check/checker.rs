use super::kind::FileKind;
use super::options::Options;
use super::probe::{Check, Out, note};
use super::report::{Field, Finding, Report};
use super::rules;
use super::scan::{self, Piece};
use super::sibling::Sibling;
use super::sink::Sink;
use super::view::View;
use crate::Error;
use crate::container::{Draft, Header, ShardName, Survey};
use crate::error::Place;

/// Check a whole file.
pub fn check(file: &[u8], options: &Options<'_>) -> Report {
    let mut checker = Checker::new(file, options);
    for piece in checker.pieces() {
        checker.add(piece.scan());
    }
    checker.finish()
}

/// Check files that are to be written, before there is any data: what is wrong with their headers, with
/// what these say about the model, and with the files as a split set. Several files are one.
///
/// Name and siblings in the options are not looked at.
pub fn check_drafts(drafts: &[Draft], options: &Options<'_>) -> Vec<Finding> {
    /// A larger set is not compared file by file with every other.
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
        findings.extend(structure(header, survey, options).sorted());
    }
    findings
}

/// The documentation of the rule with this id, in Markdown: what it says, why it matters, what to
/// do. The id may be in lower case.
pub fn explain(id: &str) -> Option<&'static str> {
    rules::by_id(id).map(|rule| rule.page)
}

/// A check in parts: the structure at once, the blocks as the caller likes.
#[derive(Debug)]
pub struct Checker<'a> {
    file: &'a [u8],
    structure_only: bool,
    survey: Survey,
    sink: Sink,
}

impl<'a> Checker<'a> {
    /// Check everything but the blocks' contents.
    pub fn new(file: &'a [u8], options: &Options<'_>) -> Self {
        let survey = Header::survey(file, &options.limits);
        let sink = structure(file, &survey, options);
        Self { file, structure_only: options.structure_only, survey, sink }
    }

    /// The header as far as it could be read.
    pub const fn header(&self) -> Option<&Header> {
        self.survey.header.as_ref()
    }

    /// The blocks in pieces of some megabytes, in the order of the file; nothing if only the
    /// structure is checked. No byte is in two pieces, and of data that is cut off there is what there is.
    pub fn pieces(&self) -> Vec<Piece<'a>> {
        match &self.survey.header {
            Some(header) if !self.structure_only && self.survey.complete => {
                scan::pieces(self.file, header)
            }
            _ => Vec::new(),
        }
    }

    /// Take over what [`Piece::scan`] found. The report is the same in whatever order pieces are
    /// scanned, if this is called in the order of the pieces.
    pub fn add(&mut self, findings: Vec<Finding>) {
        findings.into_iter().for_each(|finding| self.sink.push(finding));
    }

    /// The report.
    pub fn finish(self) -> Report {
        Report {
            kind: FileKind::of(self.file),
            file_bytes: self.file.len() as u64,
            blocks_checked: !self.structure_only && self.survey.complete,
            findings: self.sink.sorted(),
        }
    }
}

/// What is wrong with everything but the blocks' contents.
fn structure(file: &[u8], survey: &Survey, options: &Options<'_>) -> Sink {
    let mut sink = Sink::default();
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

/// The finding that a fault of the reader is.
fn of_fault(error: &Error, times: u64) -> Finding {
    let meaning = rules::checks().find_map(|(rule, check)| match check {
        Check::Fault(meaning) => Some((rule, meaning(error)?)),
        _ => None,
    });
    debug_assert!(meaning.is_some(), "no rule for {error}");
    // better under a rule that is not quite right than not at all
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
