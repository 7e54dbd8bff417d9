//! `tokenizer.json` with BPE on characters and tokens for single bytes: a SentencePiece model in
//! another form, without its scores.

use std::collections::HashSet;

use serde_json::Value;

use super::library::Library;
use super::{Input, Quirk, TokenType, Tokens, Vocabulary};
use crate::Error;

/// The score of every token, because the file has none.
const SCORE: f32 = -1000.0;

/// Returns whether the checkpoint has a tokenizer of this kind.
pub(super) fn is_there(input: &Input<'_>) -> bool {
    let Some(json) = &input.json else { return false };
    let flag = |key| json.model(key).and_then(Value::as_bool);
    let decoder = json.object.get("decoder").and_then(|decoder| decoder.get("type"));
    json.model_type() == "BPE"
        && flag("byte_fallback") == Some(true)
        && decoder.and_then(Value::as_str) == Some("Sequence")
}

/// Reads the tokens of the model, followed by the added ones.
pub(super) fn read(input: &Input<'_>, warnings: &mut Vec<String>) -> Result<Vocabulary, Error> {
    let library = Library::open(input, warnings)?;
    let texts = library.texts();
    let specials: HashSet<u64> =
        library.specials().iter().filter_map(|text| library.id(text)).collect();
    let base = library.base() as u64;
    let mut tokens = Tokens::default();
    for id in 0..base {
        let text = texts.get(&id);
        let text = text.ok_or_else(|| library.fail(format!("no token has the id {id}")))?;
        let ty = if is_byte(text) {
            TokenType::Byte
        } else if specials.contains(&id) {
            TokenType::Control
        } else {
            TokenType::Normal
        };
        tokens.push(text.as_str(), ty);
    }
    for (id, token) in library.added().range(base..) {
        let special = specials.contains(id);
        let ty = if special { TokenType::Control } else { TokenType::UserDefined };
        tokens.push(token.content.as_str(), ty);
    }
    tokens.scores = vec![SCORE; tokens.texts.len()];
    Ok(Vocabulary { limited: true, ..Vocabulary::new("llama", "default", tokens) })
}

/// Reads every id from 0 to the end of the vocabulary, without scores.
pub(super) fn read_unscored(
    input: &Input<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vocabulary, Error> {
    let library = Library::open(input, warnings)?;
    let (texts, added) = (library.texts(), library.added());
    let after = texts.last_key_value().map_or(0, |(last, _)| last + 1);
    let size = input.vocabulary(&["vocab_size"])?.map_or(after, |size| size as u64);
    let mut tokens = Tokens::default();
    for id in 0..size {
        let (text, ty) = match (texts.get(&id).map(String::as_str), added.get(&id)) {
            (None, _) => (format!("[PAD{id}]"), TokenType::Unused),
            // Programs would take it for the end of a string.
            (Some("\0"), _) => ("<b'\\x00'>".to_owned(), TokenType::Byte),
            (Some(text), _) if is_byte(text) => (text.to_owned(), TokenType::Byte),
            (Some(text), Some(token)) if token.special => (text.to_owned(), TokenType::Control),
            (Some(text), Some(_)) => (text.to_owned(), TokenType::UserDefined),
            (Some(text), None) => (text.to_owned(), TokenType::Normal),
        };
        tokens.push(text, ty);
    }
    let beyond = texts.range(size..).map(|(_, text)| text.clone()).collect();
    Ok(Vocabulary { limited: true, beyond, ..Vocabulary::new("llama", "default", tokens) })
}

/// Reads the same tokens with the merges between them.
pub(super) fn read_with_merges(
    input: &Input<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vocabulary, Error> {
    let mut vocabulary = read(input, warnings)?;
    vocabulary.tokens.show(input);
    let (limited, padded) = (false, false);
    Ok(Vocabulary { model: "gemma4", pre: None, limited, merges: true, padded, ..vocabulary })
}

impl Tokens {
    /// Makes the tokens user-defined that are to be printed.
    fn show(&mut self, input: &Input<'_>) {
        for quirk in input.quirks {
            let Quirk::Visible(texts) = quirk else { continue };
            for (text, ty) in self.texts.iter().zip(&mut self.types) {
                if texts.iter().any(|shown| shown.as_bytes() == text.as_slice()) {
                    *ty = TokenType::UserDefined;
                }
            }
        }
    }
}

/// Returns whether a token stands for a byte, such as `<0x0A>`.
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
