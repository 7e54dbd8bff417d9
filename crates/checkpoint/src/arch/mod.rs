//! Architectures: what the tensors and numbers of a checkpoint are called in a GGUF file.
//!
//! Each is described by a TOML file in `models/`, with a row in the table `FILES`; `spec/architectures.md` says what
//! such a file holds. The code that applies it knows no architecture.
//!
//! | file | holds |
//! |---|---|
//! | `description`, `mistake` | reading the files, and what is wrong with them |
//! | `rules` | what becomes of tensors |
//! | `pattern` | how the numbers of a tensor are rearranged |
//! | `expression` | short expressions over the config |
//! | `needed` | which tensors a GGUF file must have |
//! | `config`, `rope`, `files` | `config.json` with defaults, what it says about rotary embedding, other files |
//! | `entries` | writing the metadata |

mod config;
mod description;
mod entries;
mod expression;
mod files;
mod mistake;
mod needed;
mod pattern;
mod rope;
mod rules;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::Problem;
use crate::tokenizer::{Quirk, TokenizerKind};
use crate::{Error, Folder};

pub(crate) use config::Config;
pub(crate) use entries::{Position, write_entries};
pub use expression::Expression;
pub(crate) use expression::Scope;
pub use mistake::{Mistake, Severity};
pub use needed::needed;
pub use pattern::Pattern;
pub(crate) use rope::Rope;
pub use rules::{Change, LeftOut, Output, Rename, TensorRule};
pub(crate) use rules::{NamePattern, Place};

/// The table of architectures: file name and text.
#[rustfmt::skip]
const FILES: &[(&str, &str)] = &[
    ("bert.toml", include_str!("models/bert.toml")),
    ("chatglm.toml", include_str!("models/chatglm.toml")),
    ("cohere2.toml", include_str!("models/cohere2.toml")),
    ("command-r.toml", include_str!("models/command-r.toml")),
    ("deepseek2.toml", include_str!("models/deepseek2.toml")),
    ("distilbert.toml", include_str!("models/distilbert.toml")),
    ("falcon.toml", include_str!("models/falcon.toml")),
    ("gemma.toml", include_str!("models/gemma.toml")),
    ("gemma2.toml", include_str!("models/gemma2.toml")),
    ("gemma3.toml", include_str!("models/gemma3.toml")),
    ("glm4.toml", include_str!("models/glm4.toml")),
    ("gpt-oss.toml", include_str!("models/gpt-oss.toml")),
    ("gpt2.toml", include_str!("models/gpt2.toml")),
    ("gptneox.toml", include_str!("models/gptneox.toml")),
    ("granite.toml", include_str!("models/granite.toml")),
    ("granitemoe.toml", include_str!("models/granitemoe.toml")),
    ("lfm2.toml", include_str!("models/lfm2.toml")),
    ("llama.toml", include_str!("models/llama.toml")),
    ("mamba.toml", include_str!("models/mamba.toml")),
    ("mamba2.toml", include_str!("models/mamba2.toml")),
    ("nomic-bert-moe.toml", include_str!("models/nomic-bert-moe.toml")),
    ("nomic-bert.toml", include_str!("models/nomic-bert.toml")),
    ("olmo.toml", include_str!("models/olmo.toml")),
    ("olmo2.toml", include_str!("models/olmo2.toml")),
    ("phi2.toml", include_str!("models/phi2.toml")),
    ("phi3.toml", include_str!("models/phi3.toml")),
    ("qwen2.toml", include_str!("models/qwen2.toml")),
    ("qwen2moe.toml", include_str!("models/qwen2moe.toml")),
    ("qwen3.toml", include_str!("models/qwen3.toml")),
    ("qwen3moe.toml", include_str!("models/qwen3moe.toml")),
    ("roberta.toml", include_str!("models/roberta.toml")),
    ("smollm3.toml", include_str!("models/smollm3.toml")),
    ("stablelm.toml", include_str!("models/stablelm.toml")),
    ("starcoder2.toml", include_str!("models/starcoder2.toml")),
    ("t5.toml", include_str!("models/t5.toml")),
    ("t5encoder.toml", include_str!("models/t5encoder.toml")),
    ("xlm-roberta.toml", include_str!("models/xlm-roberta.toml")),
];

/// What several architectures have in common.
const GROUPS: (&str, &str) = ("groups.toml", include_str!("models/groups.toml"));

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

static BUILT_IN: LazyLock<Vec<Arc<Arch>>> = LazyLock::new(|| {
    let read = |(name, text): &(&str, &str)| {
        description::parse(text).unwrap_or_else(|why| panic!("{name}: {why:?}"))
    };
    FILES.iter().map(|file| Arc::new(read(file))).collect()
});

/// The architectures that are built in.
pub fn all() -> &'static [Arc<Arch>] {
    &BUILT_IN
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
    /// Read a description from a file.
    ///
    /// # Errors
    /// If it cannot be read, or is none; the error names the place.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = granule_reader::file::read_to_string(path).map_err(Error::io(path))?;
        let arch = description::parse(&text);
        arch.map_err(|mistakes| Error::in_file(path, Problem::Description(mistakes)))
    }

    /// Everything that is wrong with the description in a file, in the order of its lines.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn check(path: &Path) -> Result<Vec<Mistake>, Error> {
        let text = granule_reader::file::read_to_string(path).map_err(Error::io(path))?;
        Ok(description::read(&text).1)
    }

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

/// The architecture that describes a checkpoint: `file`, or one that is built in.
///
/// # Errors
/// If none does.
pub(crate) fn find(
    file: Option<&Arc<Arch>>,
    config: &Config,
    folder: &dyn Folder,
) -> Result<Arc<Arch>, Error> {
    let class = config.class()?;
    for arch in file.into_iter().chain(all()) {
        let known = arch.classes.iter().any(|name| name == class);
        let here = match &arch.when {
            Some(when) if known => config.scope(folder, arch, None).holds(when)?,
            _ => known,
        };
        if here {
            return Ok(arch.clone());
        }
    }
    Err(Error::in_file(config.path(), Problem::UnknownArchitecture(class.to_owned())))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_description_is_good() {
        for (name, text) in FILES {
            let (arch, mistakes) = description::read(text);
            assert!(arch.is_some() && mistakes.is_empty(), "{name}: {mistakes:#?}");
        }
        let listed: HashSet<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/arch/models");
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let name = entry.expect("readable").file_name().into_string().expect("ASCII");
            assert!(listed.contains(&name) || name == GROUPS.0, "{name} is not in the table");
        }
    }

    #[test]
    fn classes_and_model_types_belong_to_one_architecture() {
        let mut classes = HashSet::new();
        let mut types = HashSet::new();
        for arch in all() {
            for class in &arch.classes {
                assert!(classes.insert(class) || arch.when.is_some(), "{class}");
            }
            arch.defaults.iter().for_each(|ty| assert!(types.insert(&ty.name), "{}", ty.name));
            let known = |class| arch.classes.contains(class);
            assert!(arch.headless.iter().all(known), "{}", arch.name);
        }
    }
}
