//! `tekken.json`, the tokenizer of Mistral's own library: BPE on bytes with ranks.
//!
//! The first ids are those of special tokens, the others follow the ranks. Merges are not stored:
//! every way to cut a token into two others is one, in the order of the ranks of the token and of
//! its parts.

use std::collections::HashMap;

use granule_format::{Array, Metadata, StringArray};
use serde_json::Value;

use super::mistral::Templates;
use super::{MOST_TOKENS, TokenType, warn_of_twins};
use crate::folder::Named;
use crate::json::read_object;
use crate::{Error, Folder, Problem};

/// The file's name.
pub(super) const FILE: &str = "tekken.json";

/// The special tokens of files that do not list them, by id.
const SPECIAL: &[&str] = &[
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

/// The longest token accepted, in bytes.
const MOST_BYTES: usize = 4096;

/// Versions of the format for which llama.cpp has a template under a name.
const TEMPLATES: &[(&str, &str)] = &[("v3", "mistral-v3-tekken"), ("v7", "mistral-v7-tekken")];

/// The content of the file.
struct Tekken {
    /// The special tokens by id.
    special: Vec<String>,
    /// The other tokens by rank.
    ranks: Vec<Vec<u8>>,
    version: String,
}

/// Returns whether a checkpoint has no other tokenizer.
pub(super) fn is_alone(folder: &dyn Folder) -> bool {
    folder.exists(FILE) && !folder.exists("tokenizer.json")
}

/// Reads the tokenizer as entries in output order; `size_key` is the key of the vocabulary's size.
pub(super) fn read(
    folder: &dyn Folder,
    size_key: &str,
    templates: Templates,
    warnings: &mut Vec<String>,
) -> Result<Metadata, Error> {
    let file = folder.at(FILE);
    let tekken = Tekken::read(&file)?;
    let fail = |why: String| Error::in_file(file.path(), Problem::Tokenizer(why));
    let id = |text: &str| tekken.special.iter().position(|token| token == text);
    let needed = |text: &str| {
        id(text)
            .ok_or_else(|| fail(format!("it has no special token {text:?}")))
            .map(|id| id as u32)
    };
    let mut out = Metadata::new();
    out.set("tokenizer.ggml.model", "gpt2");
    out.set("tokenizer.ggml.pre", "tekken");
    out.set("tokenizer.ggml.merges", Array::String(tekken.merges().map_err(fail)?));
    let end = needed("</s>")?;
    out.set("tokenizer.ggml.bos_token_id", needed("<s>")?);
    out.set("tokenizer.ggml.eos_token_id", end);
    out.set("tokenizer.ggml.unknown_token_id", needed("<unk>")?);
    out.set("tokenizer.ggml.padding_token_id", id("<pad>").map_or(end, |id| id as u32));
    let texts = tekken.special.iter().cloned();
    let texts: Vec<String> = texts.chain(tekken.ranks.iter().map(|token| written(token))).collect();
    warn_of_twins(&texts, file.path(), warnings);
    let types = [TokenType::Control, TokenType::Normal];
    let types = [(types[0], tekken.special.len()), (types[1], tekken.ranks.len())];
    let types = types.into_iter().flat_map(|(ty, count)| std::iter::repeat_n(ty as i32, count));
    let count = texts.len();
    out.set("tokenizer.ggml.tokens", Array::String(texts.iter().collect::<StringArray>()));
    // The scores mean nothing; the reference writes them as integers.
    out.set("tokenizer.ggml.scores", Array::I32(vec![0; count]));
    out.set("tokenizer.ggml.token_type", Array::I32(types.collect()));
    out.set(size_key, count as u32);
    out.set("tokenizer.ggml.add_bos_token", true);
    out.set("tokenizer.ggml.add_eos_token", false);
    templates.write((FILE, &tekken.version), TEMPLATES, &mut out, warnings);
    Ok(out)
}

impl Tekken {
    fn read(file: &Named<'_>) -> Result<Self, Error> {
        let fail = |why: String| Error::in_file(file.path(), Problem::Tokenizer(why));
        let json = read_object(file)?;
        let config = json.get("config").and_then(Value::as_object);
        let number = |key: &str| {
            let found = config.and_then(|config| config.get(key)?.as_u64());
            let good = found.filter(|number| *number <= MOST_TOKENS);
            good.ok_or_else(|| fail(format!("config.{key} is no number of tokens")))
        };
        let (all, special) = (number("default_vocab_size")?, number("default_num_special_tokens")?);
        let ranked = all.checked_sub(special).ok_or_else(|| {
            fail(format!("config says that {special} of {all} tokens are special"))
        })?;
        let version = config.and_then(|config| config.get("version")?.as_str());
        let version = version.ok_or_else(|| fail("config.version is missing".to_owned()))?;
        let mut names: Vec<String> = (0..special).map(|id| format!("<SPECIAL_{id}>")).collect();
        let listed = json.get("special_tokens").and_then(Value::as_array);
        let usual = || SPECIAL.iter().enumerate().map(|(id, text)| (id as u64, (*text).to_owned()));
        let given: Vec<(u64, String)> = match listed {
            None => usual().collect(),
            Some(listed) => listed
                .iter()
                .map(|token| {
                    Some((token.get("rank")?.as_u64()?, token.get("token_str")?.as_str()?))
                })
                .map(|token| token.map(|(id, text)| (id, text.to_owned())))
                .collect::<Option<_>>()
                .ok_or_else(|| fail("a special token lacks its rank or text".to_owned()))?,
        };
        for (id, text) in given {
            let place = usize::try_from(id).ok().and_then(|id| names.get_mut(id));
            let place = place.ok_or_else(|| {
                fail(format!("the special token {text:?} has the id {id}, of {special}"))
            })?;
            *place = text;
        }
        let tokens = json.get("vocab").and_then(Value::as_array).map(Vec::as_slice);
        let tokens = tokens.unwrap_or_default();
        let mut ranks = Vec::new();
        for (rank, token) in (0..ranked).zip(tokens) {
            let bytes = token.get("token_bytes").and_then(Value::as_str).and_then(decode);
            let bytes = bytes.filter(|bytes| !bytes.is_empty() && bytes.len() <= MOST_BYTES);
            let here = token.get("rank").and_then(Value::as_u64) == Some(rank);
            let bytes = bytes.filter(|_| here);
            ranks.push(
                bytes.ok_or_else(|| fail(format!("token {rank} of the vocabulary is damaged")))?,
            );
        }
        if ranks.len() as u64 != ranked {
            let found = ranks.len();
            return Err(fail(format!(
                "the vocabulary has {found} tokens, and config says {ranked}"
            )));
        }
        Ok(Self { special: names, ranks, version: version.to_owned() })
    }

    /// Returns the merges in order.
    fn merges(&self) -> Result<StringArray, String> {
        let ranks: HashMap<&[u8], usize> =
            self.ranks.iter().enumerate().map(|(rank, token)| (token.as_slice(), rank)).collect();
        let mut merges: Vec<String> = Vec::new();
        for (rank, token) in self.ranks.iter().enumerate().skip(SINGLE_BYTES) {
            let cuts = (1..token.len()).map(|at| token.split_at(at));
            let known =
                |(left, right): (&[u8], &[u8])| Some((*ranks.get(left)?, *ranks.get(right)?));
            let mut found: Vec<(usize, usize)> = cuts.filter_map(known).collect();
            if found.is_empty() {
                return Err(format!("no two tokens form the token with rank {rank}"));
            }
            found.sort_unstable();
            for (left, right) in found {
                let [left, right] = [left, right].map(|part| written(&self.ranks[part]));
                merges.push(format!("{left} {right}"));
            }
        }
        Ok(merges.iter().collect())
    }
}

/// Ranks of single bytes.
const SINGLE_BYTES: usize = 256;

/// Writes bytes as byte-level BPE does: those that are no visible characters as others, in order.
fn written(token: &[u8]) -> String {
    token.iter().map(|byte| letter(*byte)).collect()
}

fn letter(byte: u8) -> char {
    let visible = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if visible(byte) {
        return char::from(byte);
    }
    let place = (0..byte).filter(|other| !visible(*other)).count() as u32;
    char::from_u32(256 + place).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Decodes base64.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut word, mut bits) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_letters() {
        assert_eq!(decode("aGVsbG8=").as_deref(), Some(&b"hello"[..]));
        assert_eq!(decode("/+8=").as_deref(), Some(&[0xff, 0xef][..]));
        assert_eq!(decode("a b"), None);
        assert_eq!(written(b" a\n\x00\xad"), "\u{120}a\u{10a}\u{100}\u{143}");
    }

    #[test]
    fn every_cut_is_a_merge() {
        let single = (0..=255_u8).map(|byte| vec![byte]);
        let ranks = single.chain([b"ab".to_vec(), b"bc".to_vec(), b"abc".to_vec()]).collect();
        let tekken = Tekken { special: Vec::new(), ranks, version: String::new() };
        let merges = tekken.merges().expect("every token has a cut");
        let merges: Vec<_> = merges.iter().map(String::from_utf8_lossy).collect();
        assert_eq!(merges, ["a b", "b c", "a bc", "ab c"]);
    }
}
