//! Finite values that the 16-bit types cannot hold.

use granule_format::BlockType;

/// The range of a floating-point type that is narrower than F32.
struct Range {
    ty: BlockType,
    /// The largest number of the type.
    largest: f32,
    /// The smallest number that rounds to infinity: half a step above the largest.
    infinite: f32,
    /// Advice for a value outside the range.
    advice: &'static str,
}

/// The table of ranges.
const RANGES: &[Range] = &[
    Range {
        ty: BlockType::F16,
        largest: 65_504.0,
        infinite: 65_520.0,
        advice: "BF16 has the range of F32: use `--outtype bf16` for a checkpoint and `-t BF16` \
                 for the file, or F32",
    },
    Range {
        ty: BlockType::BF16,
        largest: f32::from_bits(0x7f7f_0000),
        infinite: f32::from_bits(0x7f7f_8000),
        advice: "use `--outtype f32` for a checkpoint and `-t F32` for the file",
    },
];

fn range(ty: BlockType) -> Option<&'static Range> {
    RANGES.iter().find(|range| range.ty == ty)
}

/// Returns the index of the first finite value that becomes infinite in type `ty`.
pub fn first_beyond(ty: BlockType, values: &[f32]) -> Option<usize> {
    let range = range(ty)?;
    values.iter().position(|value| value.is_finite() && value.abs() >= range.infinite)
}

/// Returns the largest number of a floating-point type, as errors show it.
pub fn largest(ty: BlockType) -> f32 {
    range(ty).map_or(f32::MAX, |range| range.largest)
}

/// Returns advice for a finite value that a type cannot hold.
pub fn advice(ty: BlockType) -> &'static str {
    range(ty).map_or("choose another type", |range| range.advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_type::to_bf16;

    #[test]
    fn only_what_would_become_infinite_is_beyond() {
        for (ty, to) in [
            (BlockType::F16, (|value| half::f16::from_f32(value).to_f32()) as fn(f32) -> f32),
            (BlockType::BF16, |value| f32::from_bits(u32::from(to_bf16(value)) << 16)),
        ] {
            let range = range(ty).unwrap();
            let below = f32::from_bits(range.infinite.to_bits() - 1);
            assert_eq!(to(below), range.largest, "{ty}");
            assert_eq!(to(range.infinite), f32::INFINITY, "{ty}");
            let values = [0.0, f32::NAN, f32::INFINITY, below, -range.infinite, f32::MAX];
            assert_eq!(first_beyond(ty, &values), Some(4), "{ty}");
            assert_eq!(first_beyond(ty, &values[..4]), None, "{ty}");
        }
        assert_eq!(first_beyond(BlockType::F32, &[f32::MAX]), None);
    }
}
