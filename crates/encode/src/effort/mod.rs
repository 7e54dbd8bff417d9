//! Better searches in the same blocks: what `--effort 1` chooses.
//!
//! The encoders of the reference fix the scales of the sub-blocks first, one by one, and then round
//! them to what the block can hold. These encoders choose all parts of a block together, for the
//! least weighted squared error of the decoded values:
//!
//! 1. [`scale`], [`scale_and_min`]: each sub-block gets the scale (and minimum) that is best for it
//!    alone: several starts, then least squares and nearest codes in turn until little changes.
//! 2. The scale of the block follows. For each sub-block the whole numbers next to its scale (and
//!    minimum) are tried as they will decode.
//! 3. For the numbers and codes so found, the best scale of the block has a closed form. Steps 2
//!    and 3 are repeated, at last with the scale as half precision holds it.
//!
//! Weights are those of the importance matrix as they are, not multiplied by the size of the value
//! as in the reference: measured by what the model then computes, that is better. The table in
//! `spec/encoding.md` says so for each type.
//!
//! The same generic code works on many blocks at once, one in each lane, and on a single one: the
//! definition. No operation crosses lanes, so the bytes are the same.

mod blocks;
mod factor;
mod feedback;
mod levels;
mod scale;
mod scale_and_min;
mod tile;
mod types;

use granule_format::BlockType;

use super::{Encoder, encoder};
use blocks::Row;
pub use feedback::{Feedback, First, encode_with_feedback, takes_feedback};

/// How much work to spend on a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Effort {
    /// The searches of the reference: its bytes.
    #[default]
    Reference,
    /// Scales, minimums and codes of a block together, for the least weighted error. Types without
    /// such a search are encoded as by [`Effort::Reference`].
    Search,
    /// Codes that make up for each other's errors in the products with inputs that are known
    /// ([`encode_with_feedback`]). Where they are not known, as [`Effort::Search`].
    Feedback,
}

impl Effort {
    /// Returns the effort of a number: 0, 1 or 2.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Reference),
            1 => Some(Self::Search),
            2 => Some(Self::Feedback),
            _ => None,
        }
    }

    /// Returns whether the blocks of a type differ from those of [`Effort::Reference`], with
    /// importance weights or without.
    pub fn changes(self, ty: BlockType, weighted: bool) -> bool {
        self != Self::Reference && row(ty).is_some_and(|row| weighted || row.is_plain)
    }

    /// Returns its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Reference => 0,
            Self::Search => 1,
            Self::Feedback => 2,
        }
    }
}

/// Returns the encoder of a type at an effort, if it has one.
pub fn encoder_at(ty: BlockType, effort: Effort) -> Option<&'static dyn Encoder> {
    match effort {
        Effort::Reference => encoder(ty),
        Effort::Search | Effort::Feedback => {
            row(ty).map_or_else(|| encoder(ty), |row| Some(row.encoder))
        }
    }
}

fn row(ty: BlockType) -> Option<&'static Row> {
    types::ENCODERS.iter().find(|row| row.encoder.block_type() == ty)
}

#[cfg(test)]
mod tests;
