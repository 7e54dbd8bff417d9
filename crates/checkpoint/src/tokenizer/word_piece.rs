//! WordPiece tokenizers, as in BERT: `tokenizer.json` or `vocab.txt`.

use super::library::Library;
use super::{Input, TokenType, Vocabulary, bare, ids, pre};
use crate::Error;

/// Returns whether the checkpoint has a tokenizer of this kind.
pub(super) fn is_there(input: &Input<'_>) -> bool {
    match &input.json {
        Some(json) => json.model_type() == "WordPiece",
        None => bare::has_words(input.folder),
    }
}

/// Reads every id. The GGUF file marks pieces that begin a word; the checkpoint marks those that
/// continue one.
pub(super) fn read(input: &Input<'_>, warnings: &mut Vec<String>) -> Result<Vocabulary, Error> {
    let library = Library::open(input, warnings)?;
    let pre = pre::name(&library, input.pre, warnings)?;
    let (mut tokens, beyond) = ids::tokens(&library, input)?;
    for (text, ty) in tokens.texts.iter_mut().zip(&tokens.types) {
        if *ty == TokenType::Control {
            continue;
        }
        match text.strip_prefix(b"##") {
            Some(rest) => *text = rest.to_vec(),
            None => {
                text.splice(..0, "\u{2581}".bytes());
            }
        }
    }
    let first = input.token_type_count()?.into_iter().collect();
    Ok(Vocabulary { first, limited: true, beyond, ..Vocabulary::new("bert", pre, tokens) })
}
