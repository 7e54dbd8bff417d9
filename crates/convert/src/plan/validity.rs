//! The rules of the validator, applied to files that do not exist yet.

use std::fmt;

use granule_format::check::{Finding, Options, Severity, check_drafts};
use granule_format::{Draft, Endian, Metadata};

use super::{Plan, PlanError, Warning};
use crate::{Error, Source, arch};

/// A rule that the files to be written break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The rule's number, such as `S014`.
    pub rule: &'static str,
    /// The part of the file, in words.
    pub part: String,
    /// What would be there.
    pub found: String,
    /// What should be there.
    pub expected: String,
    /// In how many more places the rule is broken.
    pub more: u64,
}

/// Warnings of the validator that matter when a file is converted: tensors that were lost.
const LOST: &[&str] = &["S022"];

/// Architectures whose files break a rule as the reference writes them, and the rule: it fills up the
/// vocabulary of Mamba to a multiple of 8, however many rows the embedding has.
const AS_THE_REFERENCE: &[(&str, &str)] = &[("mamba", "S014"), ("mamba2", "S014")];

/// What is wrong with the files of the plan. Faults that the source has itself are added to the warnings
/// of the plan, if it is a file, and those that the reference has; all others are returned.
pub(super) fn check(plan: &mut Plan, source: &dyn Source) -> Vec<PlanError> {
    // what cannot be laid out has an error of its own when the plan is run
    let Ok(drafts) = plan.drafts() else { return Vec::new() };
    let findings = findings(&drafts);
    if findings.is_empty() {
        return Vec::new();
    }
    let own = match source.is_new() {
        true => Vec::new(),
        false => own_findings(source),
    };
    // without some blocks, the others have other numbers
    let renamed = !plan.recipe.prune_layers.is_empty();
    let architecture = plan.metadata.text("general.architecture").ok().flatten();
    let is_own = |finding: &Finding| {
        if AS_THE_REFERENCE
            .iter()
            .any(|(name, rule)| architecture == Some(*name) && finding.rule.id == *rule)
        {
            return true;
        }
        let same =
            |own: &Finding| own.rule == finding.rule && (renamed || own.field == finding.field);
        own.iter().any(same)
    };
    let (kept, new): (Vec<_>, Vec<_>) = findings.into_iter().partition(is_own);
    for fault in by_rule(&kept) {
        let warning = Warning::SourceInvalid(fault.to_string());
        if !plan.warnings.contains(&warning) {
            plan.warnings.push(warning);
        }
    }
    let new: Vec<_> =
        new.into_iter().filter(|finding| finding.rule.severity == Severity::Error).collect();
    by_rule(&new).into_iter().map(PlanError::Invalid).collect()
}

/// Errors, and warnings that tensors are missing.
fn findings(drafts: &[Draft]) -> Vec<Finding> {
    let options = Options::default().with_needed(arch::needed);
    let mut findings = check_drafts(drafts, &options);
    findings.retain(|finding| {
        finding.rule.severity == Severity::Error || LOST.contains(&finding.rule.id)
    });
    findings
}

/// What is wrong with the source, as one file.
fn own_findings(source: &dyn Source) -> Vec<Finding> {
    let as_stored = source.metadata();
    let mut joined = as_stored.clone();
    for key in super::metadata::SPLIT_KEYS {
        joined.remove(key);
    }
    let mut own = Vec::new();
    for metadata in [as_stored, &joined] {
        own.extend(draft(source, metadata).map(|draft| findings(&[draft])).unwrap_or_default());
    }
    own
}

/// The tensors of the source as one file with this metadata.
fn draft(source: &dyn Source, metadata: &Metadata) -> Result<Draft, Error> {
    let mut draft = Draft::new(metadata.clone(), Endian::Little)?;
    for tensor in source.tensors() {
        draft.add(&tensor.name, tensor.shape, tensor.ty)?;
    }
    Ok(draft)
}

/// The first finding of each rule, with the number of the others.
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
