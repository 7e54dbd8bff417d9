//! The rules of the validator, applied to files before they exist.

use std::collections::HashSet;
use std::fmt;

use granule_checkpoint::arch;
use granule_format::check::{Finding, Options, Severity, check_drafts, check_header};
use granule_format::{Draft, Endian, Metadata};
use granule_reader::Source;

use super::{Plan, PlanError, Warning};
use crate::Error;

/// A rule that the files to be written violate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The rule's number, such as `S014`.
    pub rule: &'static str,
    /// A description of the part of the file.
    pub part: String,
    /// The content that would be found there.
    pub found: String,
    /// The expected content.
    pub expected: String,
    /// The number of other places that violate the rule.
    pub more: u64,
}

/// Warnings of the validator that matter for a conversion: tensors that were lost.
const LOST: &[&str] = &["S022"];

/// Checks the files of the plan. Faults that the source file already has become warnings of the
/// plan, and so do all that the recipe allows; the others are returned.
pub(super) fn check(plan: &mut Plan, source: &dyn Source) -> Vec<PlanError> {
    // headers that cannot be laid out are reported when the plan is run
    let Ok(drafts) = plan.drafts() else { return Vec::new() };
    let findings = findings(&drafts, &options());
    if findings.is_empty() {
        return Vec::new();
    }
    let own = match source.is_new() {
        true => Vec::new(),
        false => own_findings(source),
    };
    // if blocks are removed, the others are renumbered
    let renamed = !plan.recipe.prune_layers.is_empty();
    let key = |finding: &Finding| {
        let part = if renamed { String::new() } else { finding.field.to_string() };
        (finding.rule.id, part)
    };
    let own: HashSet<_> = own.iter().map(key).collect();
    let is_own = |finding: &Finding| own.contains(&key(finding));
    let (kept, new): (Vec<_>, Vec<_>) = findings.into_iter().partition(is_own);
    for fault in by_rule(&kept) {
        let warning = Warning::SourceInvalid(fault.to_string());
        if !plan.warnings.contains(&warning) {
            plan.warnings.push(warning);
        }
    }
    let new: Vec<_> =
        new.into_iter().filter(|finding| finding.rule.severity == Severity::Error).collect();
    let new: Vec<_> = by_rule(&new).into_iter().map(PlanError::Invalid).collect();
    if !plan.recipe.allow_invalid {
        return new;
    }
    for problem in new {
        let warning = Warning::Allowed(problem.to_string());
        if !plan.warnings.contains(&warning) {
            plan.warnings.push(warning);
        }
    }
    Vec::new()
}

/// What a new header has in common with the old one, so that rules about it need not be applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Same {
    /// The strings of tokens and merges.
    pub(crate) vocabulary: bool,
    /// The names of the tensors, and the keys that decide which ones the model needs.
    pub(crate) model: bool,
}

/// Returns the errors that a new header has and the old one had not. The old one is asked for only
/// if the new one has any; `None` stands for one that cannot be laid out as it is. `data_bytes`
/// bytes will follow the new header.
pub(crate) fn new_faults(
    old: impl FnOnce() -> Option<Draft>,
    new: &[u8],
    data_bytes: u64,
    same: Same,
) -> Vec<Invalid> {
    let options = if same.model { Options::default() } else { options() };
    let options = options.with_known_vocabulary(same.vocabulary);
    let mut new = check_header(new, data_bytes, &options);
    new.retain(|finding| finding.rule.severity == Severity::Error);
    if !new.is_empty() {
        let key = |finding: &Finding| (finding.rule.id, finding.field.to_string());
        let own = old().map(|old| findings(&[old], &options)).unwrap_or_default();
        let own: HashSet<_> = own.iter().map(key).collect();
        new.retain(|finding| !own.contains(&key(finding)));
    }
    by_rule(&new)
}

/// Returns errors, and warnings that tensors are missing.
fn findings(drafts: &[Draft], options: &Options<'_>) -> Vec<Finding> {
    let mut findings = check_drafts(drafts, options);
    findings.retain(|finding| {
        finding.rule.severity == Severity::Error || LOST.contains(&finding.rule.id)
    });
    findings
}

/// Every rule.
fn options() -> Options<'static> {
    Options::default().with_needed(arch::needed)
}

/// Returns the findings for the source, as one file.
fn own_findings(source: &dyn Source) -> Vec<Finding> {
    let as_stored = source.metadata();
    let mut joined = as_stored.clone();
    for key in super::metadata::SPLIT_KEYS {
        joined.remove(key);
    }
    let mut own = Vec::new();
    for metadata in [as_stored, &joined] {
        let found = draft(source, metadata).map(|draft| findings(&[draft], &options()));
        own.extend(found.unwrap_or_default());
    }
    own
}

/// Returns the tensors of the source as one file with this metadata.
fn draft(source: &dyn Source, metadata: &Metadata) -> Result<Draft, Error> {
    let mut draft = Draft::new(metadata.clone(), Endian::Little)?;
    for tensor in source.tensors() {
        draft.add(&tensor.name, tensor.shape, tensor.ty)?;
    }
    Ok(draft)
}

/// Returns the first finding of each rule, with the number of the others.
fn by_rule(findings: &[Finding]) -> Vec<Invalid> {
    let mut faults: Vec<Invalid> = Vec::new();
    for finding in findings {
        let rule = finding.rule.id;
        match faults.iter_mut().find(|fault| fault.rule == rule) {
            Some(fault) => fault.more += finding.times,
            None => faults.push(Invalid {
                rule,
                part: finding.field.to_string(),
                found: finding.found.clone(),
                expected: finding.expected.clone(),
                more: finding.times - 1,
            }),
        }
    }
    faults
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, part, found, expected, more } = self;
        write!(f, "{part}: found {found}, expected {expected}")?;
        if *more > 0 {
            write!(f, " (and {more} more like it)")?;
        }
        write!(f, "; rule {rule}, see `granule explain {rule}`")
    }
}
