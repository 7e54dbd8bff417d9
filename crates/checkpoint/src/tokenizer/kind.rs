//! What the kinds of tokenizer are read by.

use super::{Input, Tokens, Vocabulary};
use super::{byte_fallback, byte_level, plamo, rwkv, sentencepiece, tiktoken, unigram, word_piece};
use crate::Error;
use crate::arch::TokenizerKind;

impl TokenizerKind {
    /// Returns whether the checkpoint has a tokenizer of this kind.
    pub(super) fn is_there(self, input: &Input<'_>) -> Result<bool, Error> {
        Ok(match self {
            Self::SentencePiece => input.folder.exists("tokenizer.model"),
            Self::ByteFallbackBpe | Self::Gemma4 => byte_fallback::is_there(input),
            Self::ByteLevelBpe => byte_level::is_there(input),
            Self::Unigram => unigram::is_there(input)?,
            Self::WordPiece => word_piece::is_there(input),
            Self::Tiktoken => tiktoken::is_there(input)?,
            Self::UnscoredBpe => byte_level::is_there(input) && input.json.is_some(),
            Self::Rwkv => input.folder.exists(rwkv::FILE),
            Self::Plamo => input.folder.exists(plamo::FILE),
            Self::MarkedWords => input.json.is_some(),
            Self::None => true,
            Self::Whitespace => byte_level::splits_at_spaces(input),
        })
    }

    pub(super) fn read(
        self,
        input: &Input<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Vocabulary, Error> {
        match self {
            Self::SentencePiece => sentencepiece::read(input),
            Self::ByteFallbackBpe => byte_fallback::read(input, warnings),
            Self::Gemma4 => byte_fallback::read_with_merges(input, warnings),
            Self::ByteLevelBpe => byte_level::read(input, warnings),
            Self::Unigram => unigram::read(input, warnings),
            Self::WordPiece | Self::MarkedWords => word_piece::read(input, warnings),
            Self::Tiktoken => tiktoken::read(input),
            Self::UnscoredBpe => byte_fallback::read_unscored(input, warnings),
            Self::Rwkv => rwkv::read(input, warnings),
            Self::Plamo => plamo::read(input, warnings),
            Self::Whitespace => byte_level::read_whitespace(input, warnings),
            Self::None => Ok(Vocabulary::new("none", "", Tokens::default())),
        }
    }

    /// Returns the names of the files that hold such a tokenizer.
    pub(super) const fn files(self, fairseq: bool) -> &'static [&'static str] {
        match self {
            Self::SentencePiece => &["tokenizer.model"],
            Self::ByteFallbackBpe | Self::Gemma4 | Self::UnscoredBpe => &["tokenizer.json"],
            Self::ByteLevelBpe => &["tokenizer.json", "vocab.json with merges.txt"],
            Self::Unigram => unigram::files(fairseq),
            Self::WordPiece => &["tokenizer.json", "vocab.txt"],
            Self::Tiktoken => &["the ranks of tiktoken"],
            Self::Rwkv => &[rwkv::FILE],
            Self::Plamo => &[plamo::FILE],
            Self::MarkedWords | Self::Whitespace => &["tokenizer.json"],
            Self::None => &[],
        }
    }
}
