//! The vocabulary of a checkpoint as metadata.
//!
//! | file | holds |
//! |---|---|
//! | `sentencepiece` | `tokenizer.model` |
//! | `hugging_face` | `tokenizer.json` with what `tokenizer_config.json` changes in it |
//! | `byte_fallback`, `byte_level` | the two kinds of BPE in `tokenizer.json` |
//! | `pre` | recognising how text is cut before BPE |
//! | `special` | ids of special tokens, what is put around a text, chat templates |

mod byte_fallback;
mod byte_level;
mod hugging_face;
mod pre;
mod pre_names;
mod quirk;
mod sentencepiece;
mod special;

use std::path::Path;

use granule_format::{Array, Metadata, StringArray};

use crate::Error;
use crate::arch::{Arch, Config};
use crate::json::read_object_if_there;
use crate::source::{CheckpointOptions, Problem};
use hugging_face::HuggingFace;
use special::Special;

pub use quirk::{Quirk, TokenizerKind};

/// The largest vocabulary that is read, in tokens; real ones have up to 262,144.
const MOST_TOKENS: u64 = 1 << 24;

/// What a tokenizer reads from.
struct Input<'a> {
    folder: &'a Path,
    config: &'a Config,
    /// `tokenizer.json` and `tokenizer_config.json`, if there is a `tokenizer.json`.
    hugging_face: Option<HuggingFace>,
    /// The name of the pre-tokenizer that the user wants.
    pre: Option<&'a str>,
}

/// Tokens and what belongs to each, at the same index.
#[derive(Debug, Default)]
struct Tokens {
    texts: Vec<Vec<u8>>,
    types: Vec<TokenType>,
    /// Empty where the kind of tokenizer has none.
    scores: Vec<f32>,
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

/// Read the tokenizer of a checkpoint: `tokenizer.*` in the order in which it is written.
///
/// # Errors
/// If there is none of a kind that the architecture knows, or it does not fit the config.
pub(crate) fn read(
    arch: &Arch,
    config: &Config,
    folder: &Path,
    options: &CheckpointOptions,
    warnings: &mut Vec<String>,
) -> Result<Metadata, Error> {
    let hugging_face = HuggingFace::read(folder, config)?;
    let input = Input { folder, config, hugging_face, pre: options.pre_tokenizer.as_deref() };
    let mut out = Metadata::new();
    if arch.quirks.iter().any(|quirk| matches!(quirk, Quirk::SpacePrefix))
        && let Some(tokenizer_config) = read_object_if_there(&folder.join("tokenizer_config.json"))?
        && let Some(add) = tokenizer_config.get("add_prefix_space").and_then(|add| add.as_bool())
    {
        out.set("tokenizer.ggml.add_space_prefix", add);
    }

    let kind = arch.tokenizers.iter().copied().find(|kind| kind.is_there(&input));
    let (model, pre, tokens) = match kind {
        Some(TokenizerKind::SentencePiece) => {
            ("llama", "default".to_owned(), sentencepiece::tokens(&input, warnings)?)
        }
        Some(TokenizerKind::ByteFallbackBpe) => {
            ("llama", "default".to_owned(), byte_fallback::tokens(&input)?)
        }
        Some(TokenizerKind::ByteLevelBpe) => {
            let (pre, tokens) = byte_level::tokens(&input, warnings)?;
            ("gpt2", pre, tokens)
        }
        Some(TokenizerKind::Unigram | TokenizerKind::WordPiece) => unreachable!("never there"),
        None if input.hugging_face.is_some() => {
            let path = folder.join("tokenizer.json");
            let text = "its model is none of the kinds that the architecture uses".to_owned();
            return Err(Error::in_file(&path, Problem::Tokenizer(text)));
        }
        None => {
            let files = "tokenizer.model, tokenizer.json";
            return Err(Error::in_file(folder, Problem::NoTokenizer(files)));
        }
    };
    let byte_level = kind == Some(TokenizerKind::ByteLevelBpe);
    let limit = (!byte_level).then_some(tokens.texts.len() as u64);
    out.set("tokenizer.ggml.model", model);
    out.set("tokenizer.ggml.pre", pre);
    tokens.write(&mut out);
    let mut special = Special::read(&input, limit)?;
    if byte_level {
        special.take_merges(&input)?;
    }
    let vocabulary = config.get("vocab_size").and_then(|size| size.as_u64()).unwrap_or(32_000);
    special.write(&mut out);
    for quirk in arch.quirks {
        match quirk {
            Quirk::AddBos { vocabulary: size, add }
                if size.is_none_or(|size| size == vocabulary) =>
            {
                out.set("tokenizer.ggml.add_bos_token", *add);
            }
            Quirk::EndOfTurn { vocabulary: size, id }
                if size.is_none_or(|size| size == vocabulary) =>
            {
                let key = "tokenizer.ggml.eot_token_id";
                if out.get(key).is_none() {
                    out.set(key, special.end_of_turn().unwrap_or(*id));
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

impl TokenizerKind {
    /// Whether the checkpoint has a tokenizer of this kind.
    fn is_there(self, input: &Input<'_>) -> bool {
        let json = input.hugging_face.as_ref();
        match self {
            Self::SentencePiece => input.folder.join("tokenizer.model").is_file(),
            Self::ByteFallbackBpe => json.is_some_and(byte_fallback::is_kind),
            Self::ByteLevelBpe => json.is_some_and(|json| json.model_type() == "BPE"),
            Self::Unigram | Self::WordPiece => false,
        }
    }
}

impl Input<'_> {
    /// Size of the vocabulary by the config, if it says one.
    fn vocabulary(&self) -> Result<Option<usize>, Error> {
        let Some((key, value)) = self.config.first(&["vocab_size"]) else { return Ok(None) };
        match self.config.unsigned(key, value)? {
            size if size <= MOST_TOKENS => Ok(Some(size as usize)),
            _ => Err(self.config.wrong(key, value, "at most 16777216 tokens")),
        }
    }
}

impl Tokens {
    fn push(&mut self, text: impl Into<Vec<u8>>, ty: TokenType) {
        self.texts.push(text.into());
        self.types.push(ty);
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
