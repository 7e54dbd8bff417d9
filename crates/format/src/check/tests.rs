//! What holds for all rules.

use super::*;

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
        assert_eq!(explain(&rule.id.to_lowercase()), Some(rule.page));
    }
    assert_eq!(explain("H999"), None);
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
