//! The validator: everything that is wrong with a file, not the first fault only.
//!
//! [`check`] does it all in one call. For large files, [`Checker`] hands out the blocks in [`Piece`]s that
//! any number of threads can scan. A rule is a file in [`rules`]; `spec/rules.md` is their list.
//!
//! ```
//! use granule_format::check::{self, Options};
//! let report = granule_format::check(b"GGUF\x09\0\0\0", &Options::default());
//! assert_eq!(report.findings[0].rule.id, "H003");
//! assert!(check::explain("H003").is_some());
//! ```

mod checker;
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

pub use checker::{Checker, check, check_drafts, explain};
pub use kind::FileKind;
pub use options::{Needed, Options};
pub use report::{Field, Finding, Report};
pub use rule::{Rule, Severity};
pub use rules::RULES;
pub use scan::Piece;
pub use sibling::{Sibling, is_sibling};
