//! The vocabulary of a checkpoint as metadata.
//!
//! | file | holds |
//! |---|---|
//! | `sentencepiece`, `unigram` | SentencePiece models, which `protobuf` reads |
//! | `byte_fallback`, `byte_level`, `word_piece` | the other kinds, from `tokenizer.json` or a bare vocabulary |
//! | `file`, `bare` | `tokenizer.json`, and what is made of a vocabulary without one |
//! | `library`, `class`, `listed` | the tokenizer that the transformers library makes of the files |
//! | `ids` | its vocabulary, id by id |
//! | `pre` | recognising how text is cut before BPE |
//! | `special` | ids of special tokens, what is put around a text |
//! | `chat` | chat templates |

mod bare;
mod byte_fallback;
mod byte_level;
mod chat;
mod class;
mod file;
mod ids;
mod library;
mod listed;
mod pre;
mod pre_names;
mod protobuf;
mod sentencepiece;
mod special;
#[cfg(test)]
mod tests;
mod unigram;
mod word_piece;

use std::collections::HashMap;
use std::path::Path;

use granule_format::{Array, Metadata, StringArray, Value};
use serde_json::Map;

use crate::Error;
use crate::arch::{Arch, Config, Quirk, TokenizerKind};
use crate::json::read_object_if_there;
use crate::source::{CheckpointOptions, Problem};
use file::TokenizerFile;
use special::Special;

/// The largest vocabulary that is read, in tokens; real ones have up to 262,144.
const MOST_TOKENS: u64 = 1 << 20;

/// What a tokenizer reads from.
struct Input<'a> {
    folder: &'a Path,
    config: &'a Config,
    quirks: &'a [Quirk],
    /// Empty if there is none.
    tokenizer_config: Map<String, serde_json::Value>,
    json: Option<TokenizerFile>,
    /// The name of the pre-tokenizer that the user wants.
    pre: Option<&'a str>,
}

/// Entries of the metadata.
type Entries = Vec<(&'static str, Value)>;

/// What a kind of tokenizer finds.
struct Vocabulary {
    /// What is written before the model's name.
    first: Entries,
    model: &'static str,
    pre: String,
    tokens: Tokens,
    /// What is written behind the tokens.
    behind: Entries,
    /// Whether special tokens beyond the vocabulary are ignored.
    limited: bool,
    /// Whether there are merges.
    merges: bool,
    /// Tokens beyond the end of the vocabulary.
    beyond: Vec<String>,
}

/// Tokens and what belongs to each, at the same index.
#[derive(Debug, Default)]
struct Tokens {
    texts: Vec<Vec<u8>>,
    types: Vec<TokenType>,
    /// Empty where the kind of tokenizer has none.
    scores: Vec<f32>,
    /// Ids, old and new texts of tokens that added ones have replaced.
    replaced: Vec<(usize, String, String)>,
}

/// What a token is; the numbers are those of SentencePiece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
enum TokenType {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// Read the tokenizer of a checkpoint: `tokenizer.*` in the order in which it is written. `rows` is how many
/// tokens the model has embeddings for, and so how many the file must have, if that is known.
///
/// # Errors
/// If there is none of a kind that the architecture knows, or it does not fit the config.
pub(crate) fn read(
    arch: &Arch,
    config: &Config,
    folder: &Path,
    options: &CheckpointOptions,
    rows: Option<u64>,
    warnings: &mut Vec<String>,
) -> Result<Metadata, Error> {
    let pre = options.pre_tokenizer.as_deref();
    read_kinds((&arch.tokenizers, &arch.quirks), config, folder, pre, rows, warnings)
}

/// The same for these kinds, in the order in which they are tried, and these quirks.
fn read_kinds(
    (kinds, quirks): (&[TokenizerKind], &[Quirk]),
    config: &Config,
    folder: &Path,
    pre: Option<&str>,
    rows: Option<u64>,
    warnings: &mut Vec<String>,
) -> Result<Metadata, Error> {
    let tokenizer_config = read_object_if_there(&folder.join("tokenizer_config.json"))?;
    let tokenizer_config = tokenizer_config.unwrap_or_default();
    let json = TokenizerFile::read(folder)?;
    let input = Input { folder, config, quirks, tokenizer_config, json, pre };

    let mut out = Metadata::new();
    input.write_first(&mut out);
    let kind = input.choose(kinds)?;
    let mut vocabulary = kind.read(&input, warnings)?;
    let first = std::mem::take(&mut vocabulary.first);
    first.into_iter().for_each(|(key, value)| out.set(key, value));
    let left_out = vocabulary.fit(rows, warnings);
    out.set("tokenizer.ggml.model", vocabulary.model);
    if let Some(pre) = pre.filter(|pre| *pre != vocabulary.pre) {
        let model = vocabulary.model;
        warnings.push(format!("--pre {pre} has no effect: {model:?} has no pre-tokenizers"));
    }
    out.set("tokenizer.ggml.pre", vocabulary.pre);
    vocabulary.tokens.warn_of_replaced(warnings);
    vocabulary.tokens.check_texts(folder)?;
    let limited = vocabulary.limited || left_out;
    let limit = limited.then_some(vocabulary.tokens.texts.len() as u64);
    let named = input.named(&vocabulary.tokens, warnings);
    vocabulary.tokens.write(&mut out);
    vocabulary.behind.into_iter().for_each(|(key, value)| out.set(key, value));

    let mut special = Special::read(&input, special::KINDS, limit, warnings)?;
    if vocabulary.merges {
        special.take_merges(&input, &vocabulary.beyond)?;
    }
    named.into_iter().for_each(|(kind, id)| special.set_default(kind, id));
    special.write(&mut out);
    input.write_last(kind, &mut out)?;
    Ok(out)
}

impl TokenizerKind {
    /// Whether the checkpoint has a tokenizer of this kind.
    fn is_there(self, input: &Input<'_>) -> Result<bool, Error> {
        Ok(match self {
            Self::SentencePiece => input.folder.join("tokenizer.model").exists(),
            Self::ByteFallbackBpe => byte_fallback::is_there(input),
            Self::ByteLevelBpe => byte_level::is_there(input),
            Self::Unigram => unigram::is_there(input)?,
            Self::WordPiece => word_piece::is_there(input),
        })
    }

    fn read(self, input: &Input<'_>, warnings: &mut Vec<String>) -> Result<Vocabulary, Error> {
        match self {
            Self::SentencePiece => {
                let (tokens, beyond) = sentencepiece::tokens(input)?;
                let vocabulary = Vocabulary::new("llama", "default", tokens);
                Ok(Vocabulary { limited: true, beyond, ..vocabulary })
            }
            Self::ByteFallbackBpe => byte_fallback::read(input, warnings),
            Self::ByteLevelBpe => byte_level::read(input, warnings),
            Self::Unigram => unigram::read(input, warnings),
            Self::WordPiece => word_piece::read(input, warnings),
        }
    }

    /// The files that hold such a tokenizer.
    const fn files(self, fairseq: bool) -> &'static [&'static str] {
        match self {
            Self::SentencePiece => &["tokenizer.model"],
            Self::ByteFallbackBpe => &["tokenizer.json"],
            Self::ByteLevelBpe => &["tokenizer.json", "vocab.json with merges.txt"],
            Self::Unigram => unigram::files(fairseq),
            Self::WordPiece => &["tokenizer.json", "vocab.txt"],
        }
    }
}

impl Input<'_> {
    /// Size of the vocabulary by the config, if it says one under one of these keys.
    fn vocabulary(&self, keys: &[&'static str]) -> Result<Option<usize>, Error> {
        let Some((key, value)) = self.config.first(keys) else { return Ok(None) };
        let mut size = self.config.unsigned(key, value)?;
        for quirk in self.quirks {
            if let Quirk::RoundVocabulary { multiple } = quirk {
                let multiple = match self.config.first(&["pad_vocab_size_multiple"]) {
                    Some((key, value)) => self.config.unsigned(key, value)?,
                    None => *multiple,
                };
                size = size.checked_next_multiple_of(multiple.max(1)).unwrap_or(u64::MAX);
            }
        }
        if size > MOST_TOKENS {
            return Err(self.config.wrong(key, value, "at most 16777216 tokens"));
        }
        Ok(Some(size as usize))
    }

    fn has(&self, quirk: &Quirk) -> bool {
        self.quirks.contains(quirk)
    }

    /// The kind of tokenizer that the checkpoint has.
    fn choose(&self, kinds: &[TokenizerKind]) -> Result<TokenizerKind, Error> {
        let class = self.tokenizer_config.get("tokenizer_class").and_then(|name| name.as_str());
        let byte_level = self.quirks.iter().any(
            |quirk| matches!(quirk, Quirk::ByteLevelClass(name) if Some(name.as_ref()) == class),
        );
        let kinds = if byte_level { &[TokenizerKind::ByteLevelBpe] } else { kinds };
        for kind in kinds {
            if kind.is_there(self)? {
                return Ok(*kind);
            }
        }
        if let Some(json) = &self.json {
            let text = match json.model_type() {
                "" => "it does not say what kind of model it has".to_owned(),
                ty => format!("its model is {ty}, which the architecture does not use"),
            };
            return Err(json.fail(text));
        }
        let fairseq = self.has(&Quirk::FairseqIds);
        let mut files: Vec<&str> = Vec::new();
        for file in kinds.iter().flat_map(|kind| kind.files(fairseq)) {
            if !files.contains(file) {
                files.push(file);
            }
        }
        let mut wanted = files.join(", ");
        for (file, advice) in UNREAD {
            if self.folder.join(file).exists() {
                wanted.push_str(&format!("; the folder has {file}: {advice}"));
            }
        }
        for quirk in self.quirks {
            if let Quirk::BorrowedTokenizer(model) = quirk {
                wanted.push_str(&format!(
                    "; models of this architecture that have none use that of {model}"
                ));
            }
        }
        Err(Error::in_file(self.folder, Problem::NoTokenizer(wanted)))
    }

    /// What quirks put before everything else.
    fn write_first(&self, out: &mut Metadata) {
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

    /// The ids of special tokens that quirks name by their texts.
    fn named(&self, tokens: &Tokens, warnings: &mut Vec<String>) -> Vec<(&str, u32)> {
        let mut named = Vec::new();
        for quirk in self.quirks {
            let Quirk::SpecialToken { kind, text } = quirk else { continue };
            let is = |index: &usize| tokens.texts[*index] == text.as_bytes();
            match (0..tokens.texts.len()).rev().find(is) {
                Some(index) => named.push((kind.as_ref(), index as u32)),
                None => warnings.push(format!(
                    "the tokenizer has no {text:?}, which is to be its {kind} token"
                )),
            }
        }
        named
    }

    /// What quirks put behind everything else.
    fn write_last(&self, kind: TokenizerKind, out: &mut Metadata) -> Result<(), Error> {
        let vocabulary = self.vocabulary(&["vocab_size"])?.map(|size| size as u64);
        let vocabulary = vocabulary.unwrap_or(32_000);
        let concerns = |size: &Option<u64>| size.is_none_or(|size| size == vocabulary);
        for quirk in self.quirks {
            match quirk {
                Quirk::AddBos { vocabulary: size, add } if concerns(size) => {
                    out.set("tokenizer.ggml.add_bos_token", *add);
                }
                Quirk::EndOfTurn { vocabulary: size, id } if concerns(size) => {
                    let warnings = &mut Vec::new(); // said already
                    let mut special = Special::read(self, special::FILLING_KINDS, None, warnings)?;
                    special.set_default("eot", *id);
                    special.write(out);
                }
                Quirk::NoSpacePrefix if kind == TokenizerKind::SentencePiece => {
                    out.set("tokenizer.ggml.add_space_prefix", false);
                }
                Quirk::TokenTypeCount if kind == TokenizerKind::ByteLevelBpe => {
                    if let Some((key, value)) = self.token_type_count()? {
                        out.set(key, value);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The number of types that a token can have beside its id, if the architecture knows any.
    fn token_type_count(&self) -> Result<Option<(&'static str, Value)>, Error> {
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

/// Files with tokenizers that are not read, and what to do about them.
const UNREAD: &[(&str, &str)] = &[
    ("tekken.json", "save the model with its tokenizer.json, which says the same"),
    ("tokenizer.model.v3", "rename it to tokenizer.model"),
    ("qwen.tiktoken", "only code that comes with the model reads it; make a tokenizer.json of it"),
    ("tiktoken.model", "only code that comes with the model reads it; make a tokenizer.json of it"),
    ("tokenizer.jsonl", "only code that comes with the model reads it"),
    ("rwkv_vocab_v20230424.txt", "this kind of vocabulary is not supported"),
];

impl Vocabulary {
    fn new(model: &'static str, pre: impl Into<String>, tokens: Tokens) -> Self {
        let (first, behind) = (Entries::new(), Entries::new());
        let pre = pre.into();
        let beyond = Vec::new();
        Self { first, model, pre, tokens, behind, limited: false, merges: false, beyond }
    }

    /// Make as many tokens as the model has embeddings for, and say which are left out; whether any are.
    fn fit(&mut self, rows: Option<u64>, warnings: &mut Vec<String>) -> bool {
        let found = self.tokens.texts.len();
        if let Some(rows) = rows.and_then(|rows| usize::try_from(rows).ok()).filter(|_| found > 0) {
            let real = |index: usize| self.tokens.types[index] != TokenType::Unused;
            let beyond = (rows..found).filter(|index| real(*index));
            let beyond =
                beyond.map(|index| String::from_utf8_lossy(&self.tokens.texts[index]).into_owned());
            self.beyond.splice(..0, beyond.collect::<Vec<_>>());
            self.tokens.resize(rows);
        }
        let [first, more @ ..] = &self.beyond[..] else { return false };
        let more = match more.len() {
            0 => "is".to_owned(),
            1 => "and 1 more token are".to_owned(),
            more => format!("and {more} more tokens are"),
        };
        warnings.push(format!(
            "the token {first:?} {more} left out: the vocabulary of the model ends before, at {} \
             tokens",
            self.tokens.texts.len()
        ));
        true
    }
}

impl Tokens {
    fn push(&mut self, text: impl Into<Vec<u8>>, ty: TokenType) {
        self.texts.push(text.into());
        self.types.push(ty);
    }

    /// Cut the list, or fill it up with unused tokens.
    fn resize(&mut self, size: usize) {
        let scores = !self.scores.is_empty();
        self.texts.truncate(size);
        for id in self.texts.len()..size {
            self.texts.push(format!("[PAD{id}]").into_bytes());
        }
        self.types.resize(size, TokenType::Unused);
        if scores {
            self.scores.resize(size, sentencepiece::UNUSED_SCORE);
        }
    }

    /// Say which tokens other files have replaced: a text that nothing stands for any more is rarely meant.
    fn warn_of_replaced(&self, warnings: &mut Vec<String>) {
        let Some((id, old, new)) = self.replaced.first() else { return };
        let more = match self.replaced.len() - 1 {
            0 => String::new(),
            more => format!(" (and so on for {more} more)"),
        };
        warnings.push(format!(
            "token {id}, {old:?}, is replaced by the added token {new:?}{more}: texts with {old:?} are \
             encoded otherwise than the model has learnt"
        ));
    }

    /// Every text must stand for one token: llama.cpp stops at a file in which two have the same.
    fn check_texts(&self, folder: &Path) -> Result<(), Error> {
        let mut seen = HashMap::with_capacity(self.texts.len());
        for (second, text) in self.texts.iter().enumerate() {
            if let Some(first) = seen.insert(text.as_slice(), second)
                && !text.is_empty()
            {
                let text = String::from_utf8_lossy(text).into_owned();
                return Err(Error::in_file(folder, Problem::TokenTwice { text, first, second }));
            }
        }
        Ok(())
    }

    fn write(self, out: &mut Metadata) {
        if self.texts.is_empty() {
            return;
        }
        let texts: StringArray = self.texts.iter().collect();
        let types = self.types.iter().map(|ty| *ty as i32).collect();
        out.set("tokenizer.ggml.tokens", Array::String(texts));
        if !self.scores.is_empty() {
            out.set("tokenizer.ggml.scores", Array::F32(self.scores));
        }
        out.set("tokenizer.ggml.token_type", Array::I32(types));
    }
}

/// Whether a token that is not marked as special is meant to be: some models forget to mark them.
fn looks_special(text: &str) -> bool {
    let framed = |start, end| text.starts_with(start) && text.ends_with(end);
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(&text)
        || framed("<|", "|>")
        || framed("<\u{ff5c}", "\u{ff5c}>")
        || framed("<unused", ">")
}

/// Control or user-defined, and the text: in user-defined tokens a space is a space.
fn added(text: String, special: bool) -> (String, TokenType) {
    if special || looks_special(&text) {
        (text, TokenType::Control)
    } else {
        (text.replace('\u{2581}', " "), TokenType::UserDefined)
    }
}
