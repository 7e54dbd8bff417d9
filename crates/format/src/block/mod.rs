//! The block types: what the bytes of a tensor mean.
//!
//! A tensor is stored row by row; a row is a run of *blocks*, each a fixed number of bytes that
//! holds a fixed number of values. This module has one table, [`blocks!`](self), and a file for each type:
//! the structure as it lies in the file, [`Block::unpack`] and [`Block::pack`] between it and plain
//! numbers, the scalar [`Block::decode`] that *defines* the values, and [`Block::defect`].
//!
//! Faster decoding lives in `granule-reader`, the search for good codes in `granule-encode`, each
//! under the same file name.

pub mod bits;
pub mod codebook;
pub mod fp4;
pub mod scalar;
pub mod scales;

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

use std::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A block as it lies in a (little-endian) file.
pub trait Block:
    FromBytes
    + IntoBytes
    + Immutable
    + KnownLayout
    + Unaligned
    + Copy
    + fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// The row of the table of types that this block belongs to.
    const TYPE: BlockType;
    /// Values in a block.
    const LEN: usize;
    /// The same block as plain numbers.
    type Codes: Clone + fmt::Debug + PartialEq;

    /// The numbers that the block's bits stand for.
    fn unpack(&self) -> Self::Codes;

    /// The block for these numbers: `pack(unpack(b)) == b` for every block `b`.
    ///
    /// # Panics
    /// If a number does not fit its field.
    fn pack(codes: &Self::Codes) -> Self;

    /// Write the `LEN` values of the block to `out`. This scalar form is the definition: every
    /// faster one gives exactly these bits.
    ///
    /// # Panics
    /// If `out` does not hold exactly `LEN` values.
    fn decode(&self, out: &mut [f32]);

    /// What makes the block invalid, if anything: a scale that is not finite, an index outside its
    /// codebook.
    fn defect(&self) -> Option<Defect> {
        None
    }

    /// The same block for a file of the other byte order: every multi-byte field is reversed.
    fn swap_bytes(self) -> Self;
}

/// Why a block is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// The value itself (F16, F32, ...) is NaN.
    Nan,
    /// The value itself is infinite.
    Infinite,
    /// A scale or minimum is infinite or NaN; the field's name.
    Scale(&'static str),
    /// An E8M0 exponent is 255, which stands for NaN.
    Exponent,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nan => write!(f, "the value is NaN"),
            Self::Infinite => write!(f, "the value is infinite"),
            Self::Scale(field) => write!(f, "the {field} is not finite"),
            Self::Exponent => write!(f, "the exponent is 255, which stands for NaN"),
        }
    }
}

/// Builds everything that follows from the table of block types below.
macro_rules! blocks {
    (($d:tt) $( $(#[$doc:meta])* $name:ident = $id:literal, $module:ident; )*) => {
        /// A type of block. The discriminant is the number that stands in the tensor table.
        ///
        /// Exhaustive on purpose: the tables of kernels and encoders match on it and must not
        /// compile while one of them lacks a type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(non_camel_case_types, reason = "the names are the field's spelling")]
        #[repr(u32)]
        pub enum BlockType { $( $(#[$doc])* $name = $id, )* }

        impl BlockType {
            /// Every type, in the order of their numbers.
            pub const ALL: &'static [BlockType] = &[ $( BlockType::$name, )* ];

            /// The type with this number in the tensor table.
            pub const fn from_id(id: u32) -> Option<Self> {
                match id { $( $id => Some(BlockType::$name), )* _ => None }
            }

            /// The type's name: `Q4_K`, `BF16`.
            pub const fn name(self) -> &'static str {
                match self { $( BlockType::$name => stringify!($name), )* }
            }

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

        /// The block structures, each under the name of its type.
        pub mod types {
            $( pub use super::$module::$name; )*
        }

        /// Runs code with a type that stands for the block structure of a [`BlockType`](crate::BlockType).
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

// The table of types: name, number in the file, module. The structure in the module has the name
// of the type. Its length in values and bytes is taken from there.
blocks! { ($)
    /// 32-bit floating point.
    F32 = 0, scalar;
    /// 16-bit floating point, IEEE half precision.
    F16 = 1, scalar;
    /// 32 values: a scale and 4-bit codes around zero.
    Q4_0 = 2, q4_0;
    /// 32 values: a scale, a minimum and 4-bit codes.
    Q4_1 = 3, q4_1;
    /// 32 values: a scale and 5-bit codes around zero.
    Q5_0 = 6, q5_0;
    /// 32 values: a scale, a minimum and 5-bit codes.
    Q5_1 = 7, q5_1;
    /// 32 values: a scale and 8-bit codes around zero.
    Q8_0 = 8, q8_0;
    /// 32 values: a scale, 8-bit codes around zero and their sum. For activations.
    Q8_1 = 9, q8_1;
    /// 256 values: 16 sub-blocks with 4-bit scale and minimum each, 2-bit codes.
    Q2_K = 10, q2_k;
    /// 256 values: 16 sub-blocks with a 6-bit scale each, 3-bit codes around zero.
    Q3_K = 11, q3_k;
    /// 256 values: 8 sub-blocks with 6-bit scale and minimum each, 4-bit codes.
    Q4_K = 12, q4_k;
    /// 256 values: 8 sub-blocks with 6-bit scale and minimum each, 5-bit codes.
    Q5_K = 13, q5_k;
    /// 256 values: 16 sub-blocks with an 8-bit scale each, 6-bit codes around zero.
    Q6_K = 14, q6_k;
    /// 256 values: a 32-bit scale, 8-bit codes around zero and sums of 16 codes. For activations.
    Q8_K = 15, q8_k;
    /// 256 values: 8 sub-blocks with 4-bit scale, groups of 8 from a codebook of 256, signs of even parity.
    IQ2_XXS = 16, iq2_xxs;
    /// 256 values: 16 sub-blocks with 4-bit scale, groups of 8 from a codebook of 512, signs of even parity.
    IQ2_XS = 17, iq2_xs;
    /// 256 values: 8 sub-blocks with 4-bit scale, groups of 4 from a codebook of 256, signs of even parity.
    IQ3_XXS = 18, iq3_xxs;
    /// 256 values: 8 sub-blocks with 3-bit scale and shift, groups of 8 from a ternary codebook of 2048.
    IQ1_S = 19, iq1_s;
    /// 32 values: a scale and 4-bit codes for 16 uneven levels.
    IQ4_NL = 20, iq4_nl;
    /// 256 values: 8 sub-blocks with 4-bit scale, groups of 4 from a codebook of 512, free signs.
    IQ3_S = 21, iq3_s;
    /// 256 values: 16 sub-blocks with 4-bit scale, groups of 8 from a codebook of 1024, free signs.
    IQ2_S = 22, iq2_s;
    /// 256 values: 8 sub-blocks with 6-bit scale, 4-bit codes for the levels of IQ4_NL.
    IQ4_XS = 23, iq4_xs;
    /// 8-bit integer.
    I8 = 24, scalar;
    /// 16-bit integer.
    I16 = 25, scalar;
    /// 32-bit integer.
    I32 = 26, scalar;
    /// 64-bit integer.
    I64 = 27, scalar;
    /// 64-bit floating point.
    F64 = 28, scalar;
    /// 256 values: 16 sub-blocks with 3-bit scale, groups of 8 with a shift from IQ1_S's codebook.
    IQ1_M = 29, iq1_m;
    /// 16-bit floating point with the exponent range of F32.
    BF16 = 30, scalar;
    /// 256 values: a scale and digits of base 3, five a byte.
    TQ1_0 = 34, tq1_0;
    /// 256 values: a scale and 2-bit codes for -1, 0 and 1.
    TQ2_0 = 35, tq2_0;
    /// 32 values: a power of two and 4-bit floating point codes.
    MXFP4 = 39, mxfp4;
    /// 64 values: 4 sub-blocks with an 8-bit floating point scale each, 4-bit floating point codes.
    NVFP4 = 40, nvfp4;
    /// 128 values: a scale and a sign each.
    Q1_0 = 41, q1_0;
    /// 64 values: a scale and 2-bit codes for -1, 0, 1 and 2.
    Q2_0 = 42, q2_0;
}

/// Types that ggml once had: number, name, what took their place.
pub const REMOVED: &[(u32, &str, &str)] = &[
    (4, "Q4_2", "Q4_0 or Q4_K"),
    (5, "Q4_3", "Q4_1 or Q4_K"),
    (31, "Q4_0_4_4", "Q4_0, which programs repack when they load it"),
    (32, "Q4_0_4_8", "Q4_0, which programs repack when they load it"),
    (33, "Q4_0_8_8", "Q4_0, which programs repack when they load it"),
    (36, "IQ4_NL_4_4", "IQ4_NL, which programs repack when they load it"),
    (37, "IQ4_NL_4_8", "IQ4_NL, which programs repack when they load it"),
    (38, "IQ4_NL_8_8", "IQ4_NL, which programs repack when they load it"),
];

impl BlockType {
    /// The number that stands in the tensor table.
    pub const fn id(self) -> u32 {
        self as u32
    }

    /// The type with this name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|ty| ty.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of a row of `values` values; `None` if they are not whole blocks or the number does
    /// not fit.
    ///
    /// Sizes are asked of a row, not computed from blocks, so that a type with a header for each
    /// row can be added without touching its users.
    pub const fn row_bytes(self, values: u64) -> Option<u64> {
        if !values.is_multiple_of(self.block_values() as u64) {
            return None;
        }
        (values / self.block_values() as u64).checked_mul(self.block_bytes() as u64)
    }

    /// Bits that a value takes on average.
    pub fn bits_per_value(self) -> f64 {
        self.block_bytes() as f64 * 8.0 / self.block_values() as f64
    }

    /// Whether the type is made of blocks with a scale, rather than of plain numbers.
    pub const fn is_quantized(self) -> bool {
        self.block_values() > 1
    }

    /// Decode a row by the definition. `out` holds as many values as the blocks in `row`.
    ///
    /// # Panics
    /// If `row` is not whole blocks, or `out` does not have their number of values.
    pub fn decode_row(self, row: &[u8], out: &mut [f32]) {
        with_block!(self, B => {
            let blocks = blocks_of::<B>(row);
            assert_eq!(out.len(), blocks.len() * B::LEN, "values for {} {self} blocks", blocks.len());
            for (block, out) in blocks.iter().zip(out.chunks_exact_mut(B::LEN)) {
                block.decode(out);
            }
        });
    }

    /// The first invalid block of a row, by its index, and what is wrong with it.
    ///
    /// # Panics
    /// If `row` is not whole blocks.
    pub fn first_defect(self, row: &[u8]) -> Option<(usize, Defect)> {
        with_block!(self, B => {
            blocks_of::<B>(row).iter().enumerate().find_map(|(i, b)| Some((i, b.defect()?)))
        })
    }

    /// Reverse the byte order of a row, in place.
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

impl fmt::Display for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The blocks that these bytes are; no copy is made.
///
/// # Panics
/// If the bytes are not whole blocks.
pub fn blocks_of<B: Block>(row: &[u8]) -> &[B] {
    <[B]>::ref_from_bytes(row).expect("whole blocks")
}
