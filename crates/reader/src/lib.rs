//! Open GGUF files and compute with the quantized tensors in them.
//!
//! | module | holds |
//! |---|---|
//! | [`Model`] | an open file or split set: read at positions, mapped, or in memory |
//! | [`Tensor`] | a view of a tensor: its bytes, and the values of any range of its rows |
//! | [`decode`] | decoding rows for one instruction set |
//! | [`positioned`] | reading and writing at positions of a file |
//! | [`isa`] | instruction sets: detection, and the boundary that compiles code for them |
#![deny(unsafe_code)]

pub mod decode;
mod error;
#[allow(unsafe_code, reason = "entering code that is compiled for a detected instruction set")]
pub mod isa;
mod map;
mod model;
pub mod positioned;
mod storage;
mod tensor;

pub use error::Error;
pub use granule_format as format;
pub use map::FileMap;
pub use model::{Model, Shard};
pub use tensor::Tensor;
