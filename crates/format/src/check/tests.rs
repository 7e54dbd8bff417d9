//! Tests of all rules.

use super::testing::strings;
use super::*;
use crate::{BlockType, Draft, Metadata, Shape};

#[test]
fn ids_are_unique_and_in_order() {
    let place = |rule: &Rule| {
        let letter = rule.id.chars().next().expect("ids are not empty");
        ("HKVALTOPSXD".find(letter), rule.id)
    };
    for pair in RULES.windows(2) {
        assert!(place(&pair[0]) < place(&pair[1]), "{:?} before {:?}", pair[0], pair[1]);
    }
}

#[test]
fn pages_say_what_why_and_how() {
    for rule in RULES {
        assert!(rule.page.contains("\n\n**Why it is bad.** "), "{rule:?}");
        assert!(rule.page.contains("\n\n**How to fix.** "), "{rule:?}");
        assert!(rule.page.ends_with('\n') && !rule.page.contains("//!"), "{rule:?}");
        assert!(rule.summary().ends_with('.') && !rule.summary().contains('\n'), "{rule:?}");
        assert_eq!(super::rule(&rule.id.to_lowercase()), Some(rule));
    }
    assert_eq!(super::rule("H999"), None);
}

#[test]
fn siblings_are_known_by_their_names() {
    assert!(is_sibling("a-00001-of-00002.gguf", "a-00002-of-00002.gguf"));
    assert!(is_sibling("a-00001-of-00002.gguf", "a-00003-of-00002.gguf"));
    assert!(!is_sibling("a-00001-of-00002.gguf", "a-00001-of-00002.gguf"));
    assert!(!is_sibling("a-00001-of-00002.gguf", "a-00001-of-00003.gguf"));
    assert!(!is_sibling("a-00001-of-00002.gguf", "b-00002-of-00002.gguf"));
    assert!(!is_sibling("a.gguf", "a.gguf"));
}

/// A file of a set of `count`, with these tensors; the first has the metadata.
fn draft(number: u16, count: u16, tensors: &[&str]) -> Draft {
    let mut metadata = Metadata::new();
    if number == 0 {
        metadata.set("general.architecture", "test");
        metadata.set("test.block_count", 2_u32);
    }
    if count > 1 {
        metadata.set("split.no", number);
        metadata.set("split.count", count);
        metadata.set("split.tensors.count", 2_i32);
    }
    let mut draft = Draft::new(metadata, crate::Endian::Little).unwrap();
    for tensor in tensors {
        let shape = Shape::new(&[7]).unwrap();
        draft.add(tensor, shape, BlockType::F32.into()).unwrap();
    }
    draft
}

fn ids(drafts: &[Draft]) -> Vec<&'static str> {
    let findings = check_drafts(drafts, &Options::default());
    if let [draft] = drafts {
        let of_header = check_header(&draft.header(), draft.data_bytes(), &Options::default());
        assert_eq!(of_header, findings);
    }
    let mut ids: Vec<_> = findings.iter().map(|finding| finding.rule.id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn drafts_are_checked_without_data() {
    assert_eq!(ids(&[draft(0, 1, &["blk.0.a.weight", "blk.1.a.weight"])]), [""; 0]);
    assert_eq!(ids(&[draft(0, 1, &["blk.0.a.weight"])]), ["S024"]);
    let mut metadata = Metadata::new();
    metadata.set("tokenizer.ggml.tokens", strings(&["a", "a"]));
    assert_eq!(ids(&[Draft::new(metadata, crate::Endian::Big).unwrap()]), ["S019"]);
    assert_eq!(ids(&[]), [""; 0]);
}

#[test]
fn drafts_of_a_set_are_one_model() {
    let set = |first: &[&str], second: &[&str]| [draft(0, 2, first), draft(1, 2, second)];
    assert_eq!(ids(&set(&["blk.0.a.weight"], &["blk.1.a.weight"])), [""; 0]);
    assert_eq!(ids(&set(&[], &["blk.0.a.weight", "blk.1.a.weight"])), [""; 0]);
    assert_eq!(ids(&set(&["blk.0.a.weight"], &["blk.0.b.weight"])), ["S024"]);
    assert_eq!(ids(&set(&["blk.0.a.weight"], &[])), ["S024", "X004"]);
    assert_eq!(ids(&set(&["blk.0.a.weight"], &["blk.0.a.weight"])), ["S024", "X007"]);
}
