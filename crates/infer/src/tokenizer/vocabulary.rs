use std::collections::HashMap;

use granule_reader::format::{Array, Metadata, StringArray};

use super::Result;
use crate::TokenizerError;

/// The tokens of a file.
pub(super) struct Vocabulary<'m> {
    tokens: &'m StringArray,
    kinds: Vec<Kind>,
    scores: &'m [f32],
    ids: HashMap<&'m [u8], u32>,
    /// Tokens that stand for themselves wherever they are in a text; long ones first.
    special: Vec<u32>,
    /// The token that begins a text.
    pub(super) begin: Option<u32>,
    /// The token that ends a text, or separates it from another.
    pub(super) end: Option<u32>,
    /// The token for what has no other.
    pub(super) unknown: Option<u32>,
    /// Tokens that end generation.
    pub(super) ends: Vec<u32>,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Byte,
}

/// Tokens that end a turn or a text, by their usual texts: files often name only one of several.
const END_TEXTS: &[&str] = &[
    "</s>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "<EOT>",
];

/// The keys under which files name such tokens.
const END_KEYS: &[&str] = &["eos_token_id", "eot_token_id", "eom_token_id"];

impl<'m> Vocabulary<'m> {
    pub(super) fn of(metadata: &'m Metadata) -> Result<Self> {
        const TOKENS: &str = "tokenizer.ggml.tokens";
        let tokens = metadata.strings(TOKENS)?.ok_or(TokenizerError::Missing { key: TOKENS })?;
        let kinds = match metadata.array("tokenizer.ggml.token_type")? {
            Some(Array::I32(kinds)) => kinds.iter().map(|kind| Kind::from_number(*kind)).collect(),
            _ => vec![Kind::Normal; tokens.len()],
        };
        if kinds.len() != tokens.len() {
            let (tokens, found) = (tokens.len(), kinds.len());
            return Err(TokenizerError::Lengths { tokens, found }.into());
        }
        let scores = match metadata.array("tokenizer.ggml.scores")? {
            Some(Array::F32(scores)) => scores.as_slice(),
            _ => &[],
        };
        let ids: HashMap<_, _> = tokens.iter().zip(0..).collect();
        let length = |id: &u32| tokens.get(*id as usize).map_or(0, <[u8]>::len);
        let mut special: Vec<u32> = (0..)
            .zip(&kinds)
            .filter(|(_, kind)| matches!(kind, Kind::Control | Kind::UserDefined | Kind::Unknown))
            .map(|(id, _)| id)
            .filter(|id| length(id) > 0)
            .collect();
        special.sort_by_key(|id| std::cmp::Reverse(length(id)));

        let id = |name: &str| -> Result<Option<u32>> {
            let id = metadata.integer(&format!("tokenizer.ggml.{name}"))?;
            Ok(id.filter(|id| (*id as usize) < tokens.len()))
        };
        let mut ends = Vec::new();
        for key in END_KEYS {
            ends.extend(id(key)?);
        }
        ends.extend(END_TEXTS.iter().filter_map(|text| ids.get(text.as_bytes())));
        Ok(Self {
            tokens,
            kinds,
            scores,
            special,
            begin: id("bos_token_id")?,
            // the misspelling is the format's
            end: id("seperator_token_id")?.or(id("eos_token_id")?),
            unknown: id("unknown_token_id")?,
            ids,
            ends,
        })
    }

    /// Number of tokens.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// A token's number.
    pub(super) fn id(&self, token: impl AsRef<[u8]>) -> Option<u32> {
        self.ids.get(token.as_ref()).copied()
    }

    /// A token as the file has it.
    pub(super) fn token(&self, id: u32) -> &'m [u8] {
        self.tokens.get(id as usize).unwrap_or_default()
    }

    pub(super) fn kind(&self, id: u32) -> Kind {
        self.kinds.get(id as usize).copied().unwrap_or(Kind::Unknown)
    }

    /// How much a token is preferred to others; zero where the file does not say.
    pub(super) fn score(&self, id: u32) -> f32 {
        self.scores.get(id as usize).copied().unwrap_or_default()
    }

    /// The pieces of a text between special tokens, each with the token that follows it. Only with
    /// `control` these are also tokens that steer the model.
    pub(super) fn split_at_special<'t>(
        &self,
        text: &'t str,
        control: bool,
    ) -> Vec<(&'t str, Option<u32>)> {
        let mut pieces = vec![(text, None)];
        // a longer token is looked for in the whole text before a shorter one
        for id in &self.special {
            if !control && self.kind(*id) != Kind::UserDefined {
                continue;
            }
            let Ok(token) = std::str::from_utf8(self.token(*id)) else { continue };
            if !text.contains(token) {
                continue;
            }
            let mut next = Vec::new();
            for (text, behind) in pieces {
                let mut parts = text.split(token).peekable();
                while let Some(part) = parts.next() {
                    next.push((part, if parts.peek().is_some() { Some(*id) } else { behind }));
                }
            }
            pieces = next;
        }
        pieces
    }
}

impl Kind {
    fn from_number(number: i32) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_cut_the_text() {
        let mut metadata = Metadata::new();
        let tokens = ["<s>", "a", "<s>>", "b"];
        metadata.set("tokenizer.ggml.tokens", Array::String(tokens.iter().collect()));
        metadata.set("tokenizer.ggml.token_type", Array::I32(vec![3, 1, 4, 1]));
        metadata.set("tokenizer.ggml.eos_token_id", 9_u32); // there is no such token
        let vocabulary = Vocabulary::of(&metadata).unwrap();
        assert_eq!(
            vocabulary.split_at_special("a<s>>b<s><s>", true),
            [("a", Some(2)), ("b", Some(0)), ("", Some(0)), ("", None)]
        );
        assert_eq!(vocabulary.split_at_special("ab", true), [("ab", None)]);
        let plain = vocabulary.split_at_special("a<s>b<s>>", false);
        assert_eq!(plain, [("a<s>b", Some(2)), ("", None)]);
        assert_eq!(vocabulary.end, None);
    }
}
