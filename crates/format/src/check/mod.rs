//! The validator: finds everything that is wrong with a file, not only the first fault.
//!
//! [`check`](crate::check()) does everything in one call. For large files, [`Checker`] returns the
//! blocks in [`Piece`]s that any number of threads can scan. `spec/rules.md` lists the [`RULES`].
//!
//! ```
//! use granule_format::check::{self, Options};
//! let report = granule_format::check(b"GGUF\x09\0\0\0", &Options::default());
//! assert_eq!(report.findings[0].rule.id, "H003");
//! let rule = check::rule("H003").expect("a rule with this id");
//! assert!(rule.page.starts_with("The version is not 1, 2 or 3"));
//! ```

pub(crate) mod checker;
mod facts;
mod kind;
mod options;
mod probe;
mod report;
mod rule;
mod rules;
mod scan;
mod sibling;
mod sink;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod view;
mod vocabulary;
mod whole;

pub use self::rule::{Rule, Severity};
#[cfg(test)]
pub(crate) use checker::check;
pub use checker::{Checker, check_drafts, check_header, rule};
pub use kind::FileKind;
pub use options::{Needed, Options};
pub use report::{Field, Finding, Report};
pub use rules::RULES;
pub use scan::Piece;
pub use sibling::{Sibling, is_sibling};
