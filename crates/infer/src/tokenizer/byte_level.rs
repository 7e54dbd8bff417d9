//! Byte-level byte-pair encoding: GPT-2's, and that of most models since.

use std::collections::HashMap;

use fancy_regex::Regex;
use granule_reader::format::Metadata;

use super::merge::merge;
use super::{Kind, Result, Scheme, Vocabulary, compile};
use crate::TokenizerError;

/// How text is cut into words before pairs are joined in them, for values of `tokenizer.ggml.pre`.
struct Cut {
    names: &'static [&'static str],
    /// Each pattern cuts the pieces of the one before; what does not match is a piece too.
    patterns: &'static [&'static str],
    /// Whether a word that is a token is taken as it is.
    whole_words: bool,
    /// Whether texts begin with a special token if the file does not say.
    begin: bool,
}

const GPT_2: &str = r"'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA_3: &str = concat!(
    r"'(?i:[stmd]|re|ve|ll)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const QWEN_2: &str = concat!(
    r"'(?i:[stmd]|re|ve|ll)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

const CUTS: &[Cut] = &[
    Cut { names: &["gpt-2"], patterns: &[GPT_2], whole_words: false, begin: false },
    Cut {
        names: &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"],
        patterns: &[r"\p{N}", GPT_2],
        whole_words: false,
        begin: false,
    },
    Cut {
        names: &["llama-bpe", "llama3", "llama-v3"],
        patterns: &[LLAMA_3],
        whole_words: true,
        begin: true,
    },
    Cut { names: &["qwen2"], patterns: &[QWEN_2], whole_words: false, begin: false },
];

pub(super) struct ByteLevel<'m> {
    cut: &'static Cut,
    patterns: Vec<Regex>,
    /// The place of each pair in the list of pairs to join: the first is joined first.
    ranks: HashMap<(&'m [u8], &'m [u8]), usize>,
    /// The character that stands for each byte.
    characters: [char; 256],
    bytes: HashMap<char, u8>,
}

impl<'m> ByteLevel<'m> {
    pub(super) fn build(metadata: &'m Metadata) -> Result<Box<dyn Scheme + 'm>> {
        let name = metadata.text("tokenizer.ggml.pre")?.unwrap_or_default();
        let Some(cut) = CUTS.iter().find(|cut| cut.names.contains(&name)) else {
            let known: Vec<_> = CUTS.iter().flat_map(|cut| cut.names).copied().collect();
            let (name, known) = (name.to_owned(), known.join(", "));
            return Err(TokenizerError::PreTokenizer { name, known }.into());
        };
        let patterns = cut.patterns.iter().map(|pattern| compile(pattern));
        const MERGES: &str = "tokenizer.ggml.merges";
        let merges = metadata.strings(MERGES)?;
        let merges = merges.ok_or(TokenizerError::Missing { key: MERGES })?;
        let pairs = merges.iter().filter_map(|merge| {
            let space = merge.iter().position(|byte| *byte == b' ')?;
            Some((&merge[..space], &merge[space + 1..]))
        });
        let characters = byte_characters();
        Ok(Box::new(Self {
            cut,
            patterns: patterns.collect::<Result<_>>()?,
            ranks: pairs.zip(0..).collect(),
            characters,
            bytes: characters.into_iter().zip(0..=u8::MAX).collect(),
        }))
    }

    fn words<'t>(&self, text: &'t str) -> Result<Vec<&'t str>> {
        let mut pieces = vec![text];
        for pattern in &self.patterns {
            let mut next = Vec::new();
            for piece in pieces {
                let mut position = 0;
                for found in pattern.find_iter(piece) {
                    let found = found.map_err(TokenizerError::from)?;
                    next.extend([&piece[position..found.start()], found.as_str()]);
                    position = found.end();
                }
                next.push(&piece[position..]);
            }
            pieces = next;
        }
        pieces.retain(|piece| !piece.is_empty());
        Ok(pieces)
    }
}

impl Scheme for ByteLevel<'_> {
    fn encode(
        &self,
        vocabulary: &Vocabulary<'_>,
        text: &str,
        _: bool,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        for word in self.words(text)? {
            let word: String = word.bytes().map(|byte| self.characters[byte as usize]).collect();
            if let Some(id) = vocabulary.id(&word).filter(|_| self.cut.whole_words) {
                out.push(id);
                continue;
            }
            let rank = |left: &str, right: &str| {
                self.ranks.get(&(left.as_bytes(), right.as_bytes())).map(|rank| -(*rank as f32))
            };
            let ids = merge(&word, rank).into_iter().map(|piece| vocabulary.id(piece));
            out.extend(ids.filter_map(|id| id.or(vocabulary.unknown)));
        }
        Ok(())
    }

    fn decode(&self, token: &[u8], _: Kind) -> Vec<u8> {
        let text = String::from_utf8_lossy(token);
        text.chars().filter_map(|character| self.bytes.get(&character).copied()).collect()
    }

    fn frame(&self) -> (bool, bool) {
        (self.cut.begin, false)
    }
}

/// Maps every byte to a visible character: printable ones to themselves, others from U+0100 on.
fn byte_characters() -> [char; 256] {
    let mut others = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        byte @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..) => char::from(byte),
        _ => others.next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use granule_reader::format::Array;

    use super::super::Tokenizer;
    use super::*;

    fn metadata(pre: &str) -> Metadata {
        let mut tokens: Vec<String> = byte_characters().map(String::from).to_vec();
        tokens.extend(
            ["he", "ll", "hell", "hello", "Ġhell", "Ġhello", "<|end|>", "12"].map(String::from),
        );
        let mut kinds = vec![1; tokens.len()];
        kinds[256 + 6] = 3;
        let mut metadata = Metadata::new();
        metadata.set("tokenizer.ggml.model", "gpt2");
        metadata.set("tokenizer.ggml.pre", pre);
        metadata.set("tokenizer.ggml.tokens", Array::String(tokens.iter().collect()));
        metadata.set("tokenizer.ggml.token_type", Array::I32(kinds));
        metadata.set("tokenizer.ggml.eos_token_id", 262_u32);
        let merges = ["h e", "l l", "he ll", "Ġ hell", "Ġhell o", "1 2"];
        metadata.set("tokenizer.ggml.merges", Array::String(merges.iter().collect()));
        metadata
    }

    #[test]
    fn bytes_have_characters_of_their_own() {
        let characters = byte_characters();
        assert_eq!([characters[0], characters[b' ' as usize], characters[255]], ['Ā', 'Ġ', 'ÿ']);
        let mut sorted = characters.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 256);
    }

    #[test]
    fn encode_and_decode() {
        let metadata = metadata("smollm");
        let tokenizer = Tokenizer::of(&metadata).unwrap();
        // `hello` is a token, but no pair leads to it
        let cases: &[(&str, Vec<u32>)] = &[
            ("", vec![]),
            ("hello hello", vec![258, 111, 261]),
            ("hello<|end|> hello", vec![258, 111, 262, 261]),
            ("12", vec![49, 50]),
            ("ä\n", vec![0xc3, 0xa4, 10]),
            ("xyz", vec![120, 121, 122]),
        ];
        for (text, expected) in cases {
            // the first 256 tokens are the bytes in their order
            let found = tokenizer.encode(text).unwrap();
            assert_eq!(found, *expected, "{text:?}");
            let decoded: Vec<u8> = found.iter().flat_map(|id| tokenizer.decode(*id)).collect();
            assert_eq!(decoded, text.replace("<|end|>", "").as_bytes());
        }
        assert!(tokenizer.is_end(262) && !tokenizer.is_end(261));
    }

    #[test]
    fn whole_words_are_taken_where_the_model_does_so() {
        let metadata = metadata("llama-bpe");
        let tokenizer = Tokenizer::of(&metadata).unwrap();
        assert_eq!(tokenizer.encode("hello12").unwrap(), [259, 263]);
    }

    #[test]
    fn words() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("gpt-2", "It's  so\n\n 42!?", &["It", "'s", " ", " so", "\n\n", " 42", "!?"]),
            ("smollm", "in 1999", &["in", " ", "1", "9", "9", "9"]),
            ("llama-bpe", "IT'S 1999.\n x", &["IT", "'S", " ", "199", "9", ".\n", " x"]),
            ("qwen2", "a 12  b", &["a", " ", "1", "2", " ", " b"]),
        ];
        for (pre, text, expected) in cases {
            let cut = CUTS.iter().find(|cut| cut.names.contains(pre)).unwrap();
            let byte_level = ByteLevel {
                cut,
                patterns: cut.patterns.iter().map(|p| Regex::new(p).unwrap()).collect(),
                ranks: HashMap::new(),
                characters: byte_characters(),
                bytes: HashMap::new(),
            };
            assert_eq!(byte_level.words(text).unwrap(), *expected, "{pre}");
        }
    }

    #[test]
    fn an_unknown_cut_is_an_error() {
        let metadata = metadata("tomorrow");
        assert!(Tokenizer::of(&metadata).is_err());
    }
}
