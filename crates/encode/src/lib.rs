//! Quantizes numbers to the blocks of GGUF files: one encoder for each type, with importance
//! weights.
//!
//! Start with [`encode`]:
//!
//! ```
//! use granule_encode::{EncodeOptions, encode};
//! use granule_format::BlockType;
//!
//! let rows: Vec<f32> = (0..4 * 64).map(|i| (i as f32 * 0.1).sin()).collect();
//! let blocks = encode(BlockType::Q8_0, &rows, 64, None, &EncodeOptions::default())?;
//! assert_eq!(blocks.len(), 4 * 64 / 32 * 34);
//! # Ok::<(), granule_encode::EncodeError>(())
//! ```
//!
//! Each type has a file with two forms of its search. The plain scalar form is the readable
//! definition and the test oracle. The other form works on many sub-blocks at once, one in each
//! lane of plain arrays. The lanes run *across* sub-blocks. Within a lane, operations and sums have
//! the order of the scalar form, so both forms give the same bytes.
//!
//! [`encode_rows`] encodes into a buffer and checks everything that an [`Encoder`] assumes.
//! [`Importance`] reads, builds and writes importance matrices, [`ImportanceSums`] the sums that
//! they are made of.

#![forbid(unsafe_code)]
#![allow(non_camel_case_types, reason = "encoders have the names of their types")]

mod block_weights;
mod block_wise;
mod checked;
mod effort;
mod extremes;
mod finite;
mod fp4;
mod front;
mod grid_search;
mod importance;
mod iq1_search;
mod iq2_search;
mod iq2_signs;
mod iq2_uniform;
mod iq3_search;
mod iq4_search;
mod iq_blocks;
mod neighbours;
mod round;
mod rows;
mod search_affine;
mod search_symmetric;
mod super_block;
mod ternary;
mod with_weights;

mod iq1_m;
mod iq1_s;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
mod iq4_nl;
mod iq4_xs;
mod mxfp4;
mod nvfp4;
mod q1_0;
mod q2_0;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod q8_1;
mod q8_k;
mod scalar;
mod tq1_0;
mod tq2_0;

use std::fmt::Debug;

use granule_format::BlockType;
use granule_reader::isa::Isa;

pub use checked::{EncodeError, encode_rows};
pub use effort::{Effort, Feedback, First, encode_with_feedback, encoder_at, takes_feedback};
pub use finite::first_not_finite;
pub use front::{EncodeOptions, encode};
pub use granule_format as format;
pub use granule_reader as reader;
pub use importance::{
    ColumnStatistics, ColumnSums, Importance, ImportanceError, ImportanceFileError, ImportanceSums,
    matrix_weights,
};

use with_weights::Both;

/// The use that an encoder makes of importance weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// The encoder has one form, which ignores weights.
    Ignored,
    /// There is a weighted form and an unweighted one.
    Optional,
    /// There is only a weighted form; without weights the result would be useless.
    Required,
}

/// Chooses the blocks for rows of values.
pub trait Encoder: Debug + Sync {
    /// Returns the type of the blocks.
    fn block_type(&self) -> BlockType;

    /// Returns how this encoder uses importance weights.
    fn weighting(&self) -> Weighting;

    /// Returns the number of values to check and then encode at a time when there are no weights:
    /// whole blocks and lanes, few enough to stay in the cache.
    fn tile(&self) -> usize {
        1 << 16
    }

    /// Encodes whole rows of `columns` values each, one after another, to `out`. `weights` holds an
    /// importance for each column. The bytes do not depend on `isa`.
    ///
    /// The values must be finite; other values give unspecified blocks. [`encode_rows`] checks
    /// that.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows, a row is not a whole number of blocks, `weights`
    /// does not have `columns` values (or is missing where it is required), or `out` does not have
    /// exactly the bytes of the blocks.
    fn encode(
        &self,
        isa: Isa,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    );

    /// Encodes to the same bytes by the plain scalar form: the definition.
    ///
    /// # Panics
    /// Same as [`encode`](Self::encode).
    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    );
}

/// The table of encoders. Types without a row have no encoder.
#[rustfmt::skip] // one row a line
const ENCODERS: &[&dyn Encoder] = &[
    &iq1_m::IQ1_M,
    &iq1_s::IQ1_S,
    &iq2_s::IQ2_S,
    &iq2_xs::IQ2_XS,
    &iq2_xxs::IQ2_XXS,
    &iq3_s::IQ3_S,
    &iq3_xxs::IQ3_XXS,
    &iq4_nl::IQ4_NL,
    &iq4_xs::IQ4_XS,
    &mxfp4::MXFP4,
    &nvfp4::NVFP4,
    &q1_0::Q1_0,
    &q2_0::Q2_0,
    &q2_k::Q2_K,
    &q3_k::Q3_K,
    &Both(q4_0::Q4_0),
    &Both(q4_1::Q4_1),
    &q4_k::Q4_K,
    &Both(q5_0::Q5_0),
    &Both(q5_1::Q5_1),
    &q5_k::Q5_K,
    &q6_k::Q6_K,
    &q8_0::Q8_0,
    &q8_1::Q8_1,
    &q8_k::Q8_K,
    &scalar::BF16,
    &scalar::F16,
    &scalar::F32,
    &tq1_0::TQ1_0,
    &tq2_0::TQ2_0,
];

/// Returns the encoder of a type, if it has one.
pub fn encoder(ty: BlockType) -> Option<&'static dyn Encoder> {
    ENCODERS.iter().copied().find(|encoder| encoder.block_type() == ty)
}
