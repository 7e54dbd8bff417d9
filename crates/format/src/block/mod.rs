//! The block types: what the bytes of a tensor mean.
//!
//! A tensor is stored row by row; a row is a run of *blocks*, each a fixed number of bytes that
//! holds a fixed number of values. Each type has a module here: the structure as it is stored,
//! conversions between it and plain numbers ([`Block::unpack`], [`Block::pack`]), the scalar
//! [`Block::decode`] that *defines* the values, and [`Block::defect`].
//! [`BlockType`] lists the types.
//!
//! The structures are exhaustive: files exist, so their layouts never change.
//!
//! Faster decoding lives in `granule-reader`, the search for good codes in `granule-encode`, each
//! under the same file name.

mod bits;
pub(crate) mod block_type;
pub mod codebook;
pub(crate) mod defect;
pub mod fp4;
pub(crate) mod layout;
pub mod scalar;
mod scales;

pub mod iq1_m;
pub mod iq1_s;
pub mod iq2_s;
pub mod iq2_xs;
pub mod iq2_xxs;
pub mod iq3_s;
pub mod iq3_xxs;
pub mod iq4_nl;
pub mod iq4_xs;
pub mod mxfp4;
pub mod nvfp4;
pub mod q1_0;
pub mod q2_0;
pub mod q2_k;
pub mod q3_k;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k;
pub mod q6_k;
pub mod q8_0;
pub mod q8_1;
pub mod q8_k;
pub mod tq1_0;
pub mod tq2_0;
use zerocopy::FromBytes;

use block_type::block_types;
pub use block_type::{REMOVED, UnknownBlockType};
pub use defect::ScaleField;
pub use layout::blocks_of;

pub(crate) use block_type::BlockType;
pub(crate) use defect::Defect;
pub(crate) use layout::Block;

/// Builds what depends on the table and the structures.
macro_rules! structures {
    (($d:tt) $( $(#[$doc:meta])* $name:ident = $id:literal, $module:ident; )*) => {
        impl BlockType {
            /// Values in a block.
            pub const fn block_values(self) -> usize {
                match self { $( BlockType::$name => <$module::$name as Block>::LEN, )* }
            }

            /// Bytes of a block.
            pub const fn block_bytes(self) -> usize {
                match self { $( BlockType::$name => size_of::<$module::$name>(), )* }
            }
        }

        $( const _: () = assert!(<$module::$name as Block>::TYPE as u32 == $id); )*

        /// The block structures by the names of their types, for
        /// [`with_block!`](crate::with_block); other code names
        /// them by their modules.
        #[doc(hidden)]
        pub mod types {
            $( pub use super::$module::$name; )*
        }

        /// Runs code with a type that stands for the block structure of a
        /// [`BlockType`](crate::BlockType).
        ///
        /// ```
        /// use granule_format::{Block, BlockType, with_block};
        /// let ty = BlockType::Q4_K;
        /// assert_eq!(with_block!(ty, B => B::LEN), 256);
        /// ```
        #[macro_export]
        macro_rules! with_block {
            ($d ty:expr, $d b:ident => $d body:expr) => {
                match $d ty {
                    $( $crate::BlockType::$name => {
                        type $d b = $crate::block::types::$name;
                        $d body
                    } )*
                }
            };
        }
    };
}

block_types!(structures);

impl BlockType {
    /// Bytes of a row of `values` values; `None` if they are not whole blocks or the number does
    /// not fit.
    ///
    /// Ask for the size of a row instead of computing it from blocks: a type with a header for each
    /// row can then be added without touching its users.
    pub const fn row_bytes(self, values: u64) -> Option<u64> {
        if !values.is_multiple_of(self.block_values() as u64) {
            return None;
        }
        (values / self.block_values() as u64).checked_mul(self.block_bytes() as u64)
    }

    /// Returns the average number of bits per value.
    pub fn bits_per_value(self) -> f64 {
        self.block_bytes() as f64 * 8.0 / self.block_values() as f64
    }

    /// Whether the type is made of blocks with a scale, rather than of plain numbers.
    pub const fn is_quantized(self) -> bool {
        self.block_values() > 1
    }

    /// Decodes a row by the definition. `out` holds as many values as the blocks in `row`.
    ///
    /// # Panics
    /// If `row` is not whole blocks, or `out` does not have their number of values.
    pub fn decode_row(self, row: &[u8], out: &mut [f32]) {
        with_block!(self, B => {
            let blocks = blocks_of::<B>(row);
            let count = blocks.len();
            assert_eq!(out.len(), count * B::LEN, "values for {count} {self} blocks");
            for (block, out) in blocks.iter().zip(out.chunks_exact_mut(B::LEN)) {
                block.decode(out);
            }
        });
    }

    /// Returns the index of the first invalid block of a row and its defect.
    ///
    /// # Panics
    /// If `row` is not whole blocks.
    pub fn first_defect(self, row: &[u8]) -> Option<(usize, Defect)> {
        with_block!(self, B => {
            blocks_of::<B>(row).iter().enumerate().find_map(|(i, b)| Some((i, b.defect()?)))
        })
    }

    /// Reverses the byte order of a row, in place.
    ///
    /// # Panics
    /// If `row` is not whole blocks.
    pub fn swap_bytes(self, row: &mut [u8]) {
        with_block!(self, B => {
            for block in <[B]>::mut_from_bytes(row).expect("whole blocks") {
                *block = block.swap_bytes();
            }
        });
    }
}
