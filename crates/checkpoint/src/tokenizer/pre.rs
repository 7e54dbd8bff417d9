//! Identifies the pre-tokenizer, which splits text before BPE: `tokenizer.ggml.pre`.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::expressions::{EXPRESSIONS, STEPS};
use super::library::Library;
use super::pre_names::NAMES;
use crate::Error;
use granule_format::nearest::{did_you_mean, nearest};

/// The test text whose ids are hashed: spaces, emojis, numbers, several scripts, punctuation and
/// contractions. Any change to it would change all hashes.
const TEST_TEXT: &str = "\
    \n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n\u{1f680} (normal) \u{1f636}\u{200d}\
    \u{1f32b}\u{fe0f} (multiple emojis concatenated) \u{2705} \u{1f999}\u{1f999} 3 33 333 3333 3\
    3333 333333 3333333 33333333 3.3 3..3 3...3 \u{1780}\u{17b6}\u{1793}\u{17cb}\u{178f}\u{17c2}\
    \u{1796}\u{17b7}\u{179f}\u{17c1}\u{179f}\u{17a2}\u{17b6}\u{1785}\u{1f601} ?\u{6211}\u{60f3}\
    \u{5728}apple\u{5de5}\u{4f5c}1314151\u{5929}\u{ff5e} ------======= \u{43d}\u{435}\u{449}\
    \u{43e} \u{43d}\u{430} \u{411}\u{44a}\u{43b}\u{433}\u{430}\u{440}\u{441}\u{43a}\u{438} '''''\
    '```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? 'M not sure I'l\
    l make it, 'D you like some tea? We'Ve a'lL";

/// Returns the name of the pre-tokenizer: the user's choice, or by hash, or by structure with a
/// warning.
pub(super) fn name(
    library: &Library,
    wanted: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<String, Error> {
    if let Some(name) = wanted {
        if !known_names().any(|known| known == name) {
            warnings.push(format!(
                "--pre {name}: this pre-tokenizer is unknown, and llama.cpp may reject the file{}",
                did_you_mean(&nearest(name, known_names()))
            ));
        }
        return Ok(name.to_owned());
    }
    let hash = hash(&library.ids(TEST_TEXT)?);
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == hash) {
        return Ok((*name).to_owned());
    }
    let name = by_structure(&library.pre_tokenizer());
    warnings.push(format!(
        "{}: the pre-tokenizer is unknown (hash {hash}); its structure is closest to {name:?}. If \
         the model's output looks wrong, choose another one",
        library.path().display()
    ));
    Ok(name.to_owned())
}

/// Returns the names of pre-tokenizers, some of them several times.
fn known_names() -> impl Iterator<Item = &'static str> {
    let tables = [NAMES, EXPRESSIONS, STEPS].into_iter().flatten();
    tables.map(|(_, name)| *name).chain(["default"])
}

/// Hashes the ids, written as a Python list, with SHA-256.
fn hash(ids: &[u32]) -> String {
    let ids: Vec<_> = ids.iter().map(u32::to_string).collect();
    let digest = Sha256::digest(format!("[{}]", ids.join(", ")));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the closest known name for the steps of a pre-tokenizer.
fn by_structure(pre_tokenizer: &Value) -> &'static str {
    let steps = match pre_tokenizer.get("pretokenizers") {
        Some(Value::Array(steps)) => steps.as_slice(),
        _ => std::slice::from_ref(pre_tokenizer),
    };
    let is = |step: &Value, ty: &str| step.get("type").and_then(Value::as_str) == Some(ty);
    let expressions = steps.iter().filter_map(|step| step.get("pattern")?.get("Regex")?.as_str());
    for expression in expressions {
        if let Some((_, name)) = EXPRESSIONS.iter().find(|(known, _)| *known == expression) {
            return name;
        }
    }
    // Character-level BPE as in Gemma splits only at spaces, which stay with the preceding text.
    let space =
        |step: &Value| step.get("pattern").and_then(|it| it.get("String")?.as_str()) == Some(" ");
    if steps.iter().any(space) {
        return "granite-embed-multi-311m";
    }
    for (ty, name) in STEPS {
        if steps.iter().any(|step| is(step, ty)) {
            return name;
        }
    }
    // The `default` of llama.cpp is an expression of its own that matches no other. GPT-2's is the
    // most common.
    "gpt-2"
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_hash_has_one_name() {
        let hashes: HashSet<_> = NAMES.iter().map(|(hash, _)| hash).collect();
        assert_eq!(hashes.len(), NAMES.len());
        assert!(NAMES.is_sorted_by_key(|(_, name)| name));
    }

    #[test]
    fn structure_names_the_family() {
        let split = |regex: &str| json!({"type": "Split", "pattern": {"Regex": regex}});
        let byte_level = json!({"type": "ByteLevel", "use_regex": true});
        let sequence = |steps: &[Value]| json!({"type": "Sequence", "pretokenizers": steps});
        assert_eq!(by_structure(&byte_level), "gpt-2");
        assert_eq!(
            by_structure(&sequence(&[split(EXPRESSIONS[1].0), byte_level.clone()])),
            "qwen2"
        );
        assert_eq!(by_structure(&sequence(&[json!({"type": "Digits"}), byte_level])), "starcoder");
        assert_eq!(by_structure(&json!({"type": "BertPreTokenizer"})), "jina-v2-en");
        let spaces = json!({"type": "Split", "pattern": {"String": " "}});
        assert_eq!(by_structure(&spaces), "granite-embed-multi-311m");
        assert_eq!(by_structure(&Value::Null), "gpt-2");
    }
}
