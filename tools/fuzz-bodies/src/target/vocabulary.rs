//! What holds for the vocabulary of every checkpoint that can be opened.

use std::collections::HashSet;

use granule_checkpoint::{Checkpoint, CheckpointOptions, Layout};
use granule_format::{Array, Draft, Endian, Header, Metadata, StringArray, Value};
use granule_reader::Source;
use tempfile::TempDir;

/// Opens the tokenizer of a checkpoint. What it becomes is whole, and can be read again.
pub(super) fn open(folder: &TempDir, layout: Layout) -> Option<Checkpoint> {
    let options = CheckpointOptions { layout, vocabulary_only: true, ..Default::default() };
    let checkpoint = Checkpoint::open(folder.path(), &options).ok()?;
    let metadata = checkpoint.metadata();
    if let Some(tokens) = strings(metadata, "tokens") {
        for key in ["scores", "token_type"] {
            let length = match value(metadata, key) {
                Some(Value::Array(Array::F32(items))) => items.len(),
                Some(Value::Array(Array::I32(items))) => items.len(),
                _ => continue,
            };
            assert_eq!(length, tokens.len(), "{key}");
        }
        let different: HashSet<&[u8]> = tokens.iter().collect();
        let is_told = |warning: &String| warning.contains("have the same text");
        let is_told = checkpoint.warnings().iter().any(is_told);
        assert!(is_told || different.len() == tokens.len(), "two tokens are the same");
    }
    let draft = Draft::new(metadata.clone(), Endian::Little).expect("metadata can be written");
    let written = draft.header();
    let again = Header::parse(&written).expect("what was written can be read");
    // compared as text: NaN is not equal to itself
    assert_eq!(format!("{:?}", again.metadata()), format!("{metadata:?}"));
    Some(checkpoint)
}

/// Checks that the merges are of two tokens each, and make one.
pub(super) fn check_merges(checkpoint: &Checkpoint) {
    let metadata = checkpoint.metadata();
    let Some(merges) = strings(metadata, "merges") else { return };
    let tokens = strings(metadata, "tokens").expect("merges are of tokens");
    let tokens: HashSet<&[u8]> = tokens.iter().collect();
    for merge in merges.iter() {
        let parts: Vec<&[u8]> = merge.split(|byte| *byte == b' ').collect();
        assert_eq!(parts.len(), 2, "{merge:?}");
        for token in [parts[0], parts[1], &parts.concat()] {
            assert!(tokens.contains(token), "{merge:?} is about {token:?}, which is no token");
        }
    }
}

fn strings<'a>(metadata: &'a Metadata, key: &str) -> Option<&'a StringArray> {
    match value(metadata, key) {
        Some(Value::Array(Array::String(items))) => Some(items),
        _ => None,
    }
}

fn value<'a>(metadata: &'a Metadata, key: &str) -> Option<&'a Value> {
    metadata.get(&format!("tokenizer.ggml.{key}"))
}
