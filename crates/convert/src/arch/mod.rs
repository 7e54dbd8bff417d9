//! Architectures: what the tensors and numbers of a checkpoint are called in a GGUF file.
//!
//! Each is described by a TOML file in `models/`, with a row in the table `FILES` of
//! `models`; `spec/architectures.md` says what such a file holds. The code that applies it knows no architecture.
//!
//! | file | holds |
//! |---|---|
//! | `models` | the files that are built in, as text |
//! | `description`, `mistake` | reading the files, and what is wrong with them |
//! | `built_in` | the architectures that are built in |
//! | `rules` | what becomes of tensors |
//! | `pattern` | how the numbers of a tensor are rearranged |
//! | `expression` | short expressions over the config |
//! | `quirk` | what architectures say about tokenizers |
//! | `needed` | which tensors a GGUF file must have |
//! | `config`, `rope`, `files` | `config.json` with defaults and its architecture, what it says about rotary embedding, other files |
//! | `entries` | writing the metadata |

mod built_in;
mod config;
mod description;
mod entries;
mod expression;
mod files;
mod mistake;
mod models;
mod needed;
mod pattern;
mod quirk;
mod rope;
mod rules;

pub use built_in::all;
pub(crate) use config::{Config, find};
pub(crate) use entries::{Position, write_entries};
pub use expression::Expression;
pub(crate) use expression::Scope;
pub use mistake::{Mistake, Severity};
use models::{DEFAULTS, FILES, GROUPS};
pub use needed::needed;
pub use pattern::Pattern;
pub use quirk::{Quirk, TokenizerKind};
pub(crate) use rope::Rope;
pub use rules::{Change, LeftOut, Output, Rename, TensorRule};
pub(crate) use rules::{NamePattern, Place};

/// Definitions: name and expression.
pub(crate) type Numbers = Vec<(String, Expression)>;

/// An architecture.
#[derive(Debug)]
pub struct Arch {
    /// Its name in `general.architecture` and in front of its keys.
    pub name: String,
    /// The classes whose checkpoints it describes, as `architectures` of `config.json` names them.
    pub classes: Vec<String>,
    /// Those of the classes that are saved without head: their tensors lack the `model.` in front.
    pub headless: Vec<String>,
    /// What the names of tensors may lack in front, whatever the class.
    pub optional_prefix: Option<String>,
    /// Whether it describes a checkpoint of these classes, where others have the same.
    pub when: Option<Expression>,
    /// What must hold for the description to be right.
    pub requires: Vec<Expression>,
    /// What is told about a checkpoint although it can be converted.
    pub doubts: Vec<Doubt>,
    /// Whether `config.json` is taken as it is, without the defaults of any class.
    pub raw_config: bool,
    /// What the classes of these values of `model_type` fill in where the config is silent.
    pub defaults: Vec<ModelType>,
    /// Names for what follows from the config. A definition hides a key of the config.
    pub numbers: Vec<(String, Expression)>,
    /// Metadata that come before the model's names.
    pub early_metadata: Vec<Item>,
    /// The metadata, in the order in which they are written.
    pub metadata: Vec<Item>,
    /// Metadata that come after all others, just before those of the tokenizer.
    pub late_metadata: Vec<Item>,
    /// The keys of the metadata without which llama.cpp does not load a file.
    pub loader_needs: Vec<String>,
    /// What the tensors become.
    pub tensors: Vec<TensorRule>,
    /// What is replaced in the names of tensors before they are looked up.
    pub renames: Vec<Rename>,
    /// What is replaced in the names of rules to get those that the classes save.
    pub saved: Vec<Rename>,
    /// Tensors that are left out.
    pub left_out: Vec<LeftOut>,
    /// Tensors that follow from the config alone; they come first.
    pub computed: Vec<Computed>,
    /// The kinds of tokenizer, in the order in which they are tried.
    pub tokenizers: Vec<TokenizerKind>,
    /// What no file says about the tokenizer.
    pub quirks: Vec<Quirk>,
}

/// A warning about some checkpoints.
#[derive(Clone, Debug)]
pub struct Doubt {
    /// Whether it concerns a checkpoint.
    pub when: Expression,
    /// The warning.
    pub text: String,
}

/// The defaults of a value of `model_type`.
#[derive(Debug)]
pub struct ModelType {
    /// The value of `model_type`.
    pub name: String,
    /// Other names of keys: what the config calls so, and what the class calls it.
    pub aliases: Vec<(String, String)>,
    /// Keys and what they get, in this order. An expression is for a key that is absent or null, what stands
    /// for itself for one that is absent.
    pub values: Vec<(String, Expression)>,
}

/// One of the metadata, or some of them.
#[derive(Clone, Debug)]
pub enum Item {
    /// One.
    Entry(Entry),
    /// How rotary embedding is stretched to longer contexts.
    RopeScaling,
    /// The bases of rotary embedding.
    RopeBases,
    /// How the vectors of tokens become one, by the modules that `sentence-transformers` saves.
    Pooling,
    /// `general.file_type`.
    FileType,
}

/// An entry of the metadata.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key; without `general.` or `tokenizer.` in front, the architecture's name is put there.
    pub key: String,
    /// The type of the value, or of the items of a list.
    pub kind: EntryKind,
    /// The value; it is an error if it is null, and left out if the expression gives up.
    pub value: Expression,
}

/// The type of a value in the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// 32 bits without sign; with sign in lists.
    Integer,
    /// 32-bit floating point.
    Float,
    /// Truth.
    Bool,
    /// Text.
    Text,
}

/// A tensor that follows from the config alone.
#[derive(Debug)]
pub struct Computed {
    /// Its name in the file.
    pub name: String,
    /// Its values, a list; it is left out if the expression gives up.
    pub values: Expression,
    /// How many there must be.
    pub length: Option<Expression>,
}

impl Item {
    /// The keys that it may write, besides an entry's.
    const fn keys(&self) -> &'static [&'static str] {
        match self {
            Self::Entry(_) | Self::FileType => &[],
            Self::RopeScaling => &["rope.scaling.type", "rope.scaling.factor"],
            Self::RopeBases => &["rope.freq_base"],
            Self::Pooling => &["pooling_type"],
        }
    }
}

impl Arch {
    /// The name under which rules know a tensor of a checkpoint, if it lacks nothing in front.
    pub(crate) fn rule_name(&self, name: &str) -> String {
        let mut name = name.replace("language_model.", "");
        if let Some(start) = name.strip_suffix("e_score_correction_bias") {
            name = format!("{start}e_score_correction.bias");
        }
        for rename in &self.renames {
            name = rename.pattern.replace(&name, &rename.with).into_owned();
        }
        name
    }

    /// The same for a name that lacks what names may lack.
    pub(crate) fn prefixed(&self, name: &str) -> Option<String> {
        Some(format!("{}{name}", self.optional_prefix.as_ref()?))
    }

    /// The way back: the name in a checkpoint of what rules call so.
    pub(crate) fn saved_name(&self, rule_name: &str, headless: bool) -> String {
        let mut name = match rule_name.strip_prefix("model.") {
            Some(rest) if headless => rest.to_owned(),
            _ => rule_name.to_owned(),
        };
        for rename in &self.saved {
            name = rename.pattern.replace(&name, &rename.with).into_owned();
        }
        if let Some(start) = name.strip_suffix("e_score_correction.bias") {
            name = format!("{start}e_score_correction_bias");
        }
        name
    }
}
