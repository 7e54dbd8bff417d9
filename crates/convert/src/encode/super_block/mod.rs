//! Types of super-blocks of 256 values, each with scales of its sub-blocks: Q2_K to Q6_K.
//!
//! | module | holds |
//! |---|---|
//! | [`search`] | the searches for scales and codes, in scalar form: the definition |
//! | [`lanes`], [`asymmetric_lanes`], [`symmetric_lanes`] | the same in lanes |
//! | [`tile`] | super-blocks of a matrix, and tiles of them in lanes |
//! | [`scale_and_min`] | Q2_K, Q4_K, Q5_K: sub-blocks with a scale and a minimum |
//! | [`scale_only`] | Q3_K, Q6_K: sub-blocks with a scale |

mod asymmetric_lanes;
pub(super) mod lanes;
pub(super) mod scale_and_min;
pub(super) mod scale_only;
pub(super) mod search;
pub(super) mod symmetric_lanes;
pub(super) mod tile;

/// Values in a super-block.
pub(crate) const VALUES: usize = 256;
