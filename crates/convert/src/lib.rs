//! Convert checkpoints to quantized GGUF files.
//!
//! | module | holds |
//! |---|---|
//! | [`source`] | where tensors come from: checkpoints and GGUF files, read row by row |
//! | [`recipe`] | what the user asks for: a file type and options |
//! | [`mixture`] | which type every tensor gets, as tables of rules |
//! | [`importance`] | importance matrices |
//! | [`plan`] | what becomes of every tensor, decided before anything is written |
//! | [`run`] | streaming the rows of a source through the encoders into files |
//! | [`arch`] | the architectures: descriptions of what tensors and numbers become |
//! | [`tokenizer`] | the vocabulary of a checkpoint as metadata |
//! | [`export`] | the way back: GGUF files to checkpoints |
//! | [`verify`] | comparing finished files with their source |
//! | [`encode`] | one encoder a block type: choosing codes and scales |
//! | [`nearest`] | known names that a misspelt one was probably meant to be |
#![forbid(unsafe_code)]

pub mod arch;
pub mod encode;
mod error;
pub mod export;
pub mod importance;
mod json;
mod metadata;
pub mod mixture;
pub mod nearest;
mod output;
pub mod plan;
mod range;
pub mod recipe;
pub mod run;
pub mod source;
mod text;
pub mod tokenizer;
mod transform;
pub mod verify;

pub use error::Error;
pub use export::ExportError;
pub use importance::{Importance, ImportanceError};
pub use plan::{Plan, PlanError, PlannedTensor};
pub use recipe::{Recipe, RecipeError};
pub use source::{Checkpoint, CheckpointOptions, OutType, Source, SourceTensor};

/// The sources of this crate and of those that decode and pack for it, as a hash, with their versions: what makes
/// other bytes of the same input has another.
const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("GRANULE_BUILD"));

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
