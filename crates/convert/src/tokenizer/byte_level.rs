//! `tokenizer.json` with BPE on bytes that are written as characters.

use serde_json::Value;

use super::{Input, TokenType, Tokens, added, pre};
use crate::Error;
use crate::source::Problem;

/// Spaces that the library removes from decoded text if the config says so: what is replaced by what.
const CLEAN_UP: &[(&str, &str)] = &[
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

/// The name of the pre-tokenizer, and every id from 0 to the end of the vocabulary.
pub(super) fn tokens(
    input: &Input<'_>,
    warnings: &mut Vec<String>,
) -> Result<(String, Tokens), Error> {
    let Some(json) = &input.hugging_face else { return Ok(Default::default()) };
    let vocabulary = json.vocabulary()?;
    let size = match input.vocabulary()? {
        Some(size) => size as u64,
        None => vocabulary.texts.len() as u64,
    };
    if let Some((id, token)) = vocabulary.texts.last_key_value()
        && *id >= size
    {
        let problem = Problem::TokenId { token: token.clone(), id: *id, vocabulary: size };
        return Err(Error::in_file(json.path(), problem));
    }
    let tokenizer = json.tokenizer()?;
    let pre = pre::name(json, &tokenizer, input.pre, warnings)?;

    let clean_up = json.config.get("clean_up_tokenization_spaces").and_then(Value::as_bool);
    let round_trip = |text: &str| -> Result<String, Error> {
        let fail = |error: tokenizers::Error| json.fail(error.to_string());
        let ids = tokenizer.encode(text, false).map_err(fail)?;
        let mut text = tokenizer.decode(ids.get_ids(), false).map_err(fail)?;
        if clean_up == Some(true) {
            CLEAN_UP.iter().for_each(|(from, to)| text = text.replace(from, to));
        }
        Ok(text)
    };
    let mut tokens = Tokens::default();
    for id in 0..size {
        match (vocabulary.texts.get(&id), vocabulary.added.get(&id)) {
            (None, _) => tokens.push(format!("[PAD{id}]"), TokenType::Unused),
            (Some(text), None) => tokens.push(text.as_str(), TokenType::Normal),
            (Some(text), Some(token)) => {
                let text = if token.normalized { text.clone() } else { round_trip(text)? };
                let (text, ty) = added(text, token.special);
                tokens.push(text, ty);
            }
        }
    }
    Ok((pre, tokens))
}
