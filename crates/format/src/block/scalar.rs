//! The types whose blocks are single numbers: F32, F16, BF16, F64, I8, I16, I32, I64.
//!
//! Integers decode to the nearest `f32`. Their [`Codes`](Block::Codes) are the numbers themselves.

#![allow(
    clippy::redundant_closure_call,
    reason = "the closures are what differs between rows of a table"
)]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Block, BlockType, Defect};
#[doc(hidden)]
pub use crate::num::F16;

/// One number: structure, its type in memory, and the two functions that differ: to `f32`, and
/// the number's defect.
macro_rules! scalar {
    ($( $(#[$doc:meta])* $name:ident: $number:ty, $decode:expr, $defect:expr; )*) => { $(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
        )]
        #[repr(transparent)]
        pub struct $name([u8; size_of::<$number>()]);

        impl Block for $name {
            const TYPE: BlockType = BlockType::$name;
            const LEN: usize = 1;
            type Codes = $number;

            #[inline(always)]
            fn unpack(&self) -> $number {
                <$number>::from_le_bytes(self.0)
            }

            #[inline(always)]
            fn pack(number: &$number) -> Self {
                Self(number.to_le_bytes())
            }

            #[inline(always)]
            fn decode(&self, out: &mut [f32]) {
                assert_eq!(out.len(), 1);
                const DECODE: fn($number) -> f32 = $decode;
                out[0] = DECODE(self.unpack());
            }

            fn defect(&self) -> Option<Defect> {
                const DEFECT: fn($number) -> Option<Defect> = $defect;
                DEFECT(self.unpack())
            }

            fn swap_bytes(mut self) -> Self {
                self.0.reverse();
                self
            }
        }
    )* };
}

scalar! {
    /// A 32-bit floating-point number.
    F32: f32, |n| n, |n| not_finite(n.is_nan(), n.is_infinite());
    /// The upper half of a 32-bit floating-point number, as its 16 bits.
    BF16: u16, |bits| f32::from_bits(u32::from(bits) << 16), |bits| {
        not_finite(bits & 0x7fff > 0x7f80, bits & 0x7fff == 0x7f80)
    };
    /// A 64-bit floating-point number; decoding rounds to the nearest `f32`.
    F64: f64, |n| n as f32, |n| not_finite(n.is_nan(), n.is_infinite());
    /// An 8-bit integer.
    I8: i8, f32::from, |_| None;
    /// A 16-bit integer.
    I16: i16, f32::from, |_| None;
    /// A 32-bit integer.
    I32: i32, |n| n as f32, |_| None;
    /// A 64-bit integer.
    I64: i64, |n| n as f32, |_| None;
}

/// The block of type F16 is the number itself; its codes are the 16 bits.
impl Block for F16 {
    const TYPE: BlockType = BlockType::F16;
    const LEN: usize = 1;
    type Codes = u16;

    #[inline(always)]
    fn unpack(&self) -> u16 {
        self.to_bits()
    }

    #[inline(always)]
    fn pack(bits: &u16) -> Self {
        Self::from_bits(*bits)
    }

    #[inline(always)]
    fn decode(&self, out: &mut [f32]) {
        assert_eq!(out.len(), 1);
        out[0] = self.to_f32();
    }

    fn defect(&self) -> Option<Defect> {
        let magnitude = self.to_bits() & 0x7fff;
        not_finite(magnitude > 0x7c00, magnitude == 0x7c00)
    }

    fn swap_bytes(self) -> Self {
        // the number's own method of this name
        Self::swap_bytes(self)
    }
}

fn not_finite(nan: bool, infinite: bool) -> Option<Defect> {
    if nan {
        Some(Defect::Nan)
    } else if infinite {
        Some(Defect::Infinite)
    } else {
        None
    }
}
