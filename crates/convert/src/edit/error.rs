use std::path::PathBuf;

use granule_format::nearest::did_you_mean;

use crate::plan::Invalid;

/// Why a file cannot be edited.
///
/// Messages do not repeat the cause, which is the [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// What is to be set has another form.
    #[error("{0:?} is not of the form KEY=VALUE, KEY=TYPE:VALUE or KEY[INDEX]=VALUE")]
    Form(String),
    /// The metadata have no such key.
    #[error("the metadata has no key {key:?}{}", meant(near))]
    NoKey {
        /// The key.
        key: String,
        /// Keys that may have been meant.
        near: Vec<String>,
    },
    /// A new key needs a type.
    #[error(
        "{key:?} is not there yet: give its type: {key}=TYPE:VALUE (u8 to u64, i8 to i64, f32, \
         f64, bool, str, or an array such as str[]){}",
        meant(near)
    )]
    NeedsType {
        /// The key.
        key: String,
        /// Keys that may have been meant.
        near: Vec<String>,
    },
    /// A key has the name already that another is to get.
    #[error("the metadata already has a key {key:?}; remove it first")]
    KeyExists {
        /// The key.
        key: String,
    },
    /// A text is no value of the type.
    #[error("{key}: {problem}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// No name of a tensor matches a pattern.
    #[error("no tensor name matches {pattern:?} (case counts)")]
    NoTensor {
        /// The pattern.
        pattern: String,
    },
    /// Two tensors would have one name.
    #[error("two tensors would be called {name:?}")]
    SameTensor {
        /// The name.
        name: String,
    },
    /// There is no such kind of special token.
    #[error("{kind:?} is no kind of special token; it can be {}", known.join(", "))]
    SpecialToken {
        /// What was given.
        kind: String,
        /// What can be.
        known: &'static [&'static str],
    },
    /// No token has this text.
    #[error("the vocabulary has no token {token:?}")]
    NoToken {
        /// The text.
        token: String,
    },
    /// Several tokens have this text.
    #[error(
        "{} and {} are both the token {token:?}; choose one: \
         --set tokenizer.ggml.{kind}_token_id=u32:{}",
        ids[0], ids[1], ids[0]
    )]
    SameToken {
        /// The text.
        token: String,
        /// The kind of special token.
        kind: String,
        /// The first two numbers.
        ids: [usize; 2],
    },
    /// A file that should be JSON is not.
    #[error("expected JSON: {0}")]
    Json(String),
    /// A configuration has no chat template.
    #[error("there is no \"chat_template\" in it, as a string or a list of named ones")]
    NoTemplate,
    /// More room is asked for than any header needs.
    #[error("{bytes} bytes of room are too many: at most {most}")]
    Reserve {
        /// What is asked for.
        bytes: u64,
        /// What can be.
        most: u64,
    },
    /// The new file would break rules of the validator that the old one does not.
    #[error("the file would be invalid: {}", list(.0))]
    Invalid(Vec<Invalid>),
    /// The file has changed while the edit was planned.
    #[error("{}: the file has changed meanwhile; edit it again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The record of an interrupted edit does not fit the file.
    #[error(
        "{}: an interrupted edit has left {}, but the file is not the one that was edited: it was \
         replaced since; remove that file if this is so",
        path.display(), undo.display()
    )]
    StaleUndo {
        /// The file.
        path: PathBuf,
        /// The record.
        undo: PathBuf,
    },
    /// The record of an interrupted edit cannot be read.
    #[error(
        "{}: {} is no record of an edit, or is damaged; rename or remove it",
        path.display(), undo.display()
    )]
    BadUndo {
        /// The file.
        path: PathBuf,
        /// The record.
        undo: PathBuf,
    },
}

fn meant(near: &[String]) -> String {
    let near: Vec<&str> = near.iter().map(String::as_str).collect();
    did_you_mean(&near)
}

fn list(faults: &[Invalid]) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    faults.join("; ")
}
