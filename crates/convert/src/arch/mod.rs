//! Architectures: what the tensors and numbers of a checkpoint are called in a GGUF file.
//!
//! Each is one constant of type [`Arch`] in a file of its own, with a row in [`ARCHS`]. It is data: the
//! code that applies it knows no architecture.

mod config;
mod entries;
mod llama;
mod rope;

use std::fmt;

use crate::tokenizer::{Quirk, TokenizerKind};
use crate::transform::Transform;

pub(crate) use config::Config;
pub(crate) use entries::{LAYERS, write_entries};
pub(crate) use rope::Rope;

/// The table of architectures.
pub const ARCHS: &[&Arch] = &[&llama::LLAMA];

/// An architecture.
#[derive(Debug)]
pub struct Arch {
    /// Its name in `general.architecture` and in front of its keys.
    pub name: &'static str,
    /// The classes whose checkpoints it describes, as `architectures` of `config.json` names them.
    pub classes: &'static [&'static str],
    /// Those of the classes that are saved without head: their tensors lack the `model.` in front.
    pub headless: &'static [&'static str],
    /// What the classes of these values of `model_type` fill in where the config is silent.
    pub defaults: &'static [ModelType],
    /// The metadata, group after group, in the order in which it is written.
    pub entries: &'static [&'static [Entry]],
    /// What the tensors become. Tensors whose rules have `{expert}` are stacked, layer by layer, and
    /// appear in the order of their rules.
    pub tensors: &'static [TensorRule],
    /// The keys that can hold the number of experts; none if there are never experts.
    pub experts: &'static [&'static str],
    /// Tensors that follow from the config alone; they come first.
    pub computed: &'static [Computed],
    /// The kinds of tokenizer, in the order in which they are tried.
    pub tokenizers: &'static [TokenizerKind],
    /// What no file says about the tokenizer.
    pub quirks: &'static [Quirk],
}

/// The defaults of a value of `model_type`.
#[derive(Debug)]
pub struct ModelType {
    /// The value of `model_type`.
    pub name: &'static str,
    /// Keys and what they get, in this order.
    pub values: &'static [(&'static str, Default)],
}

/// What a key gets that the config does not set.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// This integer, if the key is absent.
    Integer(u64),
    /// This number, if the key is absent.
    Float(f64),
    /// Null, if the key is absent.
    Null,
    /// The value of another key, if the key is absent or null.
    Same(&'static str),
    /// The quotient of two others, rounded down, if the key is absent or null.
    Quotient(&'static str, &'static str),
}

/// A number that follows from the config.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// The first of these keys that is there.
    Key(&'static [&'static str]),
    /// The first, or the second where the keys of the first are absent or null.
    Or(&'static Number, &'static Number),
    /// Their product.
    Product(&'static Number, &'static Number),
    /// Their quotient, rounded down.
    Quotient(&'static Number, &'static Number),
}

/// An entry of the metadata. Keys are given without the architecture in front of them.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// An integer; left out if the config has none of the keys.
    Integer(&'static str, &'static [&'static str]),
    /// A floating-point number; left out if the config has none of the keys.
    Float(&'static str, &'static [&'static str]),
    /// An integer that must be there.
    Needed(&'static str, &'static Number),
    /// `attention.causal`, if the config says that it is not.
    Causal,
    /// How rotary embedding is stretched to longer contexts.
    RopeScaling,
    /// The bases of rotary embedding.
    RopeBase,
    /// How experts are chosen.
    ExpertGating,
    /// `general.file_type`.
    FileType,
}

/// What becomes of a tensor.
#[derive(Clone, Copy, Debug)]
pub struct TensorRule {
    /// Its name in the checkpoint, with `{layer}` and `{expert}` for numbers.
    pub source: &'static str,
    /// Its name in the file.
    pub target: &'static str,
    /// Its dimensions in the checkpoint, outermost first.
    pub shape: &'static [Number],
    /// How its numbers are rearranged.
    pub transform: Transform,
    /// When the architecture needs it.
    pub presence: Presence,
}

/// When a tensor must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Always.
    Needed,
    /// Never.
    Optional,
    /// If the config sets this key to something other than null, 0 and false.
    If(&'static str),
    /// Unless the config does so.
    Unless(&'static str),
    /// Unless the config does so; but only a warning is given, because programs that run the model
    /// put another tensor in its place.
    Advised(&'static str),
}

/// A tensor that follows from the config alone.
#[derive(Clone, Copy, Debug)]
pub enum Computed {
    /// `rope_freqs.weight`: by how much each frequency is divided, for `rope_type` `llama3`.
    RopeFrequencies {
        /// Numbers in a head.
        head: &'static Number,
    },
}

/// The architecture that describes a class.
pub fn find(class: &str) -> Option<&'static Arch> {
    ARCHS.iter().copied().find(|arch| arch.classes.contains(&class))
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(keys) => write!(f, "{}", keys.first().unwrap_or(&"")),
            Self::Or(first, second) => write!(f, "{first} or {second}"),
            Self::Product(a, b) => write!(f, "{a} * {b}"),
            Self::Quotient(a, b) => write!(f, "{a} / {b}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn classes_and_model_types_belong_to_one_architecture() {
        let mut classes = HashSet::new();
        let mut types = HashSet::new();
        for arch in ARCHS {
            arch.classes.iter().for_each(|class| assert!(classes.insert(class), "{class}"));
            arch.defaults.iter().for_each(|ty| assert!(types.insert(ty.name), "{}", ty.name));
            let known = |class: &&&str| arch.classes.contains(class);
            assert!(arch.headless.iter().all(|class| known(&class)), "{}", arch.name);
        }
    }

    #[test]
    fn rules_of_an_architecture_do_not_compete() {
        for arch in ARCHS {
            let mut sources = HashSet::new();
            for rule in arch.tensors {
                assert!(sources.insert(rule.source), "{}: {}", arch.name, rule.source);
                let layered = |name: &str| name.contains("{layer}");
                assert_eq!(layered(rule.source), layered(rule.target), "{}", rule.source);
                let stacked = rule.source.contains("{expert}");
                assert!(!rule.target.contains("{expert}"), "{}", rule.target);
                assert_eq!(stacked, rule.target.contains("_exps."), "{}", rule.target);
            }
        }
    }
}
