//! Ranks of tiktoken: a text file with a token and its rank on each line.
//!
//! The class that reads such a file comes with the model, as Python. What only that class knows
//! (the special tokens, the pre-tokenizer) is a fact about the architecture, [`Quirk::Tiktoken`].
//! The merges are not stored: a token is made of the two parts that remain if all merges of lower
//! rank are applied to its bytes.

use std::collections::{BTreeMap, HashMap, HashSet};

use granule_format::StringArray;
use serde_json::Value;

use super::{Input, MOST_TOKENS, TokenType, Tokens, Vocabulary};
use crate::arch::{Quirk, Tiktoken};
use crate::folder::Named;
use crate::{Error, Problem};

/// The longest token accepted, in bytes; real ones have up to 128.
const MOST_BYTES: usize = 4096;

/// Ids without a token that are accepted if nothing says how large the vocabulary is, apart from as
/// many as there are tokens.
const MOST_EMPTY: u64 = 1024;

/// Returns what the architecture says about the ranks, if the checkpoint has them.
fn facts<'a>(input: &Input<'a>) -> Option<&'a Tiktoken> {
    input.quirks.iter().find_map(|quirk| match quirk {
        Quirk::Tiktoken(facts) if input.folder.exists(&facts.file) => Some(facts),
        _ => None,
    })
}

/// Returns whether the checkpoint has a tokenizer of this kind.
pub(super) fn is_there(input: &Input<'_>) -> Result<bool, Error> {
    let Some(facts) = facts(input) else { return Ok(false) };
    // SentencePiece models may have the same name. Ranks are text, and begin in base64.
    let bytes = input.folder.at(&*facts.file).read();
    let bytes = bytes.map_err(Error::io(input.folder.at(&*facts.file).path()))?;
    Ok(bytes.first().is_some_and(|byte| sextet(*byte).is_some()))
}

/// Reads the ranks, and every id from 0 to the end of the vocabulary.
pub(super) fn read(input: &Input<'_>) -> Result<Vocabulary, Error> {
    let facts = facts(input).expect("`is_there` has found it");
    let ranks = Ranks::read(&input.folder.at(&*facts.file))?;
    let merges = ranks.merges();
    let mut texts: BTreeMap<u64, (String, TokenType)> = BTreeMap::new();
    let mut ids: HashMap<String, u64> = HashMap::with_capacity(ranks.list.len());
    for (token, rank) in &ranks.list {
        let text = written(token);
        ids.insert(text.clone(), *rank);
        texts.insert(*rank, (text, TokenType::Normal));
    }
    let mut end = None;
    for (id, text) in specials(input, facts, ranks.list.len() as u64) {
        if facts.end.as_deref() == Some(&text) {
            end = u32::try_from(id).ok();
        }
        // A special token takes the place of an equal sequence of bytes.
        if let Some(old) = ids.get(&text) {
            texts.remove(old);
        }
        texts.insert(id, (text, TokenType::Control));
    }
    let after = texts.last_key_value().map_or(0, |(last, _)| last + 1);
    let size = match input.vocabulary(&["vocab_size"])? {
        Some(size) => size as u64,
        None if after > 2 * texts.len() as u64 + MOST_EMPTY => {
            let (last, known) = (after - 1, texts.len());
            let text = format!(
                "a token has the id {last}, but there are {known} tokens: add \"vocab_size\" to \
                 config.json if the other ids are empty"
            );
            let file = input.folder.at(&*facts.file);
            return Err(Error::in_file(file.path(), Problem::Tokenizer(text)));
        }
        None => after,
    };
    let mut tokens = Tokens::default();
    for id in 0..size {
        match texts.remove(&id) {
            Some((text, ty)) => tokens.push(text, ty),
            None => tokens.push(format!("[PAD{id}]"), TokenType::Unused),
        }
    }
    let beyond = texts.into_values().map(|(text, _)| text).collect();
    let pre = input.pre.unwrap_or(&facts.pre);
    let own_merges = Some(merges);
    Ok(Vocabulary { own_merges, end, beyond, ..Vocabulary::new("gpt2", pre, tokens) })
}

/// Returns the special tokens by id: those of `tokenizer_config.json`, otherwise those of the
/// architecture.
fn specials(input: &Input<'_>, facts: &Tiktoken, first: u64) -> BTreeMap<u64, String> {
    let named = facts.specials.iter().map(ToString::to_string);
    let numbered = (0..facts.count).map(|number| {
        let id = first + (facts.specials.len() as u64) + number;
        facts.numbered.replace("{n}", &number.to_string()).replace("{id}", &id.to_string())
    });
    let mut specials: BTreeMap<u64, String> = (first..).zip(named.chain(numbered)).collect();
    let decoder = input.tokenizer_config.get("added_tokens_decoder").and_then(Value::as_object);
    for (id, token) in decoder.into_iter().flatten() {
        let text = token.get("content").and_then(Value::as_str);
        if let (Ok(id), Some(text)) = (id.parse::<u64>(), text)
            && id < MOST_TOKENS
        {
            specials.retain(|_, other| other != text);
            specials.insert(id, text.to_owned());
        }
    }
    specials
}

/// Ranks by token.
struct Ranks {
    /// In the order of the file.
    list: Vec<(Vec<u8>, u64)>,
    ranks: HashMap<Vec<u8>, u64>,
}

impl Ranks {
    fn read(file: &Named<'_>) -> Result<Self, Error> {
        let fail = |line: usize, why: &str| {
            let text = format!("line {line} {why}");
            Error::in_file(file.path(), Problem::Tokenizer(text))
        };
        let bytes = file.read().map_err(Error::io(file.path()))?;
        let (mut list, mut seen, mut twice) = (Vec::new(), HashSet::new(), false);
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let (token, rank) = match (words.next(), words.next(), words.next()) {
                (None, ..) => continue,
                (Some(token), Some(rank), None) => (token, rank),
                _ => return Err(fail(index + 1, "is not a token and its rank")),
            };
            let token = base64(token).filter(|token| (1..=MOST_BYTES).contains(&token.len()));
            let token = token.ok_or_else(|| fail(index + 1, "has no token in base64"))?;
            let rank = str::from_utf8(rank).ok().and_then(|rank| rank.parse::<u64>().ok());
            let rank = rank.filter(|rank| *rank < MOST_TOKENS);
            let rank = rank.ok_or_else(|| fail(index + 1, "has no rank below 1048576"))?;
            if seen.insert(token.clone()) {
                list.push((token, rank));
            } else {
                twice = true;
            }
        }
        // Classes that expect duplicates number the others consecutively.
        if twice {
            list.iter_mut().zip(0..).for_each(|((_, rank), number)| *rank = number);
        }
        let mut taken = HashSet::new();
        if let Some((_, rank)) = list.iter().find(|(_, rank)| !taken.insert(*rank)) {
            let text = format!("two tokens have the rank {rank}");
            return Err(Error::in_file(file.path(), Problem::Tokenizer(text)));
        }
        let ranks = list.iter().cloned().collect();
        Ok(Self { list, ranks })
    }

    /// Returns the merges that make the tokens, in the order of the file. A token that no merge
    /// makes has none.
    fn merges(&self) -> StringArray {
        let mut merges = StringArray::default();
        for (token, rank) in &self.list {
            if let [first, second] = self.parts(token, *rank)[..] {
                merges.push(format!("{} {}", written(first), written(second)));
            }
        }
        merges
    }

    /// Applies all merges below a rank to the bytes of a token.
    fn parts<'a>(&self, token: &'a [u8], below: u64) -> Vec<&'a [u8]> {
        let mut ends: Vec<usize> = (0..=token.len()).collect();
        loop {
            let pairs = ends.windows(3).enumerate();
            let known = pairs
                .filter_map(|(at, pair)| Some((*self.ranks.get(&token[pair[0]..pair[2]])?, at)));
            match known.min() {
                Some((rank, at)) if rank < below => ends.remove(at + 1),
                _ => break,
            };
        }
        ends.windows(2).map(|pair| &token[pair[0]..pair[1]]).collect()
    }
}

/// Writes bytes as characters, as byte-level BPE does: printable ones as themselves, the others
/// from U+0100 on.
fn written(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| character(*byte)).collect()
}

fn character(byte: u8) -> char {
    let code = u32::from(byte);
    let moved = match byte {
        0..=0x20 => 0x100 + code,
        0x7f..=0xa0 => 0x121 + code - 0x7f,
        0xad => 0x143,
        _ => code,
    };
    char::from_u32(moved).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Decodes base64 with padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    if text.len() - digits > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in text[..digits].chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | sextet(*byte)?;
        }
        bits <<= 6 * (4 - group.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

fn sextet(digit: u8) -> Option<u32> {
    Some(match digit {
        b'A'..=b'Z' => u32::from(digit - b'A'),
        b'a'..=b'z' => u32::from(digit - b'a') + 26,
        b'0'..=b'9' => u32::from(digit - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(tokens: &[&str]) -> Ranks {
        let list: Vec<_> = tokens.iter().map(|token| token.as_bytes().to_vec()).zip(0..).collect();
        let ranks = list.iter().cloned().collect();
        Ranks { list, ranks }
    }

    #[test]
    fn merges_follow_from_ranks() {
        let ranks = ranks(&["a", "b", "c", "ab", "bc", "abc", "abcab", " a", "xyz"]);
        let merges = ranks.merges();
        let merges: Vec<_> = merges.iter().map(String::from_utf8_lossy).collect();
        // `xyz` is the merge of no two tokens.
        assert_eq!(merges, ["a b", "b c", "ab c", "abc ab", "\u{120} a"]);
    }

    #[test]
    fn bytes_are_written_as_characters() {
        let all: HashSet<char> = (0..=255).map(character).collect();
        assert_eq!(all.len(), 256);
        assert_eq!(
            written(b"\x00 !~\x7f\xa0\xa1\xad\xff"),
            "\u{100}\u{120}!~\u{121}\u{142}\u{a1}\u{143}\u{ff}"
        );
    }

    #[test]
    fn base64_is_decoded() {
        for (text, bytes) in
            [("IQ==", &b"!"[..]), ("aGU=", b"he"), ("dGhl", b"the"), ("AP8+/w==", b"\0\xff>\xff")]
        {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes));
        }
        for text in ["IQ", "IQ=", "I===", "a b=", "IQ==IQ==", "="] {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
    }
}
