//! Tuning: what a conversion decides by running the model.
//!
//! | module | holds |
//! |---|---|
//! | [`feedback`] | the codes of each matrix, given its inputs |
//! | [`size`] | the types of all tensors for a file of a given size |

pub mod feedback;
mod quantized;
pub mod size;

pub use quantized::Quantized;
