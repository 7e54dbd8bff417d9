//! Checkpoints as sources of GGUF files, and the way back.
//!
//! | module | holds |
//! |---|---|
//! | [`Checkpoint`] | a folder with a checkpoint, read as the GGUF file that a converter would make of it |
//! | [`Folder`] | where the files are: [on a disk](Directory), or anywhere else |
//! | [`arch`] | the architectures: descriptions of what tensors and numbers become |
//! | [`tokenizer`] | the vocabulary of a checkpoint as metadata |
//! | [`export`] | the way back: GGUF files to checkpoints |
//! | [`nearest`] | known names that a misspelt one was probably meant to be |
//! | [`range`] | finite numbers that the 16-bit types cannot hold |
#![forbid(unsafe_code)]

pub mod arch;
mod checkpoint;
mod data_type;
mod error;
pub mod export;
mod file;
mod folder;
mod json;
mod located;
mod metadata;
pub mod nearest;
mod problem;
mod quantized;
pub mod range;
mod safetensors;
mod stored;
mod survey;
pub mod tokenizer;
mod torch;
mod transform;
mod view;
mod weight_files;
mod weights;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot read its fixture has failed")]
mod weights_test;
mod wrapper;

pub use checkpoint::{BlockEncoder, Checkpoint, CheckpointOptions, OutType};
pub use error::Error;
pub use export::ExportError;
pub use folder::{Directory, Folder};
pub use granule_format as format;
pub use granule_reader as reader;
pub use problem::Problem;
pub use survey::FolderKind;
