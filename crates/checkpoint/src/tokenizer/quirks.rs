//! What facts about a tokenizer that no file states change in the metadata.

use granule_format::{Metadata, Value};

use super::special::{self, Special};
use super::{Input, Tokens, python};
use crate::Error;
use crate::arch::{Quirk, TokenizerKind};

impl Input<'_> {
    /// Writes the entries that quirks put first.
    pub(super) fn write_first(&self, out: &mut Metadata) {
        for quirk in self.quirks {
            match quirk {
                Quirk::SpacePrefix => {
                    let add = self.tokenizer_config.get("add_prefix_space");
                    if let Some(add) = add.and_then(serde_json::Value::as_bool) {
                        out.set("tokenizer.ggml.add_space_prefix", add);
                    }
                }
                Quirk::AddFirst { kinds, add } => {
                    for kind in kinds.iter() {
                        out.set(&format!("tokenizer.ggml.add_{kind}_token"), *add);
                    }
                }
                _ => {}
            }
        }
    }

    /// Returns the ids of special tokens that quirks name by their texts.
    pub(super) fn named(&self, tokens: &Tokens, warnings: &mut Vec<String>) -> Vec<(&str, u32)> {
        let mut named = Vec::new();
        for quirk in self.quirks {
            let Quirk::SpecialToken { kind, text } = quirk else { continue };
            let is = |index: &usize| tokens.texts[*index] == text.as_bytes();
            match (0..tokens.texts.len()).rev().find(is) {
                Some(index) => named.push((kind.as_ref(), index as u32)),
                None => warnings
                    .push(format!("the tokenizer lacks {text:?}, its expected {kind} token")),
            }
        }
        named
    }

    /// Writes the entries that quirks put last.
    pub(super) fn write_last(&self, kind: TokenizerKind, out: &mut Metadata) -> Result<(), Error> {
        let vocabulary = self.vocabulary(&["vocab_size"])?.map(|size| size as u64);
        let vocabulary = vocabulary.unwrap_or(32_000);
        let concerns = |size: &Option<u64>| size.is_none_or(|size| size == vocabulary);
        let used = |tokenizer: &Option<TokenizerKind>| tokenizer.is_none_or(|it| it == kind);
        for quirk in self.quirks {
            match quirk {
                Quirk::AddBos { vocabulary: size, tokenizer, add }
                    if concerns(size) && used(tokenizer) =>
                {
                    out.set("tokenizer.ggml.add_bos_token", *add);
                }
                Quirk::EndOfTurn { vocabulary: size, id } if concerns(size) => {
                    let warnings = &mut Vec::new(); // already reported
                    let mut special = Special::read(self, special::FILLING_KINDS, None, warnings)?;
                    special.set_default("eot", *id);
                    special.write(out);
                }
                Quirk::NoSpacePrefixFor(other) if kind == *other => {
                    out.set("tokenizer.ggml.add_space_prefix", false);
                }
                Quirk::NoSpacePrefix
                    if matches!(kind, TokenizerKind::SentencePiece | TokenizerKind::Gemma4) =>
                {
                    out.set("tokenizer.ggml.add_space_prefix", false);
                }
                Quirk::SecondEos => {
                    if let Some(id) = self.second_eos() {
                        special::write_id("eot", id, out);
                    }
                }
                Quirk::SpecialId { kind, id, tokenizer } if used(tokenizer) => {
                    special::write_id(kind, *id, out);
                }
                Quirk::SpacePrefixLast => {
                    if let Some(add) = self.tokenizer_config.get("add_prefix_space") {
                        out.set("tokenizer.ggml.add_space_prefix", python::truth(add));
                    }
                }
                Quirk::TokenTypeCount
                    if matches!(kind, TokenizerKind::ByteLevelBpe | TokenizerKind::Whitespace) =>
                {
                    if let Some((key, value)) = self.token_type_count()? {
                        out.set(key, value);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the first id in a list of end-of-text tokens that does not begin a text too.
    fn second_eos(&self) -> Option<u32> {
        let config = &self.config.raw;
        let ids = config.get("eos_token_id")?.as_array()?;
        let bos = config.get("bos_token_id").and_then(serde_json::Value::as_u64);
        let mut ids = ids.iter().filter_map(serde_json::Value::as_u64);
        u32::try_from(ids.find(|id| Some(*id) != bos)?).ok()
    }

    /// Returns the number of token types, if the architecture has any.
    pub(super) fn token_type_count(&self) -> Result<Option<(&'static str, Value)>, Error> {
        if !self.has(&Quirk::TokenTypeCount) {
            return Ok(None);
        }
        let count = match self.config.first(&["type_vocab_size"]) {
            Some((key, value)) => self.config.unsigned_32(key, value)?,
            None => 1,
        };
        Ok(Some(("tokenizer.ggml.token_type_count", Value::U32(count))))
    }
}
