//! Convert checkpoints to quantized GGUF files.
//!
//! | module | holds |
//! |---|---|
//! | [`encode`] | one encoder a block type: choosing codes and scales |
#![forbid(unsafe_code)]

pub mod encode;
