//! The vocabulary of a checkpoint as metadata.
//!
//! | file | holds |
//! |---|---|
//! | `sentencepiece`, `unigram` | SentencePiece models, which `protobuf` parses |
//! | `byte_fallback`, `byte_level`, `word_piece` | others, from `tokenizer.json` or bare files |
//! | `tiktoken` | ranks of tiktoken |
//! | `rwkv`, `plamo` | lists of tokens that one family of models has |
//! | `file`, `bare` | `tokenizer.json`, or its substitute for a bare vocabulary |
//! | `library`, `class`, `listed` | the tokenizer as the transformers library loads it |
//! | `ids` | the vocabulary of that tokenizer, id by id |
//! | `pre` | identification of the pre-tokenizer |
//! | `special` | ids of special tokens, and which of them surround a text |
//! | `quirks` | facts that no file states |
//! | `codec` | tokens of sound after those of text |
//! | `chat` | chat templates |
//! | `tekken`, `mistral` | `tekken.json`, and the files of Mistral's own library |

mod bare;
mod byte_fallback;
mod byte_level;
mod chat;
mod class;
mod codec;
mod expressions;
mod file;
mod ids;
mod kind;
mod library;
mod listed;
mod mistral;
mod plamo;
mod pre;
mod pre_names;
mod protobuf;
mod python;
mod quirks;
mod rwkv;
mod sentencepiece;
mod special;
mod tekken;
#[cfg(test)]
mod tests;
mod tiktoken;
mod unigram;
mod word_piece;

use std::collections::HashMap;
use std::path::Path;

use granule_format::{Array, Metadata, StringArray, Value};
use serde_json::Map;

use crate::arch::{Arch, Config, Quirk, TokenizerKind};
use crate::json::read_object_if_there;
use crate::{CheckpointOptions, Error, Folder, Layout, Problem};
use file::TokenizerFile;
use special::Special;

/// The key of the chat template.
pub(crate) const TEMPLATE: &str = "tokenizer.chat_template";

/// The largest vocabulary accepted, in tokens; real ones have up to 262,144.
const MOST_TOKENS: u64 = 1 << 20;

/// The input of a tokenizer.
struct Input<'a> {
    folder: &'a dyn Folder,
    config: &'a Config,
    quirks: &'a [Quirk],
    /// The content of `tokenizer_config.json`; empty if there is none.
    tokenizer_config: Map<String, serde_json::Value>,
    json: Option<TokenizerFile>,
    /// The name of the pre-tokenizer, if the user chose one.
    pre: Option<&'a str>,
}

/// Entries of the metadata.
type Entries = Vec<(&'static str, Value)>;

/// The vocabulary read by a kind of tokenizer.
struct Vocabulary {
    /// Entries to write before the model's name.
    first: Entries,
    model: &'static str,
    /// The name of the pre-tokenizer, if the model has one.
    pre: Option<String>,
    tokens: Tokens,
    /// Entries to write after the tokens.
    behind: Entries,
    /// Whether to ignore special tokens outside the vocabulary.
    limited: bool,
    /// Whether other files have the merges of the tokenizer.
    merges: bool,
    /// The merges, if they are known already.
    own_merges: Option<StringArray>,
    /// The special token for unknown text, and around a text if the files name no special token.
    end: Option<u32>,
    /// Whether unused tokens are added if the model has more embeddings.
    padded: bool,
    /// The texts of tokens past the end of the vocabulary.
    beyond: Vec<String>,
    /// Ids of special tokens, whatever the files say.
    fixed: Vec<(&'static str, u32)>,
    /// Ids of special tokens unless a file has others.
    defaults: Vec<(&'static str, u32)>,
    /// Whether there are no special tokens but those of `behind`.
    complete: bool,
}

/// The tokens and their attributes, at the same index.
#[derive(Debug, Default)]
struct Tokens {
    texts: Vec<Vec<u8>>,
    types: Vec<TokenType>,
    /// The scores; empty if the kind of tokenizer has none.
    scores: Vec<f32>,
    /// Id, old text and new text of each token that an added one has replaced.
    replaced: Vec<(usize, String, String)>,
}

/// The type of a token, numbered as in SentencePiece.
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

/// Reads the tokenizer of a checkpoint as entries `tokenizer.*` in output order. `rows` is the
/// number of embeddings in the model, if known, and so the number of tokens that the file must
/// have.
///
/// # Errors
/// If the checkpoint has no tokenizer of a kind that the architecture supports, or if it does not
/// match the config.
pub(crate) fn read(
    arch: &Arch,
    config: &Config,
    folder: &dyn Folder,
    options: &CheckpointOptions,
    rows: Option<u64>,
    warnings: &mut Vec<String>,
) -> Result<Metadata, Error> {
    let size_key = arch.key("vocab_size");
    if let Layout::Mistral { named_template } = options.layout {
        return mistral::read(folder, &size_key, named_template, warnings);
    }
    if arch.quirks.contains(&Quirk::Tekken) && tekken::is_alone(folder) {
        // As in the reference, a template that comes with llama.cpp is used if there is one.
        let own = chat::template(folder, Some(&Map::new()), warnings)?;
        let own = own.as_str().map(str::to_owned);
        let templates = mistral::Templates { own, own_first: false, named: true };
        return tekken::read(folder, &size_key, templates, warnings);
    }
    let pre = options.pre_tokenizer.as_deref();
    read_kinds((&arch.tokenizers, &arch.quirks), config, folder, pre, rows, warnings)
}

/// Reads a tokenizer of one of these kinds, tried in order, with these quirks.
fn read_kinds(
    (kinds, quirks): (&[TokenizerKind], &[Quirk]),
    config: &Config,
    folder: &dyn Folder,
    pre: Option<&str>,
    rows: Option<u64>,
    warnings: &mut Vec<String>,
) -> Result<Metadata, Error> {
    let tokenizer_config = read_object_if_there(&folder.at("tokenizer_config.json"))?;
    let tokenizer_config = tokenizer_config.unwrap_or_default();
    let json = TokenizerFile::read(folder)?;
    let input = Input { folder, config, quirks, tokenizer_config, json, pre };

    let mut out = Metadata::new();
    input.write_first(&mut out);
    let kind = input.choose(kinds)?;
    if kind == TokenizerKind::None {
        out.set("tokenizer.ggml.model", "none");
        return Ok(out);
    }
    let mut vocabulary = kind.read(&input, warnings)?;
    let first = std::mem::take(&mut vocabulary.first);
    first.into_iter().for_each(|(key, value)| out.set(key, value));
    vocabulary.tokens.add_codec(&input)?;
    let left_out = vocabulary.fit(rows, warnings);
    out.set("tokenizer.ggml.model", vocabulary.model);
    if let Some(pre) = pre.filter(|pre| Some(*pre) != vocabulary.pre.as_deref()) {
        let model = vocabulary.model;
        warnings.push(format!("--pre {pre} has no effect: {model:?} has no pre-tokenizers"));
    }
    if let Some(pre) = vocabulary.pre {
        out.set("tokenizer.ggml.pre", pre);
    }
    vocabulary.tokens.warn_of_replaced(warnings);
    warn_of_twins(&vocabulary.tokens.texts, folder.path(), warnings);
    let limited = vocabulary.limited || left_out;
    let limit = limited.then_some(vocabulary.tokens.texts.len() as u64);
    let named = input.named(&vocabulary.tokens, warnings);
    vocabulary.tokens.write(&mut out);
    vocabulary.behind.into_iter().for_each(|(key, value)| out.set(key, value));
    if let Some(add) = input.tokenizer_config.get("add_prefix_space")
        && input.has(&Quirk::LateSpacePrefix)
    {
        out.set("tokenizer.ggml.add_space_prefix", python::truth(add));
    }

    if vocabulary.complete {
        return Ok(out);
    }
    let mut special = Special::read(&input, special::KINDS, limit, warnings)?;
    if vocabulary.merges {
        vocabulary.own_merges = special::all_merges(&input)?;
    }
    special.take_merges(vocabulary.own_merges, &vocabulary.beyond);
    if let Some(id) = vocabulary.end {
        let around: &[&str] = if special.has_none() { &["bos", "eos"] } else { &[] };
        around.iter().chain(&["unk"]).for_each(|kind| special.set_default(kind, id));
    }
    named.into_iter().for_each(|(kind, id)| special.set_default(kind, id));
    special.replace(&input);
    vocabulary.defaults.into_iter().for_each(|(kind, id)| special.set_default(kind, id));
    vocabulary.fixed.into_iter().for_each(|(kind, id)| special.set(kind, id));
    special.write(&mut out);
    if input.has(&Quirk::TemplateFile) {
        chat::write_file(folder, &mut out)?;
    }
    input.write_last(kind, &mut out)?;
    if quirks.iter().any(|quirk| matches!(quirk, Quirk::CodecTokens(_))) {
        out.remove(TEMPLATE);
    }
    Ok(out)
}

impl Input<'_> {
    /// Returns the size of the vocabulary if the config has one of these keys.
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
            return Err(self.config.wrong(key, value, "at most 1048576 tokens"));
        }
        Ok(Some(size as usize))
    }

    fn has(&self, quirk: &Quirk) -> bool {
        self.quirks.contains(quirk)
    }

    /// Chooses the kind of tokenizer that the checkpoint has.
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
                "" => "it does not name the type of its model".to_owned(),
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
        for (file, advice) in file::UNREAD {
            if self.folder.exists(file) {
                wanted.push_str(&format!(". The folder has {file}: {advice}"));
            }
        }
        for quirk in self.quirks {
            if let Quirk::BorrowedTokenizer(model) = quirk {
                wanted.push_str(&format!(
                    ". Models of this architecture without a tokenizer use that of {model}"
                ));
            }
        }
        Err(Error::in_file(self.folder.path(), Problem::NoTokenizer(wanted)))
    }
}

impl Vocabulary {
    fn new(model: &'static str, pre: impl Into<String>, tokens: Tokens) -> Self {
        let (first, behind) = (Entries::new(), Entries::new());
        let pre = Some(pre.into());
        Self {
            first,
            model,
            pre,
            tokens,
            behind,
            limited: false,
            merges: false,
            own_merges: None,
            end: None,
            padded: true,
            beyond: Vec::new(),
            fixed: Vec::new(),
            defaults: Vec::new(),
            complete: false,
        }
    }

    /// Adjusts the number of tokens to the model's embeddings. Warns of tokens that are left out,
    /// and returns whether any are.
    fn fit(&mut self, rows: Option<u64>, warnings: &mut Vec<String>) -> bool {
        let found = self.tokens.texts.len();
        if let Some(rows) = rows.and_then(|rows| usize::try_from(rows).ok()).filter(|_| found > 0) {
            let real = |index: usize| self.tokens.types[index] != TokenType::Unused;
            let beyond = (rows..found).filter(|index| real(*index));
            let beyond =
                beyond.map(|index| String::from_utf8_lossy(&self.tokens.texts[index]).into_owned());
            self.beyond.splice(..0, beyond.collect::<Vec<_>>());
            self.tokens.resize(if self.padded { rows } else { rows.min(found) });
        }
        let [first, more @ ..] = &self.beyond[..] else { return false };
        let more = match more.len() {
            0 => "is".to_owned(),
            1 => "and 1 more token are".to_owned(),
            more => format!("and {more} more tokens are"),
        };
        warnings.push(format!(
            "the token {first:?} {more} left out: the model's vocabulary has a size of only {}",
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

    /// Truncates the list or pads it with unused tokens.
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

    /// Warns of tokens that other files have replaced. Losing the old text is rarely intended.
    fn warn_of_replaced(&self, warnings: &mut Vec<String>) {
        let Some((id, old, new)) = self.replaced.first() else { return };
        let more = match self.replaced.len() - 1 {
            0 => String::new(),
            more => format!(" (and so on for {more} more)"),
        };
        warnings.push(format!(
            "token {id}, {old:?}, is replaced by the added token {new:?}{more}: texts with {old:?} \
             are encoded differently than in the model's training"
        ));
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

/// Warns of two tokens with the same text: llama.cpp stops at such a file. (Rule S019 refuses to
/// write it.)
fn warn_of_twins<T: AsRef<[u8]>>(texts: &[T], path: &Path, warnings: &mut Vec<String>) {
    let mut seen = HashMap::with_capacity(texts.len());
    for (second, text) in texts.iter().map(T::as_ref).enumerate() {
        if let Some(first) = seen.insert(text, second)
            && !text.is_empty()
        {
            let text = String::from_utf8_lossy(text);
            return warnings.push(format!(
                "{}: the tokens {first} and {second} have the same text, {text:?}. Change the text \
                 or the id of one of them in the tokenizer's files (added tokens are in \
                 tokenizer_config.json, added_tokens.json and tokenizer.json)",
                path.display()
            ));
        }
    }
}

/// Returns whether a token looks special, because some models forget to mark such tokens.
fn looks_special(text: &str) -> bool {
    let framed = |start, end| text.starts_with(start) && text.ends_with(end);
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(&text)
        || framed("<|", "|>")
        || framed("<\u{ff5c}", "\u{ff5c}>")
        || framed("<unused", ">")
}

/// Returns the text and type of an added token: control, or user-defined with plain spaces.
fn added(text: String, special: bool) -> (String, TokenType) {
    if special || looks_special(&text) {
        (text, TokenType::Control)
    } else {
        (text.replace('\u{2581}', " "), TokenType::UserDefined)
    }
}
