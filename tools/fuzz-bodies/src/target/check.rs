//! The validator, blocks included.

use granule_format::check::{Checker, Options};
use granule_format::{Header, check};

pub(super) fn run(input: &[u8]) {
    let options = Options::default().with_name("model-00002-of-00003.gguf");
    let report = check(input, &options);
    if let Err(error) = Header::parse(input) {
        assert!(!report.is_valid(false), "accepted although {error}");
    }
    for finding in &report.findings {
        assert!(
            finding.offset <= input.len() as u64 || finding.rule.id == "O008",
            "{finding} in {} bytes",
            input.len()
        );
        assert!(!finding.found.is_empty() && !finding.expected.is_empty(), "{finding}");
        assert!(finding.to_string().len() < 2000, "{finding}");
    }
    let json = serde_json::to_string(&report).expect("a report can be written as JSON");
    assert!(json.len() < 1 << 20, "{} bytes of JSON", json.len());

    // in parts, with the pieces scanned in another order
    let mut checker = Checker::new(input, &options);
    let mut found: Vec<_> = checker.pieces().iter().rev().map(|piece| piece.scan()).collect();
    found.reverse();
    found.into_iter().for_each(|findings| checker.add(findings));
    assert_eq!(checker.finish(), report);
}
