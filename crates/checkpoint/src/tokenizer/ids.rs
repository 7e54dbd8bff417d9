//! Reads the vocabulary of a library tokenizer, id by id.

use super::Quirk;
use super::library::Library;
use super::{Input, TokenType, Tokens, added};
use crate::Error;
use crate::VocabularyProblem;

/// Returns every id from 0 to the end of the vocabulary, whose size comes from the config or else
/// from the number of tokens. The second result holds the texts of tokens past the end.
pub(super) fn tokens(library: &Library, input: &Input<'_>) -> Result<(Tokens, Vec<String>), Error> {
    let texts = library.texts();
    let added_tokens = library.added();
    let size = match input.vocabulary(&["vocab_size"])? {
        Some(size) => size as u64,
        None => texts.last_key_value().map_or(0, |(last, _)| last + 1),
    };
    // In a damaged file, a token is past the end because another place is empty.
    let misplaced = texts.range(size..).find(|(id, _)| !added_tokens.contains_key(id));
    if let Some((id, token)) = misplaced
        && (0..*id).any(|id| !texts.contains_key(&id))
    {
        let problem =
            VocabularyProblem::TokenId { token: token.clone(), id: *id, vocabulary: size };
        return Err(Error::in_file(library.path(), problem));
    }
    let beyond = texts.range(size..).map(|(_, text)| text.clone()).collect();
    let mut tokens = Tokens::default();
    for id in 0..size {
        match (texts.get(&id), added_tokens.get(&id)) {
            (None, _) => tokens.push(format!("[PAD{id}]"), TokenType::Unused),
            (Some(text), None) => tokens.push(text.as_str(), TokenType::Normal),
            (Some(text), Some(token)) if input.has(&Quirk::StatedKinds) => {
                let ty = if token.special { TokenType::Control } else { TokenType::UserDefined };
                tokens.push(text.as_str(), ty);
            }
            (Some(text), Some(token)) => {
                // Programs match control and user-defined tokens before they normalize text.
                let text =
                    if token.normalized { text.clone() } else { library.round_trip(text)? };
                let control = Quirk::Control(text.clone().into());
                let (text, ty) = added(text, token.special || input.has(&control));
                tokens.push(text, ty);
            }
        }
    }
    Ok((tokens, beyond))
}
