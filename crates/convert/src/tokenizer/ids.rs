//! The vocabulary of a tokenizer of the library, id by id.

use super::library::Library;
use super::{Input, TokenType, Tokens, added};
use crate::Error;
use crate::source::Problem;

/// Every id from 0 to the end of the vocabulary: as many as the config says, else as many as there are
/// tokens.
pub(super) fn tokens(library: &Library, input: &Input<'_>) -> Result<Tokens, Error> {
    let texts = library.texts();
    let added_tokens = library.added();
    let size = input.vocabulary(&["vocab_size"])?.map_or(texts.len() as u64, |size| size as u64);
    if let Some((id, token)) = texts.last_key_value()
        && *id >= size
    {
        let problem = Problem::TokenId { token: token.clone(), id: *id, vocabulary: size };
        return Err(Error::in_file(library.path(), problem));
    }
    let mut tokens = Tokens::default();
    for id in 0..size {
        match (texts.get(&id), added_tokens.get(&id)) {
            (None, _) => tokens.push(format!("[PAD{id}]"), TokenType::Unused),
            (Some(text), None) => tokens.push(text.as_str(), TokenType::Normal),
            (Some(text), Some(token)) => {
                // Programs look for control and user-defined tokens before they normalize.
                let text =
                    if token.normalized { text.clone() } else { library.round_trip(text)? };
                let (text, ty) = added(text, token.special);
                tokens.push(text, ty);
            }
        }
    }
    Ok(tokens)
}
