//! WordPiece, the tokenizer of BERT.

use fancy_regex::Regex;
use granule_reader::format::Metadata;
use unicode_normalization::UnicodeNormalization;

use super::{Kind, Result, Scheme, Vocabulary, compile};
use crate::TokenizerError;

/// The prefix, in the file, of tokens that begin a word.
const WORD: &str = "\u{2581}";

/// Characters that are words of their own: punctuation, ASCII symbols, Chinese characters.
const SINGLE: &str = concat!(
    r"\p{P}$+<=>^`|~\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}\x{f900}-\x{faff}",
    r"\x{20000}-\x{2a6df}\x{2a700}-\x{2ceaf}\x{2f800}-\x{2fa1f}",
);

pub(super) struct WordPiece {
    words: Regex,
    /// Accents and other characters that the model does not see.
    ignored: Regex,
    lowercase: bool,
    strip_accents: bool,
}

impl WordPiece {
    pub(super) fn build<'m>(metadata: &'m Metadata) -> Result<Box<dyn Scheme + 'm>> {
        let flag = |name: &str| metadata.boolean(&format!("tokenizer.ggml.normalizer.{name}"));
        let lowercase = flag("lowercase")?.unwrap_or(true);
        let strip_accents = flag("strip_accents")?.unwrap_or(lowercase);
        let ignored =
            if strip_accents { r"[\p{Mn}\p{C}\x{fffd}--\s]" } else { r"[\p{C}\x{fffd}--\s]" };
        Ok(Box::new(Self {
            words: compile(&format!(r"[{SINGLE}]|[^\s{SINGLE}]+"))?,
            ignored: compile(ignored)?,
            lowercase,
            strip_accents,
        }))
    }

    fn normalize(&self, text: &str) -> String {
        let text: String = if self.strip_accents { text.nfd().collect() } else { text.to_owned() };
        let text = self.ignored.replace_all(&text, "");
        if self.lowercase { text.to_lowercase() } else { text.into_owned() }
    }
}

impl Scheme for WordPiece {
    fn encode(
        &self,
        vocabulary: &Vocabulary<'_>,
        text: &str,
        _: bool,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        for word in self.words.find_iter(&self.normalize(text)) {
            let word = format!("{WORD}{}", word.map_err(TokenizerError::from)?.as_str());
            match pieces(vocabulary, &word) {
                Some(pieces) => out.extend(pieces),
                None => out.extend(vocabulary.unknown),
            }
        }
        Ok(())
    }

    fn decode(&self, token: &[u8], _: Kind) -> Vec<u8> {
        String::from_utf8_lossy(token).replace(WORD, " ").into_bytes()
    }

    fn frame(&self) -> (bool, bool) {
        (true, true)
    }
}

/// Splits a word into tokens, each the longest that the rest of the word begins with; `None` if no
/// token fits.
fn pieces(vocabulary: &Vocabulary<'_>, mut word: &str) -> Option<Vec<u32>> {
    let mut pieces = Vec::new();
    while !word.is_empty() {
        let ends = word.char_indices().map(|(start, character)| start + character.len_utf8());
        let (id, end) = ends.rev().find_map(|end| Some((vocabulary.id(&word[..end])?, end)))?;
        pieces.push(id);
        word = &word[end..];
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use granule_reader::format::Array;

    use super::super::Tokenizer;
    use super::*;

    #[test]
    fn encode() {
        let tokens =
            ["[UNK]", "[CLS]", "[SEP]", "▁un", "aff", "able", "▁,", "▁a", "▁中", "b", "aa"];
        let mut metadata = Metadata::new();
        metadata.set("tokenizer.ggml.model", "bert");
        metadata.set("tokenizer.ggml.tokens", Array::String(tokens.iter().collect()));
        metadata
            .set("tokenizer.ggml.token_type", Array::I32(vec![3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1]));
        metadata.set("tokenizer.ggml.unknown_token_id", 0_u32);
        metadata.set("tokenizer.ggml.bos_token_id", 1_u32);
        metadata.set("tokenizer.ggml.seperator_token_id", 2_u32);
        let cases: &[(&str, &[u32])] = &[
            ("", &[1, 2]),
            ("unaffable", &[1, 3, 4, 5, 2]),
            (" UNÄFFABLE,\ta ", &[1, 3, 4, 5, 6, 7, 2]),
            ("unc a", &[1, 0, 7, 2]), // one unknown for the whole word
            ("a中b", &[1, 7, 8, 0, 2]),
            ("aaa\u{0}b", &[1, 7, 10, 9, 2]),
            ("a[SEP]a", &[1, 7, 2, 7, 2]),
        ];
        for (text, expected) in cases {
            let tokenizer = Tokenizer::of(&metadata).unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), *expected, "{text:?}");
        }
        metadata.set("tokenizer.ggml.normalizer.lowercase", false);
        assert_eq!(Tokenizer::of(&metadata).unwrap().encode("A a").unwrap(), [1, 0, 7, 2]);
    }
}
