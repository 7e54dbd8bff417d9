//! How a rule checks a file, and where it puts its findings.

use core::fmt;

use super::report::{Field, Finding};
use super::rule::Rule;
use super::sink::Sink;
use super::view::{View, show};
use crate::container::TensorInfo;
use crate::prelude::*;
use crate::{BlockType, Defect, Error};

/// How a rule checks a file.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// Interprets the faults of the parser. The first rule that returns a note for a fault reports
    /// it.
    Fault(fn(&Error) -> Option<Note>),
    /// Checks what could be read of the header, complete or not.
    Header(fn(&View<'_>, &mut Out<'_>)),
    /// Checks the complete metadata.
    Metadata(fn(&View<'_>, &mut Out<'_>)),
    /// Checks the complete header, the layout of the data and the other shards.
    Table(fn(&View<'_>, &mut Out<'_>)),
    /// Interprets the defects of blocks.
    Defect(fn(Defect) -> Option<Note>),
    /// Checks the bytes of each block of some types, in little-endian order.
    Block(&'static [BlockCheck]),
}

/// A block type and the check of its bytes.
type BlockCheck = (BlockType, fn(&[u8]) -> Option<Note>);

/// What was found and what was expected.
pub(crate) struct Note {
    pub(crate) found: String,
    pub(crate) expected: String,
}

pub(crate) fn note(found: impl fmt::Display, expected: impl fmt::Display) -> Note {
    Note { found: found.to_string(), expected: expected.to_string() }
}

/// Collects the findings of one rule.
pub(crate) struct Out<'s> {
    pub(crate) sink: &'s mut Sink,
    pub(crate) rule: &'static Rule,
}

impl Out<'_> {
    pub(crate) fn add(&mut self, offset: u64, field: Field, note: Note) {
        self.times(offset, field, note, 1);
    }

    /// Adds a finding that stands for `times` findings in the same part.
    pub(crate) fn times(&mut self, offset: u64, field: Field, note: Note, times: u64) {
        let (found, expected) = (note.found, note.expected);
        self.sink.push(Finding { rule: self.rule, offset, field, found, expected, times });
    }

    /// A finding in the value of a key.
    pub(crate) fn value(&mut self, view: &View<'_>, key: &str, note: Note) {
        self.add(view.value_offset(key), Field::metadata(key), note);
    }

    /// Adds a finding in the value of a key and shows the value.
    pub(crate) fn value_is(&mut self, view: &View<'_>, key: &str, expected: impl fmt::Display) {
        let found = view.get(key).map_or_else(|| "nothing".to_owned(), show);
        self.value(view, key, note(found, expected));
    }

    /// A finding in a tensor, whose entry in the table is at `entry`.
    pub(crate) fn tensor(&mut self, tensor: &TensorInfo, entry: u64, note: Note) {
        self.add(entry, Field::tensor(&tensor.name), note);
    }
}
