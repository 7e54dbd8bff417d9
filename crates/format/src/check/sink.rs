use super::report::{Field, Finding, Report};
use crate::prelude::*;

/// Collects findings.
#[derive(Debug)]
pub(crate) struct Sink {
    /// The most findings of one rule that are kept.
    most: usize,
    findings: Vec<Finding>,
    /// For each rule that was broken: its id, how many findings are kept, the index of the last.
    rules: Vec<(&'static str, usize, usize)>,
}

/// Collects at most [`Report::MOST_OF_A_RULE`] findings of each rule, whatever a file contains.
impl Default for Sink {
    fn default() -> Self {
        Self::of(Report::MOST_OF_A_RULE)
    }
}

impl Sink {
    /// Collects at most `most` findings of each rule.
    pub(crate) const fn of(most: usize) -> Self {
        Self { most, findings: Vec::new(), rules: Vec::new() }
    }

    /// Adds a finding, or counts it with the last one of its rule if that is in the same part or
    /// the rule has had its share.
    pub(crate) fn push(&mut self, finding: Finding) {
        let id = finding.rule.id;
        let Some((_, kept, last)) = self.rules.iter_mut().find(|rule| rule.0 == id) else {
            self.rules.push((id, 1, self.findings.len()));
            return self.findings.push(finding);
        };
        let previous = &mut self.findings[*last];
        if *kept >= self.most || same_part(&previous.field, &finding.field) {
            previous.times += finding.times;
        } else {
            (*kept, *last) = (*kept + 1, self.findings.len());
            self.findings.push(finding);
        }
    }

    /// The findings by their offset in the file.
    pub(crate) fn sorted(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| (finding.offset, finding.rule.id));
        self.findings
    }
}

/// Whether findings of one rule in these parts are counted together.
fn same_part(one: &Field, other: &Field) -> bool {
    match (one, other) {
        (Field::Block { name: one, .. }, Field::Block { name: other, .. }) => one == other,
        (Field::Metadata { .. }, Field::Metadata { .. }) => one == other,
        _ => false,
    }
}
