//! Tuning: what a conversion decides by running the model.
//!
//! | module | holds |
//! |---|---|
//! | [`size`] | the types of all tensors for a file of a given size |

mod quantized;
pub mod size;

pub use quantized::Quantized;
