//! Looks up the tokens of a vocabulary by their strings.

use alloc::borrow::Cow;

use crate::container::{Metadata, StringArray, Value};
use crate::prelude::*;

/// The kinds of `tokenizer.ggml.model` that stand for no vocabulary at all.
const NO_VOCABULARY: &[&str] = &["none", "no_vocab"];

/// The kinds of `tokenizer.ggml.model` that split strings by merges.
const WITH_MERGES: &[&str] = &["gpt2", "gemma4"];

/// The kinds of `tokenizer.ggml.model` that readers do not load without merges.
const NEEDS_MERGES: &[&str] = &["gpt2", "gemma4", "hybriddna", "whitespace"];

/// The one kind of `tokenizer.ggml.pre` that splits strings without merges.
const SPLIT_WITHOUT_MERGES: &str = "kimi-k2";

/// The keys of the tokenizer that more than one rule looks at.
pub(crate) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(crate) const MERGES: &str = "tokenizer.ggml.merges";
pub(crate) const MODEL: &str = "tokenizer.ggml.model";

/// Returns whether there is a vocabulary, that is, unless the file says that there is none.
pub(crate) fn has_vocabulary(metadata: &Metadata) -> bool {
    !is_one_of(metadata, MODEL, NO_VOCABULARY)
}

/// Returns whether the tokenizer splits strings by merges.
pub(crate) fn has_merges(metadata: &Metadata) -> bool {
    is_one_of(metadata, MODEL, WITH_MERGES)
}

/// Whether readers refuse the tokenizer without merges.
pub(crate) fn needs_merges(metadata: &Metadata) -> bool {
    is_one_of(metadata, MODEL, NEEDS_MERGES)
        && !is_one_of(metadata, "tokenizer.ggml.pre", &[SPLIT_WITHOUT_MERGES])
}

fn is_one_of(metadata: &Metadata, key: &str, names: &[&str]) -> bool {
    matches!(metadata.get(key), Some(Value::String(name)) if names.contains(&name.as_str()))
}

/// The strings of tokens and their numbers, sorted: 32 bytes per token for any file.
///
/// A string ends at its first NUL byte, as for a C program. Tokens with an empty string are
/// omitted: readers give them names of their own.
#[derive(Debug)]
pub(crate) struct Vocabulary<'v> {
    by_text: Vec<Token<'v>>,
}

/// A token. The order of its fields is the order of tokens.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Token<'v> {
    /// What [`head`] says of the string: comparing it mostly saves a look at the string, which is
    /// elsewhere in memory.
    head: u64,
    text: &'v [u8],
    id: u32,
}

/// The first eight bytes of a string as a number that orders as the strings do.
fn head(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(8);
    bytes[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(bytes)
}

impl<'v> Vocabulary<'v> {
    /// The vocabulary of these strings.
    pub(crate) fn new(tokens: &'v StringArray) -> Self {
        let visible = |text: &'v [u8]| text.split(|byte| *byte == 0).next().unwrap_or_default();
        let mut by_text: Vec<_> = (0..)
            .zip(tokens.iter())
            .map(|(id, text)| (visible(text), id))
            .filter(|(text, _)| !text.is_empty())
            .map(|(text, id)| Token { head: head(text), text, id })
            .collect();
        by_text.sort_unstable();
        Self { by_text }
    }

    /// Whether a token has this string.
    pub(crate) fn has(&self, text: &[u8]) -> bool {
        let wanted = (head(text), text);
        self.by_text.binary_search_by(|token| (token.head, token.text).cmp(&wanted)).is_ok()
    }

    /// The tokens whose string an earlier token has: that token, and this one.
    pub(crate) fn repeated(&self) -> impl Iterator<Item = (u32, u32)> {
        let alike = self.by_text.chunk_by(|one, other| one.text == other.text);
        alike.flat_map(|tokens| tokens[1..].iter().map(|token| (tokens[0].id, token.id)))
    }
}

/// The two strings that a merge joins; `None` if there is no space between them.
pub(crate) fn halves(merge: &[u8]) -> Option<(&[u8], &[u8])> {
    // the first byte belongs to the first string, even if it is a space
    let space = 1 + merge.get(1..)?.iter().position(|byte| *byte == b' ')?;
    Some((&merge[..space], &merge[space + 1..]))
}

/// Converts bytes to a displayable string.
pub(crate) fn shown(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_and_compared() {
        let tokens = ["b", "a", "", "a\0x", "b", "", "c", "information", "informations"];
        let tokens = tokens.iter().collect();
        let vocabulary = Vocabulary::new(&tokens);
        assert!(vocabulary.has(b"information") && vocabulary.has(b"informations"));
        assert!(!vocabulary.has(b"informat") && !vocabulary.has(b"informative"));
        assert!(vocabulary.has(b"a") && vocabulary.has(b"c"));
        assert!(!vocabulary.has(b"") && !vocabulary.has(b"a\0x") && !vocabulary.has(b"d"));
        assert_eq!(vocabulary.repeated().collect::<Vec<_>>(), [(1, 3), (0, 4)]);
    }

    #[test]
    fn merges_are_taken_apart() {
        for (merge, expected) in [
            (&b"a b"[..], Some((&b"a"[..], &b"b"[..]))),
            (b"  b", Some((b" ", b"b"))),
            (b"a b c", Some((b"a", b"b c"))),
            (b"ab ", Some((b"ab", b""))),
            (b"ab", None),
            (b"", None),
        ] {
            assert_eq!(halves(merge), expected, "{merge:?}");
        }
    }
}
