//! The sums stored in a Q8_K or Q8_1 block are not the sums of its codes (in Q8_1, times the scale
//! and rounded).
//!
//! **Why it is bad.** Dot products with types that have minimums use these sums and give wrong
//! results.
//!
//! **How to fix.** These types are for activations and have no place in a model file. Quantize the
//! original model again, to another type.

use super::{Check, note};
use crate::block::blocks_of;
use crate::block::q8_1::Q8_1;
use crate::block::q8_k::Q8_K;
use crate::check::probe::Note;
use crate::{Block, BlockType};

pub(super) const CHECK: Check =
    Check::Block(&[(BlockType::Q8_K, group_sums), (BlockType::Q8_1, scaled_sum)]);

fn group_sums(block: &[u8]) -> Option<Note> {
    let codes = blocks_of::<Q8_K>(block).first()?.unpack();
    codes.codes.chunks_exact(16).zip(codes.sums).find_map(|(group, stored)| {
        let sum: i16 = group.iter().map(|code| i16::from(*code)).sum();
        (sum != stored).then(|| note(format_args!("the sum {stored}"), sum))
    })
}

fn scaled_sum(block: &[u8]) -> Option<Note> {
    let codes = blocks_of::<Q8_1>(block).first()?.unpack();
    let (scale, stored) = (codes.scale.to_f32(), codes.sum.to_f32());
    let sum: i16 = codes.codes.iter().map(|code| i16::from(*code)).sum();
    let expected = scale * f32::from(sum);
    // the sum was multiplied by the unrounded scale and then rounded: twice half a unit in the last
    // of 11 bits, or of the smallest number where that is larger
    let smallest = 1.0 / 16_777_216.0;
    let relative = expected.abs().max(stored.abs()) * (1.0 / 1024.0);
    let bound = relative + smallest * (1.0 + f32::from(sum).abs());
    // scales and sums that are not finite have their own rule
    let is_off = (expected - stored).abs() > bound && stored.is_finite();
    is_off.then(|| note(format_args!("the sum {stored}"), format_args!("about {expected}")))
}

#[cfg(test)]
mod tests {
    use crate::block::q8_1::Q8_1;
    use crate::block::q8_k::Q8_K;
    use crate::block::{q8_1, q8_k};
    use crate::check::testing::Forge;
    use crate::num::F16;
    use crate::{Block, BlockType};
    use zerocopy::IntoBytes;

    fn model(ty: BlockType, data: &[u8]) -> Forge {
        let values = ty.block_values() as u64;
        Forge::model().key("general.quantization_version", 2_u32).row(
            b"b",
            &[values],
            ty.id(),
            data,
        )
    }

    #[test]
    fn group_sums() {
        let with = |sum: i16| {
            let mut codes = q8_k::Codes { scale: 0.5, codes: [-128; 256], sums: [-2048; 16] };
            codes.sums[15] = sum;
            model(BlockType::Q8_K, Q8_K::pack(&codes).as_bytes())
        };
        with(-2047).gives(&["D008"]);
        with(-2048).gives(&[]);
    }

    #[test]
    fn scaled_sums() {
        let with = |scale: f32, sum: f32| {
            let (scale, sum) = (F16::from_f32(scale), F16::from_f32(sum));
            model(
                BlockType::Q8_1,
                Q8_1::pack(&q8_1::Codes { scale, sum, codes: [100; 32] }).as_bytes(),
            )
        };
        with(0.1, 321.0).gives(&["D008"]);
        with(0.1, 0.1 * 3200.0).gives(&[]);
        with(1e-7, 1e-7 * 3200.0).gives(&[]);
        with(f32::NAN, 0.0).gives(&["D003"]);
    }
}
