//! Quantize numbers to the blocks of GGUF files: one encoder for each type, with importance weights.
//!
//! [`encode`] is the front door:
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
//! Each type has a file, which holds the search twice: in a plain scalar form, which is the readable definition
//! and the test oracle, and in a form that works on many sub-blocks at once, one in each lane of plain arrays.
//! The lanes run *across* sub-blocks; inside a lane every operation and every sum has the order of the scalar
//! form, so both give the same bytes.
//!
//! [`encode_rows`] encodes into a buffer; it checks what an [`Encoder`] takes for granted. [`Importance`] reads,
//! builds and writes importance matrices.

#![forbid(unsafe_code)]
#![allow(non_camel_case_types, reason = "encoders have the names of their types")]

mod block_weights;
mod block_wise;
mod checked;
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
pub use finite::first_not_finite;
pub use front::{EncodeOptions, encode};
pub use granule_format as format;
pub use granule_reader as reader;
pub use importance::{Importance, ImportanceError, ImportanceFileError, matrix_weights};

use with_weights::Both;

/// What importance weights mean to an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighting {
    /// The encoder has one form; weights change nothing.
    Ignored,
    /// There is a weighted form and an unweighted one.
    Optional,
    /// Without weights the result would be useless; there is only a weighted form.
    Required,
}

/// Chooses the blocks for rows of values.
pub trait Encoder: Debug + Sync {
    /// The type of the blocks.
    fn block_type(&self) -> BlockType;

    /// What importance weights mean to this encoder.
    fn weighting(&self) -> Weighting;

    /// How many values to check and then encode at a time, where there are no weights: whole blocks and lanes, few enough
    /// that the cache still has them.
    fn tile(&self) -> usize {
        1 << 16
    }

    /// Encode whole rows of `columns` values each, one after another, to `out`. `weights` has an
    /// importance for each column. The bytes do not depend on `isa`.
    ///
    /// The values must be finite; other values give unspecified blocks. [`encode_rows`] checks that.
    ///
    /// # Panics
    /// If `rows` is not whole rows, a row is not whole blocks, `weights` does not have `columns`
    /// values (or is missing where it is required), or `out` does not have exactly the bytes of the
    /// blocks.
    fn encode(
        &self,
        isa: Isa,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    );

    /// The definition: the same bytes by the plain scalar form.
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    );
}

/// The table of encoders. Types without a row cannot be encoded to.
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

/// The encoder of a type, if it has one.
pub fn encoder(ty: BlockType) -> Option<&'static dyn Encoder> {
    ENCODERS.iter().copied().find(|encoder| encoder.block_type() == ty)
}
