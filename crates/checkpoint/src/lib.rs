//! Checkpoints as sources of GGUF files, and GGUF files exported as checkpoints.
//!
//! | module | holds |
//! |---|---|
//! | [`Checkpoint`] | a checkpoint, read as the GGUF file that a converter would write |
//! | [`Folder`] | where the files are: [on a disk](Directory), or anywhere else |
//! | [`arch`] | the architectures: descriptions of how tensors and config map to a GGUF file |
//! | [`tokenizer`] | the vocabulary of a checkpoint as metadata |
//! | [`export`] | the way back: from GGUF files to checkpoints |
//! | [`range`] | finite values that the 16-bit types cannot hold |
#![forbid(unsafe_code)]

mod adapter_problem;
pub mod arch;
mod changes;
mod checkpoint;
mod data_type;
mod draft_problem;
mod error;
mod exponential;
pub mod export;
mod file;
mod folder;
mod json;
mod lattice;
mod layout;
mod located;
mod lora;
mod metadata;
mod problem;
mod projector_problem;
mod quantized;
pub mod range;
mod safetensors;
mod safetensors_problem;
mod softplus;
mod stored;
mod sum;
mod survey;
pub mod tokenizer;
mod torch;
mod transform;
mod view;
mod vocabulary_problem;
mod weight_files;
mod weights;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot read its fixture has failed")]
mod weights_test;
mod wrapper;

pub use adapter_problem::AdapterProblem;
pub use checkpoint::{
    BlockEncoder, Checkpoint, CheckpointOptions, Exactness, FurtherTokens, OutType,
};
pub use draft_problem::DraftProblem;
pub use error::Error;
pub use export::ExportError;
pub use folder::{Directory, Folder};
pub use granule_format as format;
pub use granule_reader as reader;
pub use layout::Layout;
pub use lora::Adapter;
pub use problem::Problem;
pub use projector_problem::ProjectorProblem;
pub use quantized::QuantizedProblem;
pub use safetensors_problem::SafetensorsProblem;
pub use survey::FolderKind;
pub use torch::TorchProblem;
pub use vocabulary_problem::VocabularyProblem;
