//! Differences between two models: their metadata, their tensors and the values in these.

mod metadata;
mod sums;
mod tensors;

pub use metadata::{MetadataChange, Positions, metadata};
pub use sums::Errors;
pub use tensors::{Described, DiffOptions, Difference, Tensors, tensors};
