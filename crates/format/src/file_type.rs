//! The file types: what `general.file_type` says about a whole file.
//!
//! A file type names a mixture: the block type of most tensors, and rules for those that get a
//! better or a smaller one. The rules are in `granule-convert` and, as tables, in
//! `spec/mixtures.md`.

use core::fmt;
use core::str::FromStr;

use crate::BlockType;

/// Builds the enum and its lookups from the table below.
macro_rules! file_types {
    ($( $(#[$doc:meta])* $name:ident = $number:expr, $default:expr, [$($alias:literal),*]; )*) => {
        /// The mixture of block types that a whole file is quantized to.
        ///
        /// Exhaustive on purpose: the tables of mixtures must not compile while one lacks a type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types, reason = "the names are the field's spelling")]
        pub enum FileType { $( $(#[$doc])* $name, )* }

        impl FileType {
            /// Every file type, in the order in which `llama-quantize` looks for a name or number.
            pub const ALL: &'static [FileType] = &[ $( FileType::$name, )* ];

            /// Its name: `Q4_K_M`.
            pub const fn name(self) -> &'static str {
                match self { $( FileType::$name => stringify!($name), )* }
            }

            /// Other names that users know it by: `Q4_K` for [`Q4_K_M`](Self::Q4_K_M).
            pub const fn aliases(self) -> &'static [&'static str] {
                match self { $( FileType::$name => &[$($alias),*], )* }
            }

            /// The number written to `general.file_type`; `None` for [`COPY`](Self::COPY), which
            /// leaves the number as it is.
            pub const fn number(self) -> Option<u32> {
                match self { $( FileType::$name => $number, )* }
            }

            /// The block type that a tensor gets when no rule says otherwise; `None` for
            /// [`COPY`](Self::COPY).
            pub const fn default_type(self) -> Option<BlockType> {
                match self { $( FileType::$name => $default, )* }
            }
        }
    };
}

use crate::prelude::*;
use BlockType as T;

// The table of file types: name, number, default block type, other names. Where two rows have one
// number, the first is found by it.
file_types! {
    /// One bit per value: signs and a scale for 128 values.
    Q1_0 = Some(40), Some(T::Q1_0), [];
    /// Two bits per value, a scale for 64 values.
    Q2_0 = Some(41), Some(T::Q2_0), [];
    /// Four bits per value around zero, a scale for 32 values.
    Q4_0 = Some(2), Some(T::Q4_0), [];
    /// Four bits per value, scale and minimum for 32 values.
    Q4_1 = Some(3), Some(T::Q4_1), [];
    /// Experts in MXFP4, everything else in Q8_0.
    MXFP4_MOE = Some(38), Some(T::MXFP4), [];
    /// Five bits per value around zero, a scale for 32 values.
    Q5_0 = Some(8), Some(T::Q5_0), [];
    /// Five bits per value, scale and minimum for 32 values.
    Q5_1 = Some(9), Some(T::Q5_1), [];
    /// 2.06 bits per value from a codebook; needs an importance matrix.
    IQ2_XXS = Some(19), Some(T::IQ2_XXS), [];
    /// 2.3 bits per value from a codebook; needs an importance matrix.
    IQ2_XS = Some(20), Some(T::IQ2_XS), [];
    /// IQ2_XS with more tensors in better types; needs an importance matrix.
    IQ2_S = Some(28), Some(T::IQ2_XS), [];
    /// 2.7 bits per value; needs an importance matrix.
    IQ2_M = Some(29), Some(T::IQ2_S), [];
    /// 1.6 bits per value from a codebook; needs an importance matrix.
    IQ1_S = Some(24), Some(T::IQ1_S), [];
    /// 1.75 bits per value from a codebook; needs an importance matrix.
    IQ1_M = Some(31), Some(T::IQ1_M), [];
    /// 1.7 bits per value, for ternary models.
    TQ1_0 = Some(36), Some(T::TQ1_0), [];
    /// 2.06 bits per value, for ternary models.
    TQ2_0 = Some(37), Some(T::TQ2_0), [];
    /// Two-bit super-blocks, attention values and outputs in three bits.
    Q2_K = Some(10), Some(T::Q2_K), [];
    /// Two-bit super-blocks; needs an importance matrix.
    Q2_K_S = Some(21), Some(T::Q2_K), [];
    /// 3.06 bits per value from a codebook.
    IQ3_XXS = Some(23), Some(T::IQ3_XXS), [];
    /// 3.44 bits per value from a codebook.
    IQ3_S = Some(26), Some(T::IQ3_S), [];
    /// IQ3_S with better types for some tensors.
    IQ3_M = Some(27), Some(T::IQ3_S), [];
    /// IQ3_S with smaller types for some tensors.
    IQ3_XS = Some(22), Some(T::IQ3_S), [];
    /// Three-bit super-blocks, small.
    Q3_K_S = Some(11), Some(T::Q3_K), [];
    /// Three-bit super-blocks, medium.
    Q3_K_M = Some(12), Some(T::Q3_K), ["Q3_K"];
    /// Three-bit super-blocks, large.
    Q3_K_L = Some(13), Some(T::Q3_K), [];
    /// Four uneven bits per value, blocks of 32.
    IQ4_NL = Some(25), Some(T::IQ4_NL), [];
    /// Four uneven bits per value, super-blocks.
    IQ4_XS = Some(30), Some(T::IQ4_XS), [];
    /// Four-bit super-blocks, small.
    Q4_K_S = Some(14), Some(T::Q4_K), [];
    /// Four-bit super-blocks, medium: the usual choice.
    Q4_K_M = Some(15), Some(T::Q4_K), ["Q4_K"];
    /// Five-bit super-blocks, small.
    Q5_K_S = Some(16), Some(T::Q5_K), [];
    /// Five-bit super-blocks, medium.
    Q5_K_M = Some(17), Some(T::Q5_K), ["Q5_K"];
    /// Six-bit super-blocks.
    Q6_K = Some(18), Some(T::Q6_K), [];
    /// Eight bits per value, a scale for 32 values.
    Q8_0 = Some(7), Some(T::Q8_0), [];
    /// 16-bit floating point.
    F16 = Some(1), Some(T::F16), [];
    /// 16-bit floating point with the exponent range of F32.
    BF16 = Some(32), Some(T::BF16), [];
    /// 32-bit floating point.
    F32 = Some(0), Some(T::F32), [];
    /// Every tensor keeps its type.
    COPY = None, None, [];
    /// MXFP4 in dense tensors as well. It has no number of its own and uses that of MXFP4_MOE.
    MXFP4 = Some(38), Some(T::MXFP4), [];
    /// Four-bit floating point with an 8-bit floating-point scale for 16 values.
    NVFP4 = Some(39), Some(T::NVFP4), [];
}

impl FileType {
    /// Added to the number in `general.file_type` when it was guessed from the tensors, not chosen.
    pub const GUESSED: u32 = 1024;

    /// The file type with this number in `general.file_type` (without [`GUESSED`](Self::GUESSED)).
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|file_type| file_type.number() == Some(number))
    }

    /// Returns the file type with this name or alias, ignoring case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|file_type| {
            file_type.name().eq_ignore_ascii_case(name)
                || file_type.aliases().iter().any(|alias| alias.eq_ignore_ascii_case(name))
        })
    }
}

/// By name, alias or number, as on the command line: `Q4_K_M`, `q4_k`, `15`.
impl FromStr for FileType {
    type Err = UnknownFileType;

    fn from_str(text: &str) -> Result<Self, UnknownFileType> {
        let by_number = || {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            Self::from_number(text.parse().ok().filter(|_| digits)?)
        };
        Self::from_name(text)
            .or_else(by_number)
            .ok_or_else(|| UnknownFileType { text: text.to_owned() })
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No file type has this name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive] // more may be told of it
pub struct UnknownFileType {
    /// The unknown name or number.
    pub text: String,
}

impl fmt::Display for UnknownFileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a file type; they are", self.text)?;
        for (i, file_type) in FileType::ALL.iter().enumerate() {
            write!(f, "{} {file_type}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownFileType {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_as_users_write_them() {
        for (text, expected) in [
            ("Q4_K_M", FileType::Q4_K_M),
            ("q4_k", FileType::Q4_K_M),
            ("Q3_k", FileType::Q3_K_M),
            ("15", FileType::Q4_K_M),
            ("0", FileType::F32),
            ("38", FileType::MXFP4_MOE),
            ("mxfp4", FileType::MXFP4),
            ("39", FileType::NVFP4),
            ("copy", FileType::COPY),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in
            ["", "15zz", " 15", "+15", "4", "5", "6", "33", "34", "35", "99", "Q4_K_", "Q8_K"]
        {
            assert_eq!(text.parse::<FileType>(), Err(UnknownFileType { text: text.to_owned() }));
        }
    }

    #[test]
    fn names_and_numbers_are_unambiguous() {
        for file_type in FileType::ALL {
            assert_eq!(FileType::from_name(file_type.name()), Some(*file_type));
            for alias in file_type.aliases() {
                assert_eq!(FileType::from_name(alias), Some(*file_type));
            }
            if let Some(number) = file_type.number() {
                let found = FileType::from_number(number);
                let shared = *file_type == FileType::MXFP4 && found == Some(FileType::MXFP4_MOE);
                assert!(shared || found == Some(*file_type), "{file_type}");
            }
        }
    }
}
