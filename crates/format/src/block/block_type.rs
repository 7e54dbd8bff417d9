use core::fmt;
use core::str::FromStr;

use crate::nearest::{did_you_mean, nearest};
use crate::prelude::*;

/// The table of types: name, number in the file, module. The structure in the module has the name
/// of the type and says how many values and bytes it holds. Calls the given macro with the table.
macro_rules! block_types {
    ($build:ident) => {
        $build! { ($)
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
            /// 256 values: a 32-bit scale, 8-bit codes around zero and sums of 16 codes. For
            /// activations.
            Q8_K = 15, q8_k;
            /// 256 values: 8 sub-blocks with 4-bit scale, groups of 8 from a codebook of 256, signs
            /// of even parity.
            IQ2_XXS = 16, iq2_xxs;
            /// 256 values: 16 sub-blocks with 4-bit scale, groups of 8 from a codebook of 512,
            /// signs of even parity.
            IQ2_XS = 17, iq2_xs;
            /// 256 values: 8 sub-blocks with 4-bit scale, groups of 4 from a codebook of 256, signs
            /// of even parity.
            IQ3_XXS = 18, iq3_xxs;
            /// 256 values: 8 sub-blocks with 3-bit scale and shift, groups of 8 from a ternary
            /// codebook of 2048.
            IQ1_S = 19, iq1_s;
            /// 32 values: a scale and 4-bit codes for 16 uneven levels.
            IQ4_NL = 20, iq4_nl;
            /// 256 values: 8 sub-blocks with 4-bit scale, groups of 4 from a codebook of 512, free
            /// signs.
            IQ3_S = 21, iq3_s;
            /// 256 values: 16 sub-blocks with 4-bit scale, groups of 8 from a codebook of 1024,
            /// free signs.
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
            /// 256 values: 16 sub-blocks with 3-bit scale, groups of 8 with a shift from IQ1_S's
            /// codebook.
            IQ1_M = 29, iq1_m;
            /// 16-bit floating point with the exponent range of F32.
            BF16 = 30, scalar;
            /// 256 values: a scale and digits of base 3, five per byte.
            TQ1_0 = 34, tq1_0;
            /// 256 values: a scale and 2-bit codes for -1, 0 and 1.
            TQ2_0 = 35, tq2_0;
            /// 32 values: a power of two and 4-bit floating-point codes.
            MXFP4 = 39, mxfp4;
            /// 64 values: 4 sub-blocks with an 8-bit floating-point scale each, 4-bit
            /// floating-point codes.
            NVFP4 = 40, nvfp4;
            /// 128 values: a scale and a sign each.
            Q1_0 = 41, q1_0;
            /// 64 values: a scale and 2-bit codes for -1, 0, 1 and 2.
            Q2_0 = 42, q2_0;
        }
    };
}
pub(super) use block_types;

/// Builds what depends on the table alone.
macro_rules! types {
    (($d:tt) $( $(#[$doc:meta])* $name:ident = $id:literal, $module:ident; )*) => {
        /// A type of block. The discriminant is the number that stands in the tensor table.
        ///
        /// Exhaustive on purpose: the table of kernels matches on it and must not
        /// compile while it lacks a type.
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
        }
    };
}

block_types!(types);

/// Types that ggml once had: number, name, replacement.
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

    /// Returns the type with this name, ignoring case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|ty| ty.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for BlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// By name, in any case: `Q4_K`, `q4_k`.
impl FromStr for BlockType {
    type Err = UnknownBlockType;

    fn from_str(name: &str) -> Result<Self, UnknownBlockType> {
        Self::from_name(name).ok_or_else(|| UnknownBlockType::Name(name.to_owned()))
    }
}

/// By the number that stands in the tensor table.
impl TryFrom<u32> for BlockType {
    type Error = UnknownBlockType;

    fn try_from(id: u32) -> Result<Self, UnknownBlockType> {
        Self::from_id(id).ok_or(UnknownBlockType::Id(id))
    }
}

/// No block type has this name or number.
///
/// Exhaustive: a type has nothing else to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownBlockType {
    /// The unknown name.
    Name(String),
    /// The unknown number.
    Id(u32),
}

impl UnknownBlockType {
    /// Returns the names of types that a misspelt name was probably meant to be.
    pub fn nearest(&self) -> Vec<&'static str> {
        let Self::Name(name) = self else { return Vec::new() };
        nearest(name, BlockType::ALL.iter().map(|ty| ty.name()))
    }
}

impl fmt::Display for UnknownBlockType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.nearest().as_slice()) {
            (Self::Name(name), []) => {
                write!(f, "{name:?} is not a block type: use one of")?;
                for (i, ty) in BlockType::ALL.iter().enumerate() {
                    write!(f, "{} {ty}", if i == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            (Self::Name(name), names) => {
                write!(f, "{name:?} is not a block type{}", did_you_mean(names))
            }
            (Self::Id(id), _) => match REMOVED.iter().find(|removed| removed.0 == *id) {
                Some((_, name, instead)) => {
                    write!(f, "block type {id} ({name}) was removed from the format: use {instead}")
                }
                None => write!(f, "no block type has the number {id}"),
            },
        }
    }
}

impl core::error::Error for UnknownBlockType {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_name_and_number() {
        for &ty in BlockType::ALL {
            assert_eq!(ty.name().parse(), Ok(ty));
            assert_eq!(ty.name().to_lowercase().parse(), Ok(ty));
            assert_eq!(BlockType::try_from(ty.id()), Ok(ty));
        }
    }

    #[test]
    fn unknown_names_lead_to_the_nearest() {
        for (name, expected) in [
            ("Q4K", &["Q4_K"][..]),
            ("q4_x", &["Q4_0", "Q4_1", "Q4_K"]),
            ("bf-16", &["BF16"]),
            ("IQ3-XXS", &["IQ3_XXS"]),
            ("", &[]),
            ("nothing", &[]),
        ] {
            let error = name.parse::<BlockType>().expect_err("no such type");
            assert_eq!(error.nearest(), expected, "{name}");
            let text = error.to_string();
            assert!(text.contains(expected.last().unwrap_or(&"F32, F16, Q4_0")), "{text}");
        }
    }

    #[test]
    fn removed_numbers_say_what_to_use() {
        let text = |id: u32| BlockType::try_from(id).expect_err("no such type").to_string();
        assert_eq!(text(4), "block type 4 (Q4_2) was removed from the format: use Q4_0 or Q4_K");
        assert_eq!(text(99), "no block type has the number 99");
    }
}
