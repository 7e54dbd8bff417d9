//! `tokenizer.json` with BPE on characters and tokens for single bytes: a SentencePiece model in another
//! form, without its scores.

use serde_json::Value;

use super::hugging_face::HuggingFace;
use super::{Input, TokenType, Tokens};
use crate::Error;

/// The score of every token: the file has none.
const SCORE: f32 = -1000.0;

/// Whether the file is of this kind.
pub(super) fn is_kind(json: &HuggingFace) -> bool {
    let flag = |key| json.model(key).and_then(Value::as_bool);
    let decoder = json.json.get("decoder").and_then(|decoder| decoder.get("type"));
    json.model_type() == "BPE"
        && flag("byte_fallback") == Some(true)
        && decoder.and_then(Value::as_str) == Some("Sequence")
}

/// The tokens of the model, then the added ones.
pub(super) fn tokens(input: &Input<'_>) -> Result<Tokens, Error> {
    let Some(json) = &input.hugging_face else { return Ok(Tokens::default()) };
    let vocabulary = json.vocabulary()?;
    let specials = json.special_texts();
    let mut tokens = Tokens::default();
    for id in 0..vocabulary.base {
        let text = vocabulary.texts.get(&id);
        let text = text.ok_or_else(|| json.fail(format!("no token has the id {id}")))?;
        let ty = if is_byte(text) {
            TokenType::Byte
        } else if specials.contains(text) {
            TokenType::Control
        } else {
            TokenType::Normal
        };
        tokens.push(text.as_str(), ty);
    }
    for token in vocabulary.added.range(vocabulary.base..).map(|(_, token)| token) {
        let special = specials.contains(&token.text);
        let ty = if special { TokenType::Control } else { TokenType::UserDefined };
        tokens.push(token.text.as_str(), ty);
    }
    tokens.scores = vec![SCORE; tokens.texts.len()];
    Ok(tokens)
}

/// Whether a token stands for a byte: `<0x0A>`.
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
