//! Converts checkpoints to quantized GGUF files.
//!
//! | module | holds |
//! |---|---|
//! | [`recipe`] | the user's request: a file type and options |
//! | [`mixture`] | the type of every tensor, as tables of rules |
//! | [`plan`] | how every tensor is converted, decided before anything is written |
//! | [`run`] | streaming the rows of a source through the encoders into files |
//! | [`export`] | the reverse: writing a checkpoint that was planned |
//! | [`verify`] | comparing finished files with their source |
//! | [`weights`] | the error of a model's weights against the original's |
//! | [`hash`](mod@hash) | hashes of tensor data, and manifests of them |
//! | [`edit`] | changing the metadata of a file, in place where it fits |
//! | [`diff`] | differences between two models |
//! | [`split`], [`join`] | one file to several, several to one |
//! | [`grid`] | finding out that weights were quantized before |
//! | [`tune`] | what is decided by running the model: codes, and the types for a size |
//! | [`report`] | what is in a file, and what it needs in memory, as a value and as a page |
//! | [`mod@check`] | checking a file together with its split set and its architecture |
//! | [`calibration`] | running a model over sample texts for an importance matrix |
//! | [`text_part`] | what one of several machines found in its part of the texts |
//!
//! Sources are those of [`granule_checkpoint`] and [`granule_reader`], encoders and importance
//! weights those of [`granule_encode`], and models run in [`granule_infer`].
#![forbid(unsafe_code)]

mod blocks;
pub mod calibration;
pub mod check;
pub mod diff;
pub mod edit;
mod error;
pub mod export;
pub mod grid;
pub mod hash;
pub mod join;
pub mod mixture;
mod output;
pub mod plan;
pub mod recipe;
pub mod report;
pub mod run;
pub mod split;
mod text;
pub mod text_part;
pub mod tune;
pub mod verify;
pub mod weights;

pub use blocks::encode_blocks;
pub use error::Error;
pub use granule_checkpoint as checkpoint;
pub use granule_encode as encode;
pub use granule_format as format;
pub use granule_infer as infer;
pub use granule_reader as reader;
pub use output::WholeFile;
pub use plan::{Plan, PlanError, PlannedTensor};
pub use recipe::{Recipe, RecipeError};

/// The build identity: the version, and a hash of the sources of this crate and of the crates that
/// decode and pack for it. Builds that make different bytes from the same input have different
/// identities.
const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("GRANULE_BUILD"));

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
