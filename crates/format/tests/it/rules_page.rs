//! `spec/rules.md` and `spec/check-report.schema.json` against the code. `GRANULE_UPDATE=1` writes
//! the page again.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use granule_format::check;
use granule_format::check::{Options, RULES, Severity};
use serde_json::{Value, json};

fn spec(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../spec", name].iter().collect()
}

/// The parts of a file, by the first letter of the rules.
const PARTS: &[(char, &str)] = &[
    ('H', "Header"),
    ('K', "Keys"),
    ('V', "Values"),
    ('A', "Arrays"),
    ('L', "Alignment"),
    ('T', "Tensor table"),
    ('O', "Layout of the data"),
    ('P', "Padding"),
    ('S', "Meaning"),
    ('X', "Split sets"),
    ('D', "Blocks"),
];

fn page() -> String {
    let mut page = String::from(
        "# Rules\n\n\
        The findings of `granule check`. Ids and severities are stable: the id of a rule that is\n\
        dropped is not used again. An error makes the file invalid; a warning does not, unless\n\
        `--strict` is given.\n\n\
        This page is generated from the texts of the rules by\n\
        `GRANULE_UPDATE=1 cargo test -p granule-format --test it rules_page`.\n\
        `granule explain H001` shows the text of one rule.\n",
    );
    for (letter, title) in PARTS {
        let rules = || RULES.iter().filter(|rule| rule.id.starts_with(*letter));
        assert!(rules().next().is_some(), "{title}");
        write!(page, "\n## {title}\n").unwrap();
        for rule in rules() {
            let name = rule.name.replace('_', " ");
            write!(page, "\n### {} {name} ({})\n\n{}", rule.id, rule.severity, rule.page).unwrap();
        }
    }
    page
}

#[test]
fn the_page_is_up_to_date() {
    let (path, page) = (spec("rules.md"), page());
    if std::env::var_os("GRANULE_UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == page,
        "run with GRANULE_UPDATE=1 to write {path:?}"
    );
    assert_eq!(page.matches("\n### ").count(), RULES.len());
}

#[test]
fn reports_are_as_the_schema_says() {
    let schema: Value =
        serde_json::from_slice(&fs::read(spec("check-report.schema.json")).unwrap()).unwrap();
    let files = [env!("CARGO_MANIFEST_DIR"), "../../fixtures/files"].iter().collect::<PathBuf>();
    let mut fields = std::collections::BTreeSet::new();
    for folder in ["valid", "warned", "invalid"] {
        for entry in fs::read_dir(files.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let options = Options::default().with_name(name).with_siblings(&[]);
            let report = serde_json::to_value(check(&fs::read(&path).unwrap(), &options)).unwrap();
            for finding in report["findings"].as_array().unwrap() {
                fields.insert(finding["field"]["part"].as_str().unwrap().to_owned());
            }
            assert_eq!(fault(&schema, &schema, &report), None, "{path:?}: {report}");
        }
    }
    let parts = ["block", "entry", "header", "metadata", "padding", "row", "shard", "tensor"];
    assert_eq!(Vec::from_iter(fields), parts);
}

#[test]
fn the_schema_refuses_other_reports() {
    let schema: Value =
        serde_json::from_slice(&fs::read(spec("check-report.schema.json")).unwrap()).unwrap();
    let report = serde_json::to_value(check(b"GGUF\x09\0\0\0", &Options::default())).unwrap();
    assert_eq!(fault(&schema, &schema, &report), None);
    for (pointer, value) in [
        ("/kind", json!("gguf2")),
        ("/errors", json!("1")),
        ("/findings/0/severity", json!("fatal")),
        ("/findings/0/rule", json!("h003")),
        ("/findings/0/field", json!({"part": "tensor"})),
        ("/findings/0/more", json!(1)),
    ] {
        let mut report = report.clone();
        match report.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => report["findings"][0]["more"] = value,
        }
        assert!(fault(&schema, &schema, &report).is_some(), "{pointer}");
    }
}

#[test]
fn rules_in_json_have_their_severity() {
    let report = serde_json::to_value(check(b"GGUF\x09\0\0\0", &Options::default())).unwrap();
    let finding = &report["findings"][0];
    assert_eq!((&finding["rule"], &finding["severity"]), (&json!("H003"), &json!("error")));
    assert_eq!(RULES.iter().filter(|rule| rule.severity == Severity::Warning).count(), 27);
}

/// The first thing in `value` that the schema does not allow: the keywords that the schema uses, no
/// others.
fn fault(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    for (keyword, argument) in schema.as_object().unwrap() {
        let is_good = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "additionalProperties" => true,
            "$ref" => {
                let target =
                    root.pointer(argument.as_str().unwrap().trim_start_matches('#')).unwrap();
                return fault(root, target, value);
            }
            "type" => match argument.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_u64(),
                "boolean" => value.is_boolean(),
                other => panic!("type {other}"),
            },
            "const" => value == argument,
            "enum" => argument.as_array().unwrap().contains(value),
            "minimum" => value.as_u64() >= argument.as_u64(),
            "pattern" => {
                assert_eq!(argument, "^[A-Z][0-9]{3}$");
                let id = value.as_str().unwrap().as_bytes();
                id.len() == 4
                    && id[0].is_ascii_uppercase()
                    && id[1..].iter().all(u8::is_ascii_digit)
            }
            "required" => argument
                .as_array()
                .unwrap()
                .iter()
                .all(|key| !value[key.as_str().unwrap()].is_null()),
            "properties" => {
                for (key, value) in value.as_object()? {
                    match argument.get(key) {
                        Some(schema) => {
                            if let Some(fault) = fault(root, schema, value) {
                                return Some(format!("{key}: {fault}"));
                            }
                        }
                        None if schema["additionalProperties"] == json!(false) => {
                            return Some(key.clone());
                        }
                        None => {}
                    }
                }
                true
            }
            "items" => {
                let items = value.as_array()?;
                return items.iter().find_map(|item| fault(root, argument, item));
            }
            "oneOf" => {
                let schemas = argument.as_array().unwrap();
                schemas.iter().filter(|schema| fault(root, schema, value).is_none()).count() == 1
            }
            other => panic!("keyword {other}"),
        };
        if !is_good {
            return Some(format!("{keyword} {argument}: {value}"));
        }
    }
    None
}
