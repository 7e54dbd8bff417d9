//! The types of numbers that checkpoints hold.

use granule_format::{Block, BlockType};

/// Builds what follows from the table below.
macro_rules! data_types {
    ($( $(#[$doc:meta])* $name:ident = $text:literal, $bytes:literal, $block:expr; )*) => {
        /// A type of number in a checkpoint.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum DataType { $( $(#[$doc])* $name, )* }

        impl DataType {
            /// The type with this name in the header of a safetensors file.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name { $( $text => Some(Self::$name), )* _ => None }
            }

            /// The name in the header of a safetensors file.
            pub(crate) const fn name(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }

            /// Bytes of a number.
            pub(crate) const fn bytes(self) -> u64 {
                match self { $( Self::$name => $bytes, )* }
            }

            /// The type of block that stores the same numbers, if there is one.
            pub(crate) const fn block(self) -> Option<BlockType> {
                match self { $( Self::$name => $block, )* }
            }
        }
    };
}

// The table: name here, name in a safetensors header, bytes, the same as a block.
data_types! {
    /// 64-bit floating point.
    F64 = "F64", 8, Some(BlockType::F64);
    /// 32-bit floating point.
    F32 = "F32", 4, Some(BlockType::F32);
    /// Half precision.
    F16 = "F16", 2, Some(BlockType::F16);
    /// The upper half of 32-bit floating point.
    BF16 = "BF16", 2, Some(BlockType::BF16);
    /// 8-bit floating point, 4 bits of exponent.
    F8E4M3 = "F8_E4M3", 1, None;
    /// 8-bit floating point, 5 bits of exponent.
    F8E5M2 = "F8_E5M2", 1, None;
    /// 8 bits of exponent alone: powers of two.
    F8E8M0 = "F8_E8M0", 1, None;
    /// 64-bit integer.
    I64 = "I64", 8, Some(BlockType::I64);
    /// 32-bit integer.
    I32 = "I32", 4, Some(BlockType::I32);
    /// 16-bit integer.
    I16 = "I16", 2, Some(BlockType::I16);
    /// 8-bit integer.
    I8 = "I8", 1, Some(BlockType::I8);
    /// 64-bit integer without sign.
    U64 = "U64", 8, None;
    /// 32-bit integer without sign.
    U32 = "U32", 4, None;
    /// 16-bit integer without sign.
    U16 = "U16", 2, None;
    /// 8-bit integer without sign.
    U8 = "U8", 1, None;
    /// Truth values, a byte each.
    Bool = "BOOL", 1, None;
}

impl DataType {
    /// The numbers of `bytes` as `f32`, where the type is one that is converted.
    pub(crate) fn widen(self, bytes: &[u8]) -> Option<Vec<f32>> {
        let block = self.block()?;
        let mut out = vec![0.0; bytes.len() / self.bytes() as usize];
        match self {
            // What matters is written out, so that it becomes vector code.
            Self::F32 => widen(bytes, &mut out, f32::from_le_bytes),
            Self::BF16 => widen(bytes, &mut out, |two| {
                f32::from_bits(u32::from(u16::from_le_bytes(two)) << 16)
            }),
            _ => block.decode_row(bytes, &mut out),
        }
        Some(out)
    }
}

fn widen<const N: usize>(bytes: &[u8], out: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = number(*bytes);
    }
}

/// Append `values` as numbers of type `ty`, which must be F32, F16 or BF16.
pub(crate) fn narrow(values: &[f32], ty: BlockType, out: &mut Vec<u8>) {
    use granule_format::block::types::{BF16, F16, F32};
    fn each<const N: usize>(values: &[f32], out: &mut Vec<u8>, bytes: impl Fn(f32) -> [u8; N]) {
        out.reserve(values.len() * N);
        values.iter().for_each(|value| out.extend_from_slice(&bytes(*value)));
    }
    match ty {
        F32::TYPE => each(values, out, f32::to_le_bytes),
        F16::TYPE => each(values, out, |value| half::f16::from_f32(value).to_le_bytes()),
        BF16::TYPE => each(values, out, |value| to_bf16(value).to_le_bytes()),
        _ => unreachable!("only for plain numbers"),
    }
}

/// The nearest BF16 number, halfway cases to the even neighbour; NaN stays NaN and becomes quiet.
pub(crate) fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_halves_to_even_and_keeps_nan() {
        let cases = [
            (0x3f80_8000, 0x3f80),
            (0x3f81_8000, 0x3f82),
            (0x3f80_8001, 0x3f81),
            (0x7f7f_ffff, 0x7f80),
            (0xff80_0000, 0xff80),
            (0x7f80_0001, 0x7fc0),
            (0xffa0_0000, 0xffe0),
        ];
        for (bits, expected) in cases {
            assert_eq!(to_bf16(f32::from_bits(bits)), expected, "{bits:#x}");
        }
    }

    #[test]
    fn names_are_unique_and_found() {
        for ty in [DataType::F64, DataType::BF16, DataType::F8E4M3, DataType::Bool] {
            assert_eq!(DataType::from_name(ty.name()), Some(ty));
        }
        assert_eq!(DataType::from_name("F4"), None);
    }
}
