//! The validator over `fixtures/files`: small files, valid ones, valid ones with something to warn
//! of, and invalid ones with the rule that they break.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use granule_format::check::{FileKind, Options, RULES, Report, Severity, Sibling, is_sibling};
use granule_format::{Header, Metadata, check};
use serde_json::Value;

struct Case {
    name: String,
    entry: Value,
    bytes: Vec<u8>,
}

impl Case {
    fn text(&self, key: &str) -> &str {
        self.entry[key].as_str().unwrap_or_default()
    }

    fn is_valid(&self) -> bool {
        self.entry["valid"].as_bool().unwrap()
    }

    /// The rule that the file breaks, and those that may be reported instead.
    fn rules(&self) -> Vec<&str> {
        let also = self.entry["also"].as_array().map_or(&[][..], Vec::as_slice);
        let rule = self.entry["rule"].as_str();
        rule.into_iter().chain(also.iter().filter_map(Value::as_str)).collect()
    }

    /// The report on the file, with the other files of its set if it is a shard.
    fn report(&self) -> Report {
        let siblings: Vec<_> = names(self.folder())
            .into_iter()
            .filter(|other| is_sibling(&self.name, other))
            .map(|other| {
                let header =
                    Header::parse(&fs::read(folder(self.folder()).join(&other)).unwrap()).ok();
                (other, header)
            })
            .collect();
        let siblings: Vec<_> = siblings
            .iter()
            .map(|(name, header)| Sibling { name, header: header.as_ref() })
            .collect();
        let options =
            Options::default().with_name(&self.name).with_siblings(&siblings).with_needed(needed);
        check(&self.bytes, &options)
    }

    fn folder(&self) -> &'static str {
        match self.text("severity") {
            "error" => "invalid",
            "warning" => "warned",
            _ => "valid",
        }
    }
}

/// Some of what the descriptions of architectures say, which this crate does not have.
fn needed(metadata: &Metadata, layers: &[u64], found: &mut dyn FnMut(&str)) {
    if metadata.text("general.architecture") == Ok(Some("llama")) {
        found("token_embd.weight");
        found("output_norm.weight");
        layers.iter().for_each(|layer| found(&format!("blk.{layer}.attn_norm.weight")));
    }
}

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../fixtures/files", name].iter().collect()
}

fn names(in_folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder(in_folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn cases() -> Vec<Case> {
    let manifest = fs::read(folder("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let case = |entry: &Value| {
        let mut case = Case {
            name: entry["file"].as_str().unwrap().into(),
            entry: entry.clone(),
            bytes: vec![],
        };
        case.bytes = fs::read(folder(case.folder()).join(&case.name)).unwrap();
        assert_eq!(case.bytes.len() as u64, entry["size"].as_u64().unwrap(), "{}", case.name);
        case
    };
    manifest["files"].as_array().unwrap().iter().map(case).collect()
}

fn ids(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.rule.id).collect()
}

#[test]
fn no_file_is_without_an_entry() {
    let mut listed = BTreeSet::new();
    for case in cases() {
        listed.insert(case.name.clone());
        let parts = case.entry["files"].as_array().cloned().unwrap_or_default();
        listed.extend(parts.iter().map(|part| part.as_str().unwrap().to_owned()));
    }
    let there: BTreeSet<_> = ["valid", "warned", "invalid"].into_iter().flat_map(names).collect();
    assert_eq!(listed, there);
    assert!(listed.len() > 200);
}

#[test]
fn every_rule_has_a_file() {
    let shown: BTreeSet<_> = cases()
        .iter()
        .flat_map(|case| case.report().findings)
        .map(|finding| finding.rule.id)
        .collect();
    let without = RULES.iter().map(|rule| rule.id).filter(|id| !shown.contains(id));
    assert_eq!(without.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn invalid_files_break_their_rule() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| !case.is_valid()) {
        let report = case.report();
        assert!(!report.is_valid(false), "{} is accepted", case.name);
        let ids = ids(&report);
        if !case.rules().iter().any(|rule| ids.contains(rule)) {
            wrong.push(format!("{}: {ids:?}, not {:?}", case.name, case.rules()));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn warned_files_get_the_warning_and_nothing_else() {
    for case in cases().iter().filter(|case| case.folder() == "warned") {
        let report = case.report();
        assert_eq!(ids(&report), [case.text("rule")], "{}", case.name);
        assert_eq!(report.findings[0].rule.severity, Severity::Warning);
        assert!(report.is_valid(false) && !report.is_valid(true));
    }
}

#[test]
fn valid_files_get_nothing() {
    for case in cases().iter().filter(|case| case.folder() == "valid") {
        let report = case.report();
        let texts: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [""; 0], "{}", case.name);
        assert_eq!(report.kind, FileKind::Gguf);
    }
}

/// What the parser refuses and takes agrees with the corpus; it does not look at data or meaning.
#[test]
fn the_parser_agrees() {
    for case in cases() {
        let parsed = Header::parse(&case.bytes);
        match (case.is_valid(), case.text("layer")) {
            (true, _) => assert!(parsed.is_ok(), "{}: {parsed:?}", case.name),
            (false, "parse") => assert!(parsed.is_err(), "{}", case.name),
            (false, "data" | "meta" | "set") => {
                assert!(parsed.is_ok(), "{}: {parsed:?}", case.name)
            }
            // some faults of the table leave it readable
            (false, "tensor") => {}
            (_, layer) => panic!("layer {layer}"),
        }
    }
}

#[test]
fn findings_say_where() {
    for case in cases() {
        for finding in case.report().findings {
            let name = &case.name;
            assert!(
                finding.offset <= case.bytes.len() as u64 || finding.rule.id == "O008",
                "{name}: {finding}"
            );
            assert!(!finding.found.is_empty() && !finding.expected.is_empty(), "{name}: {finding}");
            assert!(finding.to_string().len() < 1000, "{name}: {finding}");
        }
    }
}
