//! Open GGUF files and compute with the quantized tensors in them.
//!
//! | module | holds |
//! |---|---|
//! | [`isa`] | instruction sets: detection, and the boundary that compiles code for them |
#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "entering code that is compiled for a detected instruction set")]
pub mod isa;
