//! BPE of `tokenizer.json`, or of `vocab.json` and `merges.txt`. Usually on bytes that are written
//! as characters.

use super::library::Library;
use super::{Input, Vocabulary, bare, ids, pre};
use crate::Error;

/// Returns whether the checkpoint has a tokenizer of this kind.
pub(super) fn is_there(input: &Input<'_>) -> bool {
    match &input.json {
        Some(json) => json.model_type() == "BPE",
        None => bare::has_merges(input.folder),
    }
}

/// Reads the name of the pre-tokenizer, and every id from 0 to the end of the vocabulary.
pub(super) fn read(input: &Input<'_>, warnings: &mut Vec<String>) -> Result<Vocabulary, Error> {
    let library = Library::open(input, warnings)?;
    let pre = pre::name(&library, input.pre, warnings)?;
    let (tokens, beyond) = ids::tokens(&library, input)?;
    Ok(Vocabulary { merges: true, beyond, ..Vocabulary::new("gpt2", pre, tokens) })
}

/// Returns whether the tokenizer splits text only at white space.
pub(super) fn splits_at_spaces(input: &Input<'_>) -> bool {
    let kind = |json: &super::TokenizerFile| {
        let steps = json.object.get("pre_tokenizer")?;
        Some(is_there(input) && steps.get("type")?.as_str()? == "Whitespace")
    };
    input.json.as_ref().and_then(kind).unwrap_or(false)
}

/// Reads every id. The name of the pre-tokenizer is fixed, because others have the same hash.
pub(super) fn read_whitespace(
    input: &Input<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vocabulary, Error> {
    let library = Library::open(input, warnings)?;
    let (tokens, beyond) = ids::tokens(&library, input)?;
    let vocabulary = Vocabulary::new("whitespace", "whitespace", tokens);
    Ok(Vocabulary { merges: true, beyond, ..vocabulary })
}
