//! The number types of checkpoints.

use byteorder::{ByteOrder, LittleEndian};
use granule_format::{Block, BlockType};
use half::slice::HalfFloatSliceExt;

/// Builds the enum and its functions from the table below.
macro_rules! data_types {
    ($( $(#[$doc:meta])* $name:ident = $text:literal, $torch:literal, $bytes:literal,
        $block:expr; )*) => {
        /// The storage type of a tensor's values in a checkpoint.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum DataType {
            $( $(#[$doc])* $name, )*
            /// Blocks of 32 values in the layout of GGUF. Kept as they are, not decoded.
            Mxfp4,
            /// Blocks of 64 values in the layout of GGUF, without the factor of the whole tensor.
            /// Kept as they are, not decoded.
            Nvfp4,
        }

        impl DataType {
            /// Returns the type with this name in the header of a safetensors file.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name { $( $text => Some(Self::$name), )* _ => None }
            }

            /// Returns the type that PyTorch calls `torch.<name>`.
            pub(crate) fn from_torch(name: &str) -> Option<Self> {
                match name { $( $torch => Some(Self::$name), )* _ => None }
            }

            /// Returns the name in the header of a safetensors file; for a type that the format
            /// lacks, the name in messages.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $( Self::$name => $text, )*
                    Self::Mxfp4 => "MXFP4",
                    Self::Nvfp4 => "NVFP4",
                }
            }

            /// Returns the size of a number, or of a block for types with blocks, in bytes. See
            /// [`values`](Self::values).
            pub(crate) const fn bytes(self) -> u64 {
                match self { $( Self::$name => $bytes, )* Self::Mxfp4 => 17, Self::Nvfp4 => 36 }
            }

            /// Returns the block type that stores the same numbers, if there is one.
            pub(crate) const fn block(self) -> Option<BlockType> {
                match self {
                    $( Self::$name => $block, )*
                    Self::Mxfp4 => Some(BlockType::MXFP4),
                    Self::Nvfp4 => Some(BlockType::NVFP4),
                }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$( Self::$name ),*];
        }
    };
}

// The table: name here, name in a safetensors header, name in PyTorch, bytes, equivalent block
// type.
data_types! {
    /// 64-bit floating point.
    F64 = "F64", "float64", 8, Some(BlockType::F64);
    /// 32-bit floating point.
    F32 = "F32", "float32", 4, Some(BlockType::F32);
    /// Half precision.
    F16 = "F16", "float16", 2, Some(BlockType::F16);
    /// The upper half of 32-bit floating point.
    BF16 = "BF16", "bfloat16", 2, Some(BlockType::BF16);
    /// 8-bit floating point with 4 exponent bits and no infinities.
    F8E4M3 = "F8_E4M3", "float8_e4m3fn", 1, None;
    /// 8-bit floating point with 5 exponent bits.
    F8E5M2 = "F8_E5M2", "float8_e5m2", 1, None;
    /// 8 exponent bits alone: powers of two.
    F8E8M0 = "F8_E8M0", "float8_e8m0fnu", 1, None;
    /// 64-bit integer.
    I64 = "I64", "int64", 8, Some(BlockType::I64);
    /// 32-bit integer.
    I32 = "I32", "int32", 4, Some(BlockType::I32);
    /// 16-bit integer.
    I16 = "I16", "int16", 2, Some(BlockType::I16);
    /// 8-bit integer.
    I8 = "I8", "int8", 1, Some(BlockType::I8);
    /// 64-bit unsigned integer.
    U64 = "U64", "uint64", 8, None;
    /// 32-bit unsigned integer.
    U32 = "U32", "uint32", 4, None;
    /// 16-bit unsigned integer.
    U16 = "U16", "uint16", 2, None;
    /// 8-bit unsigned integer.
    U8 = "U8", "uint8", 1, None;
    /// Booleans, one byte each; every byte except 0 is true.
    Bool = "BOOL", "bool", 1, None;
}

impl DataType {
    /// Returns the number of values in [`bytes`](Self::bytes): 1 unless the type has blocks.
    pub(crate) const fn values(self) -> u64 {
        match self {
            Self::Mxfp4 => 32,
            Self::Nvfp4 => 64,
            _ => 1,
        }
    }

    /// Returns the type of blocks that are copied bit for bit, whatever type was asked for.
    pub(crate) const fn copied(self) -> Option<BlockType> {
        match self {
            Self::Mxfp4 | Self::Nvfp4 => self.block(),
            _ => None,
        }
    }

    /// Decodes the integers in `bytes`; `None` if the numbers are no integers of at most 64 bits
    /// with a sign.
    pub(crate) fn integers(self, bytes: &[u8]) -> Option<Vec<i64>> {
        Some(match self {
            Self::I64 => bytes.as_chunks().0.iter().map(|it| i64::from_le_bytes(*it)).collect(),
            Self::I32 => integers(bytes, i32::from_le_bytes),
            Self::I16 => integers(bytes, i16::from_le_bytes),
            Self::I8 => integers(bytes, i8::from_le_bytes),
            Self::U32 => integers(bytes, u32::from_le_bytes),
            Self::U16 => integers(bytes, u16::from_le_bytes),
            Self::U8 => integers(bytes, u8::from_le_bytes),
            _ => return None,
        })
    }

    /// Decodes the numbers in `bytes` to `f32`.
    pub(crate) fn widen(self, bytes: &[u8]) -> Vec<f32> {
        let mut out = Vec::new();
        self.widen_into(bytes, &mut out);
        out
    }

    /// Decodes the numbers in `bytes` to `f32`, in place of what `out` holds.
    pub(crate) fn widen_into(self, bytes: &[u8], out: &mut Vec<f32>) {
        // all of them are written
        out.resize(bytes.len() / self.bytes() as usize * self.values() as usize, 0.0);
        match self {
            Self::F32 => LittleEndian::read_f32_into(bytes, out),
            Self::F8E4M3 => widen(bytes, out, |[byte]| E4M3[usize::from(byte)]),
            Self::F8E5M2 => widen(bytes, out, |[byte]| E5M2[usize::from(byte)]),
            Self::F8E8M0 => widen(bytes, out, |[byte]| e8m0(byte)),
            Self::U64 => widen(bytes, out, |bytes| u64::from_le_bytes(bytes) as f32),
            Self::U32 => widen(bytes, out, |bytes| u32::from_le_bytes(bytes) as f32),
            Self::U16 => widen(bytes, out, |bytes| f32::from(u16::from_le_bytes(bytes))),
            Self::U8 => widen(bytes, out, |[byte]| f32::from(byte)),
            Self::Bool => widen(bytes, out, |[byte]| f32::from(u8::from(byte != 0))),
            Self::F64
            | Self::BF16
            | Self::F16
            | Self::I64
            | Self::I32
            | Self::I16
            | Self::I8
            | Self::Mxfp4
            | Self::Nvfp4 => {
                let block = self.block().expect("the types above are those without");
                block.decode_row(bytes, out);
            }
        }
    }
}

fn integers<const N: usize, T: Into<i64>>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<i64> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes).into()).collect()
}

fn widen<const N: usize>(bytes: &[u8], out: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = number(*bytes);
    }
}

/// The value of each byte with 4 exponent and 3 mantissa bits: no infinities, one NaN of each sign.
static E4M3: [f32; 256] = {
    let mut all = float8(3, 7);
    all[0x7f] = f32::from_bits(0x7ff0_0000);
    all[0xff] = f32::from_bits(0xfff0_0000);
    all
};

/// The value of each byte with 5 exponent and 2 mantissa bits, with the usual infinities and NaN.
static E5M2: [f32; 256] = {
    let mut all = float8(2, 15);
    let special = [0x7f80_0000, 0x7fe0_0000, 0x7fc0_0000, 0x7fe0_0000];
    let mut i = 0;
    while i < 4 {
        all[0x7c + i] = f32::from_bits(special[i]);
        all[0xfc + i] = f32::from_bits(special[i] | 1 << 31);
        i += 1;
    }
    all
};

/// Returns the value of each byte with a sign, an exponent and `mantissa_bits` of mantissa, as if
/// all were finite.
const fn float8(mantissa_bits: u32, bias: u32) -> [f32; 256] {
    const fn power_of_two(exponent: u32, bias: u32) -> f32 {
        f32::from_bits((exponent + 127 - bias) << 23)
    }
    let mut all = [0.0; 256];
    let mut byte = 0;
    while byte < 256_u32 {
        let mantissa = byte & ((1 << mantissa_bits) - 1);
        let exponent = (byte & 0x7f) >> mantissa_bits;
        let (whole, exponent) = if exponent == 0 { (0, 1) } else { (1 << mantissa_bits, exponent) };
        let value = (whole + mantissa) as f32 * power_of_two(exponent, bias + mantissa_bits);
        all[byte as usize] = if byte < 0x80 { value } else { -value };
        byte += 1;
    }
    all
}

/// Returns the power of two with this biased exponent; 255 is NaN.
fn e8m0(exponent: u8) -> f32 {
    f32::from_bits(match exponent {
        0 => 0x0040_0000,
        255 => 0x7f80_0001,
        _ => u32::from(exponent) << 23,
    })
}

/// Values that are rounded to F16 together, without memory of their own.
const AT_ONCE: usize = 1024;

/// Appends `values` as numbers of type `ty`, which must be F32, F16 or BF16: the nearest ones, ties
/// to even. NaN stays NaN and becomes quiet.
pub(crate) fn narrow(values: &[f32], ty: BlockType, out: &mut Vec<u8>) {
    use granule_format::block::types::{BF16, F16, F32};
    let start = out.len();
    out.resize(start + values.len() * ty.block_bytes(), 0);
    let out = &mut out[start..];
    match ty {
        F32::TYPE => LittleEndian::write_f32_into(values, out),
        F16::TYPE => {
            let mut halves = [half::f16::ZERO; AT_ONCE];
            for (values, out) in values.chunks(AT_ONCE).zip(out.chunks_mut(2 * AT_ONCE)) {
                let halves = &mut halves[..values.len()];
                halves.convert_from_f32_slice(values);
                LittleEndian::write_u16_into(halves.reinterpret_cast(), out);
            }
        }
        BF16::TYPE => {
            for (value, out) in values.iter().zip(out.as_chunks_mut().0) {
                *out = to_bf16(*value).to_le_bytes();
            }
        }
        _ => unreachable!("only for plain numbers"),
    }
}

/// Rounds to the nearest BF16 number, ties to even. NaN stays NaN and becomes quiet.
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
    fn many_values_become_narrow_after_what_is_there() {
        // more than are rounded together, and not a multiple of them
        let values: Vec<f32> = (0..AT_ONCE * 2 + 3).map(|i| i as f32 * 0.37 - 300.0).collect();
        for (ty, round) in [
            (BlockType::F16, f16_bits as fn(f32) -> u16),
            (BlockType::BF16, to_bf16 as fn(f32) -> u16),
        ] {
            let mut out = vec![7, 7];
            narrow(&values, ty, &mut out);
            let expected = values.iter().flat_map(|value| round(*value).to_le_bytes());
            assert!(out.iter().copied().eq([7, 7].into_iter().chain(expected)), "{ty}");
        }
    }

    fn f16_bits(value: f32) -> u16 {
        half::f16::from_f32(value).to_bits()
    }

    #[test]
    fn widening_replaces_what_is_there() {
        let mut out = vec![9.0; 5];
        DataType::U8.widen_into(&[1, 2], &mut out);
        assert_eq!(out, [1.0, 2.0]);
    }

    #[test]
    fn names_are_unique_and_found() {
        for ty in DataType::ALL {
            assert_eq!(DataType::from_name(ty.name()), Some(*ty));
        }
        assert_eq!(DataType::from_torch("bfloat16"), Some(DataType::BF16));
        for name in ["F4", "MXFP4"] {
            assert_eq!(DataType::from_name(name), None);
        }
    }

    #[test]
    fn every_type_widens() {
        let cases: &[(DataType, &[u8], &[f32])] = &[
            (DataType::F64, &1.1_f64.to_le_bytes(), &[1.1]),
            (DataType::I64, &(-16_777_219_i64).to_le_bytes(), &[-16_777_220.0]),
            (DataType::I8, &[0x80, 0x7f], &[-128.0, 127.0]),
            (DataType::U64, &u64::MAX.to_le_bytes(), &[18_446_744_073_709_551_616.0]),
            (DataType::U32, &16_777_217_u32.to_le_bytes(), &[16_777_216.0]),
            (DataType::U16, &[0xff, 0xff], &[65535.0]),
            (DataType::U8, &[0x80, 0], &[128.0, 0.0]),
            (DataType::Bool, &[0, 1, 2, 255], &[0.0, 1.0, 1.0, 1.0]),
            (
                DataType::F8E4M3,
                &[0, 1, 7, 8, 0x38, 0x7e, 0x81],
                &[0.0, 2f32.powi(-9), 7.0 / 512.0, 1.0 / 64.0, 1.0, 448.0, -(2f32.powi(-9))],
            ),
            (
                DataType::F8E5M2,
                &[1, 3, 4, 0x3c, 0x7b, 0x7c, 0xfc],
                &[
                    2f32.powi(-16),
                    3.0 * 2f32.powi(-16),
                    2f32.powi(-14),
                    1.0,
                    57344.0,
                    f32::INFINITY,
                    f32::NEG_INFINITY,
                ],
            ),
            (
                DataType::F8E8M0,
                &[0, 1, 127, 254],
                &[2f32.powi(-127), 2f32.powi(-126), 1.0, 2f32.powi(127)],
            ),
        ];
        for (ty, bytes, expected) in cases {
            assert_eq!(ty.widen(bytes), *expected, "{}", ty.name());
        }
        for (ty, nan) in [
            (DataType::F8E4M3, 0x7f),
            (DataType::F8E4M3, 0xff),
            (DataType::F8E5M2, 0x7d),
            (DataType::F8E8M0, 255),
        ] {
            assert!(ty.widen(&[nan])[0].is_nan(), "{}", ty.name());
        }
    }
}
