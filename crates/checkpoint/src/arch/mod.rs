//! Architectures: how checkpoints of a class become GGUF files.
//!
//! Each architecture is described by a TOML file in `models/`, with a row in the table `FILES` of
//! `models`. `spec/architectures.md` documents the form. No code here knows an architecture.
//!
//! | file | holds |
//! |---|---|
//! | `models` | the text of the built-in files |
//! | `projectors` | the text of the built-in descriptions of projectors |
//! | `description`, `mistake` | reading the files, and mistakes in them |
//! | `built_in` | the built-in architectures |
//! | `rules`, `active` | what tensors become; the same with the numbers of a model |
//! | `change` | how the values of a tensor are changed |
//! | `pattern` | how the values of a tensor are rearranged |
//! | `expression` | expressions over the config |
//! | `quirk` | kinds of tokenizer, and facts about one that no file states |
//! | `needed` | which tensors a GGUF file must have |
//! | `config` | `config.json` with defaults, and the architecture of a checkpoint |
//! | `part` | the same for projectors |
//! | `relative` | the architecture that an unknown checkpoint resembles |
//! | `rope`, `files` | rotary embedding in the config; other files of a checkpoint |
//! | `entries` | writing the metadata |

mod active;
mod built_in;
mod calculation;
mod change;
mod config;
mod description;
mod entries;
mod expression;
mod files;
mod mistake;
mod models;
mod needed;
mod part;
mod pattern;
mod projectors;
mod quirk;
mod relative;
mod rope;
mod rules;

pub(crate) use active::{Active, Target};
pub use built_in::{all, names, projectors};
pub(crate) use built_in::{by_name, of_name};
pub use calculation::Calculation;
pub use change::Change;
use change::{ChangeKind, ChangeStep};
pub(crate) use config::{Config, draft_of, find, unnamed};
pub(crate) use entries::{Position, write_entries};
pub use expression::Expression;
pub(crate) use expression::{Rotary, Scope, Stored};
pub use mistake::{Mistake, Severity};
use models::{DEFAULTS, FILES, GROUPS};
pub use needed::needed;
pub(crate) use part::find_projector;
pub use pattern::Pattern;
use projectors::{PROJECTOR_DEFAULTS, PROJECTOR_GROUPS, PROJECTORS};
pub use quirk::{FromTarget, Pieces, Quirk, Tiktoken, TokenizerKind};
pub(crate) use relative::relative;
pub(crate) use rope::Rope;
pub(crate) use rules::Place;
pub use rules::{LeftOut, Output, Rename, RuleType, TensorRule, ZeroRows};

/// Definitions: names and expressions.
pub(crate) type Numbers = Vec<(String, Expression)>;

/// An architecture.
#[derive(Debug)]
pub struct Arch {
    /// Its name: the value of `general.architecture` and the prefix of its keys.
    pub name: String,
    /// The models that it describes, in the words of a list; may be empty.
    pub models: String,
    /// What it describes.
    pub kind: Kind,
    /// The classes whose checkpoints it describes, as `architectures` of `config.json` names them.
    pub classes: Vec<String>,
    /// Those of the classes that save their tensors without the prefix `model.`.
    pub headless: Vec<String>,
    /// Those of the classes that count although the text part of their config names a class of its
    /// own.
    pub outermost: Vec<String>,
    /// A prefix that the names of tensors may lack, whatever the class.
    pub optional_prefix: Option<String>,
    /// Which checkpoints of its classes it describes, if other descriptions have the same classes.
    pub when: Option<Expression>,
    /// Conditions without which a checkpoint is rejected.
    pub requires: Vec<Expression>,
    /// Warnings about checkpoints that can be converted all the same.
    pub doubts: Vec<Doubt>,
    /// Whether `config.json` is used as it is, without the defaults of any class.
    pub raw_config: bool,
    /// Whether matrices keep the types of the checkpoint, whatever type is wanted.
    pub stored_types: bool,
    /// Whether the mixture is that of experts in MXFP4, whatever type is wanted.
    pub mxfp4_experts: Option<Expression>,
    /// A tensor by which checkpoints without `config.json` are recognized.
    pub unnamed: Option<String>,
    /// Where the config has the keys of the text part, if not where others have them.
    pub text_part: Option<String>,
    /// Keys that are set in the config, in this order: what the files do not say, or say elsewhere.
    pub config: Vec<(String, Expression)>,
    /// The defaults of classes, by `model_type`.
    pub defaults: Vec<ModelType>,
    /// Names for expressions. A definition hides the config key of the same name.
    pub numbers: Vec<(String, Expression)>,
    /// Metadata before the model's names.
    pub early_metadata: Vec<Item>,
    /// The metadata, in the order in which they are written.
    pub metadata: Vec<Item>,
    /// Metadata after all others but those of the tokenizer.
    pub late_metadata: Vec<Item>,
    /// Metadata after those of the tokenizer.
    pub last_metadata: Vec<Item>,
    /// The keys of the metadata without which llama.cpp does not load a file.
    pub loader_needs: Vec<String>,
    /// What the tensors become.
    pub tensors: Vec<TensorRule>,
    /// Prefixes of names from some layer on, which replace those of the layers before.
    pub later_names: Vec<(String, String)>,
    /// Replacements in the names of tensors, made before a rule is looked up.
    pub renames: Vec<Rename>,
    /// Replacements in the names of rules that give the names in a saved checkpoint.
    pub saved: Vec<Rename>,
    /// Tensors that are dropped.
    pub left_out: Vec<LeftOut>,
    /// Tensors whose rows are divided or pass through matrices.
    pub folded: Vec<Folded>,
    /// Tensors whose rows are those of several processors, each with scales of its own, by their
    /// names in the checkpoint.
    pub sharded: Vec<LeftOut>,
    /// The tensors of a projector, by their names in the checkpoint. The others are dropped; if
    /// there are no patterns, none is.
    pub only: Vec<LeftOut>,
    /// Where the config of a projector has the keys of its parts: the name of the part in
    /// expressions, and the path in the config.
    pub parts: Vec<(String, String)>,
    /// Tensors calculated from the config alone.
    pub computed: Vec<Computed>,
    /// Weights in folders of their own.
    pub modules: Vec<Module>,
    /// Types of rotary embedding that the description itself writes.
    pub rope_types: Vec<String>,
    /// What it takes from the folder of the model that it is a draft for; `None` if it is not a
    /// draft model.
    pub target: Option<FromTarget>,
    /// The classes whose checkpoints hold such a draft model next to its target.
    pub draft_of: Vec<String>,
    /// Kinds of tokenizer, in the order in which they are tried.
    pub tokenizers: Vec<TokenizerKind>,
    /// Facts about the tokenizer that no file states.
    pub quirks: Vec<Quirk>,
}

/// What a description describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A model of text.
    #[default]
    Model,
    /// What turns images or sound into vectors for a model of text.
    Projector,
}

/// A warning about some checkpoints.
#[derive(Clone, Debug)]
pub struct Doubt {
    /// Whether it applies to a checkpoint.
    pub when: Expression,
    /// The warning.
    pub text: String,
}

/// The defaults of a value of `model_type`.
#[derive(Debug)]
pub struct ModelType {
    /// The value of `model_type`.
    pub name: String,
    /// Other names for keys: the name that a config may use, and the name that the class uses.
    pub aliases: Vec<(String, String)>,
    /// Keys and their defaults, filled in in this order. A literal is for an absent key; any other
    /// expression is for a key that is absent or null.
    pub values: Vec<(String, Expression)>,
}

/// One or several entries of the metadata.
#[derive(Clone, Debug)]
pub enum Item {
    /// One entry.
    Entry(Entry),
    /// How rotary embedding is scaled to longer contexts.
    RopeScaling,
    /// The bases of rotary embedding.
    RopeBases,
    /// How the vectors of tokens are pooled, by the modules that `sentence-transformers` saves.
    Pooling,
    /// `general.file_type`.
    FileType,
}

/// An entry of the metadata.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key, without the prefix that the architecture's name adds.
    pub key: String,
    /// The type of the value, or of a list's items.
    pub kind: EntryKind,
    /// The value. Null is an error; `skip` writes nothing.
    pub value: Expression,
}

/// The type of a value in the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// An unsigned 32-bit integer; signed in lists.
    Integer,
    /// An unsigned 64-bit integer.
    Wide,
    /// 32-bit floating point.
    Float,
    /// A boolean.
    Bool,
    /// A string.
    Text,
}

/// A tensor calculated from the config alone.
#[derive(Debug)]
pub struct Computed {
    /// Its name in the file, with `{layer}` for the number of the layer.
    pub name: String,
    /// Its values, a list; `skip` drops the tensor.
    pub values: Expression,
    /// The required number of values.
    pub length: Option<Expression>,
    /// The values in a row, if the tensor has rows.
    pub row: Option<Expression>,
    /// The tensor of the file that it stands before; otherwise it comes first.
    pub before: Option<String>,
}

/// Weights in a folder of their own, as `sentence-transformers` saves its dense layers.
#[derive(Debug)]
pub struct Module {
    /// The folder; `*` is any other that `modules.json` lists.
    pub folder: String,
    /// What rules and expressions call it: the prefix of its tensors, and the key of its config.
    pub name: String,
    /// Whether it is read only if the user wants such modules, and `modules.json` lists it.
    pub by_option: bool,
}

/// A tensor of the checkpoint whose rows are divided or pass through matrices.
#[derive(Debug)]
pub struct Folded {
    /// Its name in the checkpoint, in which `*` stands for anything.
    pub tensor: String,
    /// A vector with a number for each row, by which the row is divided first; `*` stands for the
    /// same as in the name of the tensor. Numbers below 1e-5 count as this.
    pub divisors: Option<String>,
    /// The names of the matrices and biases, without `.weight` and `.bias`.
    pub layers: Vec<String>,
    /// The function after each of them but the last: `relu` or `silu`.
    pub activation: Option<Expression>,
}

impl Item {
    /// The keys that it may write, except that of an entry.
    const fn keys(&self) -> &'static [&'static str] {
        match self {
            Self::Entry(_) | Self::FileType => &[],
            Self::RopeScaling => &["rope.scaling.type", "rope.scaling.factor"],
            Self::RopeBases => &["rope.freq_base"],
            Self::Pooling => &["pooling_type"],
        }
    }
}

/// Beginnings of keys that no architecture's name precedes.
const COMMON_KEYS: &[&str] = &["clip", "diffusion", "general", "tokenizer", "xielu"];

impl Computed {
    /// Whether it is this tensor of the file, in some layer.
    pub(crate) fn is(&self, name: &str) -> bool {
        match self.name.split_once("{layer}") {
            None => self.name == name,
            Some((start, end)) => name
                .strip_prefix(start)
                .and_then(|rest| rest.strip_suffix(end))
                .is_some_and(|layer| layer.bytes().all(|byte| byte.is_ascii_digit())),
        }
    }
}

impl Arch {
    /// A description in a text without mistakes.
    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Self {
        description::parse(text).unwrap_or_else(|why| panic!("{why:?}"))
    }

    /// Whether the description itself writes rotary embedding of this type.
    pub(crate) fn writes_rope_type(&self, kind: &str) -> bool {
        self.rope_types.iter().any(|known| known == kind)
    }

    /// All items of the metadata.
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        let items = [&self.early_metadata, &self.metadata, &self.late_metadata];
        items.into_iter().chain([&self.last_metadata]).flatten()
    }

    /// The key of the metadata that a description calls `key`.
    pub(crate) fn key(&self, key: &str) -> String {
        match key.split_once('.') {
            Some((start, _)) if COMMON_KEYS.contains(&start) => key.to_owned(),
            Some(("", key)) => key.to_owned(),
            _ => format!("{}.{key}", self.name),
        }
    }

    /// Whether a tensor of a checkpoint is of the part that is described, by its name there.
    pub(crate) fn has_part(&self, name: &str) -> bool {
        match self.kind {
            Kind::Model => true,
            Kind::Projector => {
                let only = || self.only.iter().any(|only| only.fits(name, None));
                !name.contains("language_model.") && (self.only.is_empty() || only())
            }
        }
    }

    /// Whether the rows of a tensor of the checkpoint are those of several processors.
    pub(crate) fn is_sharded(&self, name: &str) -> bool {
        self.sharded.iter().any(|sharded| sharded.fits(name, None))
    }

    /// The name by which rules know a tensor of a checkpoint, if the name lacks no prefix.
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

    /// The same for a name that lacks the optional prefix.
    pub(crate) fn prefixed(&self, name: &str) -> Option<String> {
        Some(format!("{}{name}", self.optional_prefix.as_ref()?))
    }

    /// The reverse: the name in a checkpoint of a tensor that rules call `rule_name`.
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
