//! SentencePiece's byte-pair encoding: Llama 2's, Mistral's, Gemma's.

use granule_reader::format::Metadata;

use super::merge::merge;
use super::{Kind, Result, Scheme, Vocabulary};

/// What stands for a space in tokens.
const SPACE: &str = "\u{2581}";

pub(super) struct SentencePiece {
    /// Whether texts get a space in front.
    space_in_front: bool,
}

impl SentencePiece {
    pub(super) fn build<'m>(metadata: &'m Metadata) -> Result<Box<dyn Scheme + 'm>> {
        let space_in_front = metadata.boolean("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
        Ok(Box::new(Self { space_in_front }))
    }
}

impl Scheme for SentencePiece {
    fn encode(
        &self,
        vocabulary: &Vocabulary<'_>,
        text: &str,
        first: bool,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let front = if first && self.space_in_front { SPACE } else { "" };
        let text = format!("{front}{}", text.replace(' ', SPACE));
        // whether two pieces may be joined, and how soon, is up to the token that they would be
        let score = |left: &str, right: &str| {
            let id = vocabulary.id([left.as_bytes(), right.as_bytes()].concat())?;
            Some(vocabulary.score(id))
        };
        for piece in merge(&text, score) {
            match vocabulary.id(piece) {
                Some(id) => out.push(id),
                // only characters that are no tokens are left: their bytes are
                None => out.extend(piece.bytes().filter_map(|byte| {
                    vocabulary.id(format!("<0x{byte:02X}>")).or(vocabulary.unknown)
                })),
            }
        }
        Ok(())
    }

    fn decode(&self, token: &[u8], kind: Kind) -> Vec<u8> {
        let text = String::from_utf8_lossy(token);
        if kind == Kind::Byte {
            let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            return byte.into_iter().collect();
        }
        text.replace(SPACE, " ").into_bytes()
    }

    fn frame(&self) -> (bool, bool) {
        (true, false)
    }
}

#[cfg(test)]
mod tests {
    use granule_reader::format::Array;

    use super::super::Tokenizer;
    use super::*;

    /// Token, score, kind.
    const TOKENS: &[(&str, f32, i32)] = &[
        ("<unk>", 0.0, 2),
        ("<s>", 0.0, 3),
        ("</s>", 0.0, 3),
        ("<0xC3>", 0.0, 6),
        ("<0xA4>", 0.0, 6),
        ("▁", -9.0, 1),
        ("a", -9.0, 1),
        ("b", -9.0, 1),
        ("▁a", -1.0, 1),
        ("ab", -2.0, 1),
        ("▁ab", -3.0, 1),
        ("ba", -0.5, 1),
    ];

    fn metadata() -> Metadata {
        let mut metadata = Metadata::new();
        metadata.set("tokenizer.ggml.model", "llama");
        let tokens = TOKENS.iter().map(|(token, ..)| token).collect();
        metadata.set("tokenizer.ggml.tokens", Array::String(tokens));
        let scores = TOKENS.iter().map(|(_, score, _)| *score).collect();
        metadata.set("tokenizer.ggml.scores", Array::F32(scores));
        let kinds = TOKENS.iter().map(|(.., kind)| *kind).collect();
        metadata.set("tokenizer.ggml.token_type", Array::I32(kinds));
        metadata.set("tokenizer.ggml.bos_token_id", 1_u32);
        metadata.set("tokenizer.ggml.eos_token_id", 2_u32);
        metadata.set("tokenizer.ggml.unknown_token_id", 0_u32);
        metadata
    }

    #[test]
    fn encode_and_decode() {
        let metadata = metadata();
        let tokenizer = Tokenizer::of(&metadata).unwrap();
        let cases: &[(&str, &[u32])] = &[
            ("", &[1]),
            ("a", &[1, 8]),
            ("ab", &[1, 10]),
            ("aba", &[1, 8, 11]), // `ba` is better than `▁a`, which is better than `ab`
            ("ä", &[1, 5, 3, 4]),
            ("z", &[1, 5, 0]),
            ("a</s>a", &[1, 8, 2, 8]),
        ];
        for (text, expected) in cases {
            assert_eq!(tokenizer.encode(text).unwrap(), *expected, "{text:?}");
        }
        let text: Vec<u8> =
            [1, 10, 5, 3, 4, 2].iter().flat_map(|id| tokenizer.decode(*id)).collect();
        assert_eq!(String::from_utf8(text).unwrap(), " ab ä");
    }

    #[test]
    fn without_a_space_in_front() {
        let mut metadata = metadata();
        metadata.set("tokenizer.ggml.add_space_prefix", false);
        metadata.set("tokenizer.ggml.add_bos_token", false);
        assert_eq!(Tokenizer::of(&metadata).unwrap().encode("ab").unwrap(), [9]);
    }
}
