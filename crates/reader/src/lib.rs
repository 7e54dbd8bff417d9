//! Open GGUF files and compute with the quantized tensors in them.
//!
//! | module | holds |
//! |---|---|
//! | [`Model`] | an open file or split set: read at positions, mapped, or in memory |
//! | [`OpenOptions`] | limits, and other options of opening |
//! | [`Tensor`] | a view of a tensor: its bytes, and the values of any range of its rows |
//! | [`PackedMatrix`] | weights repacked for products |
//! | [`Activations`] | vectors to multiply with, quantized once |
//! | [`decode`] | decoding rows for one instruction set |
//! | [`dot`] | dot products of rows for one instruction set |
//! | [`mod@file`] | opening paths that must lead to regular files |
//! | [`positioned`] | reading at positions of a file |
//! | [`isa`] | instruction sets: detection, and the boundary that compiles code for them |
#![deny(unsafe_code)]

mod activations;
pub mod decode;
pub mod dot;
mod error;
pub mod file;
#[allow(unsafe_code, reason = "entering code that is compiled for a detected instruction set")]
pub mod isa;
mod kernel;
mod map;
mod matmul;
mod model;
mod open;
mod packed;
pub mod positioned;
mod rows;
mod storage;
mod strip;
mod tensor;
mod tile;

pub use activations::{Activations, Form};
pub use error::Error;
pub use granule_format as format;
pub use map::FileMap;
pub use model::{Model, Shard};
pub use open::OpenOptions;
pub use packed::PackedMatrix;
pub use tensor::Tensor;

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
