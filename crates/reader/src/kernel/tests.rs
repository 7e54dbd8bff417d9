//! Decoding on every instruction set against the definition, dot products against sums in double
//! precision.

use granule_format::block::blocks_of;
use granule_format::{Block, BlockType, with_block};
use rayon::prelude::*;

use super::{by_panels, decode_blocks, dot_packed, dot_rows, pack, packs};
use crate::activations::Activations;
use crate::isa::Isa;

/// Numbers of rows, blocks in a row, and vectors: rows of 1, 2, 5 and many blocks; fewer rows than
/// are multiplied together and more; vectors that are multiplied one by one, and batches with
/// padding.
const SHAPES: &[(usize, usize, usize)] =
    &[(3, 1, 1), (5, 2, 3), (3, 5, 1), (3, 9, 5), (3, 33, 1), (3, 33, 21), (19, 300, 6)];

/// Random bits, so that every code and every kind of scale is met; NaN may have any payload.
#[test]
fn every_instruction_set_gives_the_bits_of_the_definition() {
    for ty in BlockType::ALL.iter().copied() {
        for blocks in [67, 1024 / ty.block_values().min(64)] {
            check_decoding(ty, blocks);
        }
    }
}

fn check_decoding(ty: BlockType, blocks: usize) {
    let hash = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    let row: Vec<u8> = (0..blocks * ty.block_bytes()).map(|i| hash(i + 1) as u8).collect();
    let mut expected = vec![0.0; blocks * ty.block_values()];
    ty.decode_row(&row, &mut expected);
    for isa in Isa::available() {
        let mut found = vec![0.0; expected.len()];
        decode_blocks(isa, ty, &row, &mut found);
        for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
            let same = expected.to_bits() == found.to_bits();
            assert!(
                same || expected.is_nan() && found.is_nan(),
                "{ty} {isa} value {i}: {expected} {found}"
            );
        }
    }
}

#[test]
fn dot_products_are_within_their_bound() {
    // types on all cores: this one test takes as long as all others together
    BlockType::ALL.par_iter().for_each(|ty| {
        for (rows, blocks, count) in SHAPES.iter().copied() {
            // random bits, and bits that give the largest and the smallest codes
            for bytes in [&(0..=255).collect::<Vec<u8>>()[..], &[0, 255, 255]] {
                check(*ty, rows, blocks, count, bytes);
            }
        }
    });
}

#[test]
fn activations_that_are_not_finite_give_nan() {
    for ty in [BlockType::F32, BlockType::Q4_0, BlockType::Q5_1, BlockType::Q8_0, BlockType::Q6_K] {
        for count in [1, 16] {
            let mut x = vec![1.0; 512 * count];
            x[300] = f32::NAN;
            let activations = Activations::quantize_batch(ty, &x, 512);
            let row = vec![0x11; 512 / ty.block_values() * ty.block_bytes()];
            for isa in Isa::available() {
                let mut out = vec![0.0; count];
                dot_rows(isa, ty, &row, &activations, &mut out);
                assert!(out[0].is_nan(), "{ty} {isa}");
                assert!(out[1..].iter().all(|value| value.is_finite()), "{ty} {isa}");
            }
        }
    }
}

/// A bound on rounding errors: each block's scales, each product with a scale and each sum are
/// rounded once. Integer parts lose nothing; an overflow would be far outside. Terms are no larger
/// than a few times the block's largest weight, as codes are raised or have a minimum.
fn bound(row: &[f32], x: &[f64], block: usize) -> f64 {
    let terms = row.chunks(block).zip(x.chunks(block)).map(|(row, x)| {
        let largest = row.iter().fold(0.0_f64, |largest, w| largest.max(f64::from(w.abs())));
        largest * x.iter().map(|x| x.abs()).sum::<f64>()
    });
    let sums = (x.len() / block.max(16) + 16) as f64;
    4.0 * terms.sum::<f64>() * sums * f64::from(f32::EPSILON) / 2.0
}

fn check(ty: BlockType, rows: usize, blocks: usize, count: usize, bytes: &[u8]) {
    let mut random = random(blocks as u64 * 31 + count as u64);
    let blocks = if ty.block_values() > 1 { blocks.min(33) } else { blocks };
    let columns = blocks * ty.block_values();
    let row_bytes = blocks * ty.block_bytes();
    let weights = weights(ty, rows * blocks, bytes, &mut random);
    // some columns are larger: the mixed form has remainders for them
    let large = |i: usize| if i % columns / 32 % 11 == 5 { 16.0 } else { 1.0 };
    let x = (0..columns * count).map(|i| random() as i32 as f32 * 1e-8 * large(i));
    let x: Vec<f32> = x.collect();
    let activations = Activations::quantize_batch(ty, &x, columns);
    let rounded: Vec<_> = (0..count).map(|index| activations.rounded(index)).collect();
    let mut expected = Vec::new();
    for weights in weights.chunks(row_bytes) {
        let mut values = vec![0.0; columns];
        ty.decode_row(weights, &mut values);
        expected.extend(rounded.iter().map(|x| {
            let exact: f64 = values.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum();
            (exact, bound(&values, x, ty.block_values()))
        }));
    }
    for isa in Isa::available() {
        let mut out = vec![f32::NAN; rows * count];
        dot_rows(isa, ty, &weights, &activations, &mut out);
        let mut all = vec![("as they are", out)];
        if packs(isa, ty) {
            let packed = pack(isa, ty, &weights, columns);
            let mut out = vec![f32::NAN; rows * count];
            dot_packed(isa, ty, (&packed, 0), &activations, &mut out);
            if by_panels(isa, &activations, true) {
                let by_row = out.chunks(16 * count).flat_map(|panel| {
                    let rows = panel.len() / count;
                    (0..panel.len()).map(move |i| panel[i % count * rows + i / count])
                });
                out = by_row.collect();
            }
            all.push(("packed", out));
        }
        for (how, out) in all {
            for (index, (found, (exact, bound))) in out.iter().zip(&expected).enumerate() {
                let error = (f64::from(*found) - exact).abs();
                assert!(
                    error <= *bound,
                    "{ty} {how} {isa} {blocks} blocks, row {}, vector {} of {count}: \
                     {found}, {exact}; {error} > {bound}",
                    index / count,
                    index % count
                );
            }
        }
    }
}

/// Valid blocks of random bytes, without numbers near the end of the range of single precision.
fn weights(
    ty: BlockType,
    blocks: usize,
    bytes: &[u8],
    random: &mut impl FnMut() -> u32,
) -> Vec<u8> {
    let mut out = Vec::new();
    while out.len() < blocks * ty.block_bytes() {
        let mut block: Vec<u8> = Vec::new();
        while block.len() < ty.block_bytes() {
            let any = random();
            // codes and scales cannot be told apart here: some bytes are always random
            let byte = if any.is_multiple_of(8) {
                any >> 8
            } else {
                u32::from(bytes[any as usize / 8 % bytes.len()])
            };
            block.push(byte as u8);
        }
        let mut values = vec![0.0; ty.block_values()];
        ty.decode_row(&block, &mut values);
        let valid = with_block!(ty, B => blocks_of::<B>(&block)[0].defect().is_none());
        if valid && values.iter().all(|value: &f32| value.abs() < 1e30) {
            out.extend(block);
        }
    }
    out
}

fn random(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 32) as u32
    }
}
