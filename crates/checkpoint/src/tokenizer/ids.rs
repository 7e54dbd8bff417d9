//! The vocabulary of a tokenizer of the library, id by id.

use super::library::Library;
use super::{Input, TokenType, Tokens, added};
use crate::Error;
use crate::Problem;

/// Returns every id from 0 to the end of the vocabulary: as many as the config says, else as many as there are
/// tokens. The texts of tokens beyond it come second.
pub(super) fn tokens(library: &Library, input: &Input<'_>) -> Result<(Tokens, Vec<String>), Error> {
    let texts = library.texts();
    let added_tokens = library.added();
    let size = match input.vocabulary(&["vocab_size"])? {
        Some(size) => size as u64,
        None => texts.last_key_value().map_or(0, |(last, _)| last + 1),
    };
    // Of a damaged file a token is beyond the end because it is not in its place.
    let misplaced = texts.range(size..).find(|(id, _)| !added_tokens.contains_key(id));
    if let Some((id, token)) = misplaced
        && (0..*id).any(|id| !texts.contains_key(&id))
    {
        let problem = Problem::TokenId { token: token.clone(), id: *id, vocabulary: size };
        return Err(Error::in_file(library.path(), problem));
    }
    let beyond = texts.range(size..).map(|(_, text)| text.clone()).collect();
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
    Ok((tokens, beyond))
}
