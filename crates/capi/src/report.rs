//! The validator.

use std::ffi::c_char;
use std::path::Path;

use granule_convert::check::check_file;
use granule_format::check::Severity;
use granule_reader::FileMap;

use crate::status::{attempt, fail, granule_status};
use crate::strings::{give, granule_string, shared, text};

/// What a check has found.
#[derive(Debug)]
pub struct granule_report {
    findings: Vec<Found>,
    is_valid: bool,
}

/// A finding as text, which the caller gets pointers to.
#[derive(Debug)]
struct Found {
    rule: &'static str,
    is_error: bool,
    offset: u64,
    place: String,
    found: String,
    expected: String,
}

/// A violation of a rule, and its place in the file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct granule_finding {
    /// The id of the rule, such as "H003".
    pub rule: granule_string,
    /// Whether it makes the file invalid.
    pub is_error: bool,
    /// The first violation, in bytes from the start of the file.
    pub offset: u64,
    /// The part of the file.
    pub place: granule_string,
    /// What was found.
    pub found: granule_string,
    /// What was expected.
    pub expected: granule_string,
}

/// Checks a file; `structure_only` skips the contents of the tensors. The file must not be cut
/// short meanwhile, or a read may end the process.
///
/// # Safety
/// `path` must be a string that ends with NUL, `report` lead to room for a pointer. The report has
/// to be freed with `granule_report_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_check(
    path: *const c_char,
    structure_only: bool,
    report: *mut *mut granule_report,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises a string.
        let path = Path::new(unsafe { text("path", path) }?);
        if report.is_null() {
            return fail(granule_status::Argument, "report is null");
        }
        // SAFETY: the caller promises that the file is not cut short.
        let file = unsafe { FileMap::open(path) }?;
        let checked = check_file(path, &file, structure_only, None);
        let checked = checked.expect("nothing stops it");
        let found = |finding: &granule_format::check::Finding| Found {
            rule: finding.rule.id,
            is_error: finding.rule.severity == Severity::Error,
            offset: finding.offset,
            place: finding.field.to_string(),
            found: finding.found.clone(),
            expected: finding.expected.clone(),
        };
        let findings = checked.findings.iter().map(found).collect();
        let made = granule_report { findings, is_valid: checked.is_valid(false) };
        // SAFETY: not null, and the caller promises room.
        unsafe { give("report", report, Box::into_raw(Box::new(made))) }
    })
}

/// Frees a report. Null is allowed.
///
/// # Safety
/// `report` must come from `granule_check`, and must not be used again, nor what was taken from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_report_free(report: *mut granule_report) {
    if !report.is_null() {
        // SAFETY: it was made by `Box::into_raw`, and the caller frees it once.
        drop(unsafe { Box::from_raw(report) });
    }
}

/// Returns whether the file is valid; with `strict`, warnings count as errors. Null is not valid.
///
/// # Safety
/// `report` must be null or a report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_report_valid(report: *const granule_report, strict: bool) -> bool {
    // SAFETY: the caller promises that it is null or a report.
    unsafe { report.as_ref() }
        .is_some_and(|report| if strict { report.findings.is_empty() } else { report.is_valid })
}

/// Returns the number of findings; 0 if `report` is null.
///
/// # Safety
/// `report` must be null or a report.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_report_count(report: *const granule_report) -> usize {
    // SAFETY: the caller promises that it is null or a report.
    unsafe { report.as_ref() }.map_or(0, |report| report.findings.len())
}

/// Gives the finding at `index`, by its place in the file.
///
/// # Safety
/// `report` must be a report, `finding` lead to room for a finding.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn granule_report_finding(
    report: *const granule_report,
    index: usize,
    finding: *mut granule_finding,
) -> granule_status {
    attempt(|| {
        // SAFETY: the caller promises a report.
        let report = unsafe { shared("report", report) }?;
        let Some(found) = report.findings.get(index) else {
            let message = format!("finding {index} of {}", report.findings.len());
            return fail(granule_status::Argument, message);
        };
        let string = |text: &str| granule_string::of(text.as_bytes());
        let description = granule_finding {
            rule: string(found.rule),
            is_error: found.is_error,
            offset: found.offset,
            place: string(&found.place),
            found: string(&found.found),
            expected: string(&found.expected),
        };
        // SAFETY: the caller promises room.
        unsafe { give("finding", finding, description) }
    })
}
