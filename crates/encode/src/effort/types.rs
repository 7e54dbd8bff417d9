//! The types that have a search of their own at `--effort 1`.

use granule_format::Block;
use granule_format::block::{
    iq4_nl, iq4_xs, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0, types,
};
use granule_format::num::F16;

use super::blocks::{Row, ScaleAndMin, ScaleOnly, Scales, ScalesAndMins, Searched};
use super::levels::{Codebook, Whole};
use super::tile::Plain;

#[rustfmt::skip] // one row a line
pub(super) const ENCODERS: &[Row] = &[
    //                       values, sub-blocks, numbers from, to
    Searched::<Scales<types::Q4_0, 32, 1, 1, 1>, 32>::row(),
    Searched::<Scales<types::Q5_0, 32, 1, 1, 1>, 32>::row(),
    Searched::<Scales<types::Q8_0, 32, 1, 1, 1>, 32>::row(),
    Searched::<Scales<types::IQ4_NL, 32, 1, 1, 1>, 32>::row(),
    Searched::<Scales<types::IQ4_XS, 32, 8, -32, 31>, 256>::row(),
    Searched::<Scales<types::Q3_K, 16, 16, -32, 31>, 256>::row(),
    Searched::<Scales<types::Q6_K, 16, 16, -128, 127>, 256>::row(),
    //                       largest code, values, sub-blocks, numbers up to
    Searched::<ScalesAndMins<types::Q4_1, 15, 32, 1, 1>, 32>::row(),
    Searched::<ScalesAndMins<types::Q5_1, 31, 32, 1, 1>, 32>::row(),
    Searched::<ScalesAndMins<types::Q2_K, 3, 16, 16, 15>, 256>::row(),
    Searched::<ScalesAndMins<types::Q4_K, 15, 32, 8, 63>, 256>::row(),
    Searched::<ScalesAndMins<types::Q5_K, 31, 32, 8, 63>, 256>::row(),
];

/// Implements the packing of a type with a scale alone: its levels, its weights without a matrix.
macro_rules! scale_only {
    ($ty:ident $subs:literal $values:literal: $levels:ty, $plain:expr,
     |$scale:ident, $numbers:ident, $codes:ident| $block:expr) => {
        impl ScaleOnly<$subs, $values> for types::$ty {
            type Block = Self;
            type Levels = $levels;
            const PLAIN: Option<Plain> = $plain;

            fn make($scale: F16, $numbers: [i8; $subs], $codes: [i8; $values]) -> Self {
                <Self as Block>::pack(&$block)
            }
        }
    };
}

/// Returns codes that are not negative as the formats hold them.
fn unsigned<const V: usize>(codes: [i8; V]) -> [u8; V] {
    codes.map(i8::cast_unsigned)
}

scale_only!(Q4_0 1 32: Whole<-8, 7, -8>, None, |scale, _numbers, codes|
    q4_0::Codes { scale, codes: unsigned(codes) });
scale_only!(Q5_0 1 32: Whole<-16, 15, -16>, None, |scale, _numbers, codes|
    q5_0::Codes { scale, codes: unsigned(codes) });
scale_only!(Q8_0 1 32: Whole<-127, 127, 0>, None, |scale, _numbers, codes|
    q8_0::Codes { scale, codes });
scale_only!(IQ4_NL 1 32: Codebook, None, |scale, _numbers, codes|
    iq4_nl::Codes { scale, codes: unsigned(codes) });
scale_only!(IQ4_XS 8 256: Codebook, None, |scale, sub_scales, codes|
    iq4_xs::Codes { scale, sub_scales, codes: unsigned(codes) });
scale_only!(Q3_K 16 256: Whole<-4, 3, -4>, Some(Plain::Square), |scale, sub_scales, codes|
    q3_k::Codes { scale, sub_scales, codes: unsigned(codes) });
scale_only!(Q6_K 16 256: Whole<-32, 31, -32>, None, |scale, sub_scales, codes|
    q6_k::Codes { scale, sub_scales, codes: unsigned(codes) });

/// Implements the packing of a type with a scale and a minimum.
macro_rules! scale_and_min {
    ($ty:ident $module:ident $subs:literal, $plain:expr) => {
        impl ScaleAndMin<$subs, 256> for types::$ty {
            type Block = Self;
            const PLAIN: Option<Plain> = $plain;

            fn make(
                scale: F16,
                min: F16,
                sub_scales: [u8; $subs],
                sub_mins: [u8; $subs],
                codes: [u8; 256],
            ) -> Self {
                <Self as Block>::pack(&$module::Codes { scale, min, sub_scales, sub_mins, codes })
            }
        }
    };
}

/// The same for a type whose block has one scale and one minimum, the lowest level.
macro_rules! scale_and_lowest {
    ($ty:ident $module:ident, $plain:expr) => {
        impl ScaleAndMin<1, 32> for types::$ty {
            type Block = Self;
            const PLAIN: Option<Plain> = $plain;

            fn make(scale: F16, min: F16, _: [u8; 1], _: [u8; 1], codes: [u8; 32]) -> Self {
                let min = F16::from_bits(min.to_bits() ^ 0x8000);
                <Self as Block>::pack(&$module::Codes { scale, min, codes })
            }
        }
    };
}

scale_and_min!(Q2_K q2_k 16, Some(Plain::Magnitude));
scale_and_min!(Q4_K q4_k 8, Some(Plain::Magnitude));
scale_and_min!(Q5_K q5_k 8, Some(Plain::Magnitude));
scale_and_lowest!(Q4_1 q4_1, None);
scale_and_lowest!(Q5_1 q5_1, None);
