//! Convert checkpoints to quantized GGUF files.
//!
//! | module | holds |
//! |---|---|
//! | [`source`] | where tensors come from: checkpoints and GGUF files, read row by row |
//! | [`run`] | streaming the rows of a source through the encoders into files |
//! | [`encode`] | one encoder a block type: choosing codes and scales |
#![forbid(unsafe_code)]

pub mod encode;
mod error;
mod output;
pub mod run;
pub mod source;

pub use error::Error;
pub use source::{Source, SourceTensor};

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
