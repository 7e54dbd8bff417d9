//! Text to tokens and back, with the vocabulary in a file's metadata.

mod byte_level;
mod merge;
mod sentence_piece;
mod vocabulary;
mod word_piece;

use std::fmt;

use fancy_regex::Regex;
use granule_reader::format::Metadata;

use crate::{Error, TokenizerError};
use vocabulary::{Kind, Vocabulary};

type Result<T, E = Error> = std::result::Result<T, E>;

fn compile(pattern: &str) -> Result<Regex> {
    Ok(Regex::new(pattern).map_err(TokenizerError::from)?)
}

/// How text without special tokens becomes tokens.
trait Scheme: Send + Sync {
    /// Appends the tokens of a text. `first` says that it is at the beginning or after a special
    /// token.
    fn encode(
        &self,
        vocabulary: &Vocabulary<'_>,
        text: &str,
        first: bool,
        out: &mut Vec<u32>,
    ) -> Result<()>;

    /// The bytes that a token of the vocabulary stands for.
    fn decode(&self, token: &[u8], kind: Kind) -> Vec<u8>;

    /// Whether a special token begins and ends every text, if the file does not say.
    fn frame(&self) -> (bool, bool);
}

type Build<'m> = fn(&'m Metadata) -> Result<Box<dyn Scheme + 'm>>;

/// The scheme for each value of `tokenizer.ggml.model`.
fn schemes<'m>() -> [(&'static str, Build<'m>); 3] {
    [
        ("gpt2", byte_level::ByteLevel::build),
        ("llama", sentence_piece::SentencePiece::build),
        ("bert", word_piece::WordPiece::build),
    ]
}

/// A model's tokenizer: text to tokens and back.
pub struct Tokenizer<'m> {
    vocabulary: Vocabulary<'m>,
    scheme: Box<dyn Scheme + 'm>,
    /// The tokens that begin and end every text.
    begin: Option<u32>,
    end: Option<u32>,
}

impl<'m> Tokenizer<'m> {
    /// The tokenizer that metadata describe; a file with a vocabulary alone suffices.
    ///
    /// # Errors
    /// If there is none, or its kind is unknown to this version.
    pub fn of(metadata: &'m Metadata) -> Result<Self> {
        const MODEL: &str = "tokenizer.ggml.model";
        let name = metadata.text(MODEL)?.ok_or(TokenizerError::Missing { key: MODEL })?;
        let Some((_, build)) = schemes().into_iter().find(|(known, _)| *known == name) else {
            let known = schemes().map(|(known, _)| known).join(", ");
            return Err(TokenizerError::Model { name: name.to_owned(), known }.into());
        };
        let (vocabulary, scheme) = (Vocabulary::of(metadata)?, build(metadata)?);
        let (begins, ends) = scheme.frame();
        let begins = metadata.boolean("tokenizer.ggml.add_bos_token")?.unwrap_or(begins);
        let ends = metadata.boolean("tokenizer.ggml.add_eos_token")?.unwrap_or(ends);
        let begin = if begins { vocabulary.begin } else { None };
        let end = if ends { vocabulary.end } else { None };
        Ok(Self { vocabulary, scheme, begin, end })
    }

    /// The tokens of a text, which may contain special tokens such as `<|im_start|>`.
    ///
    /// # Errors
    /// If the patterns that cut the text give up on it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut tokens: Vec<u32> = self.begin.into_iter().collect();
        self.append(text, true, &mut tokens)?;
        tokens.extend(self.end);
        Ok(tokens)
    }

    /// Appends the tokens of a text, without those that begin and end every text. With `special`
    /// the text may contain special tokens such as `<|im_start|>`; otherwise they are text, but for
    /// tokens that users have added.
    ///
    /// # Errors
    /// If the patterns that cut the text give up on it.
    pub fn append(&self, text: &str, special: bool, tokens: &mut Vec<u32>) -> Result<()> {
        let mut first = true;
        for (text, special) in self.vocabulary.split_at_special(text, special) {
            if !text.is_empty() {
                self.scheme.encode(&self.vocabulary, text, first, tokens)?;
                first = false;
            }
            if let Some(special) = special {
                tokens.push(special);
                first = true;
            }
        }
        Ok(())
    }

    /// The token that begins every text, if there is one.
    pub const fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The bytes that a token stands for, which can be part of a character; none for special
    /// tokens.
    pub fn decode(&self, token: u32) -> Vec<u8> {
        match self.vocabulary.kind(token) {
            Kind::Control | Kind::Unknown => Vec::new(),
            Kind::UserDefined => self.vocabulary.token(token).to_vec(),
            kind => self.scheme.decode(self.vocabulary.token(token), kind),
        }
    }

    /// Whether a token ends the text.
    pub fn is_end(&self, token: u32) -> bool {
        self.vocabulary.ends.contains(&token)
    }

    /// Number of tokens in the vocabulary.
    #[allow(clippy::len_without_is_empty, reason = "a vocabulary is not a collection of these")]
    pub fn len(&self) -> usize {
        self.vocabulary.len()
    }
}

impl fmt::Debug for Tokenizer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("tokens", &self.len()).finish_non_exhaustive()
    }
}
