//! The searches compared with the definition, the reference, and the best that is possible.

#![allow(clippy::print_stdout, reason = "figures for the page on encoding")]

use granule_format::BlockType;
use granule_reader::decode_blocks;
use granule_reader::isa::Isa;

use super::types::ENCODERS;
use crate::{Effort, EncodeOptions, encode, encode_rows};

/// Numbers that depend on a seed alone.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// From -1 to 1.
    pub(super) fn signed(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// About normal, with a deviation of 1.
    pub(super) fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.signed()).sum::<f32>() * 0.707
    }

    pub(super) fn weights(&mut self, columns: usize) -> Vec<f32> {
        (0..columns).map(|_| (self.normal() * 1.5).exp()).collect()
    }
}

/// The weighted squared error of blocks; a column weighs 1 without weights.
fn error(ty: BlockType, rows: &[f32], weights: Option<&[f32]>, blocks: &[u8]) -> f64 {
    let mut decoded = vec![0.0; rows.len()];
    decode_blocks(Isa::detect(), ty, blocks, &mut decoded);
    let weight = |i: usize| weights.map_or(1.0, |weights| f64::from(weights[i % weights.len()]));
    let squares = rows.iter().zip(&decoded).enumerate();
    squares.map(|(i, (x, y))| weight(i) * (f64::from(*x) - f64::from(*y)).powi(2)).sum()
}

/// Rows with values of every size, zeros, and runs of equal values.
pub(super) fn awkward(random: &mut Random, round: usize, values: usize) -> Vec<f32> {
    let value = |i: usize| match round {
        0 => random.normal() * 0.02,
        1 => random.signed() * 10.0_f32.powi((i / 16 % 43) as i32 - 40),
        2 => (random.signed() * 8.0).round() * 0.125,
        3 => random.signed() * 0.001 + 10.0_f32.powi((i / 256 % 7) as i32 - 5),
        4 if random.signed() < 0.8 => 0.0,
        5 => f32::from((i / 40 % 3) as u8) * -0.5,
        _ => random.signed(),
    };
    (0..values).map(value).collect()
}

#[test]
fn lanes_give_the_bytes_of_the_definition() {
    let mut random = Random(1);
    // no whole number of tiles for any number of lanes
    let (rows, columns) = (7, 3 * 256);
    for round in 0..7 {
        let values = awkward(&mut random, round, rows * columns);
        let mut weights = random.weights(columns);
        weights.iter_mut().step_by(3).for_each(|weight| *weight = 0.0);
        for weights in [None, Some(&weights[..])] {
            for encoder in ENCODERS.iter().map(|row| row.encoder) {
                let ty = encoder.block_type();
                let bytes = values.len() / ty.block_values() * ty.block_bytes();
                let (mut expected, mut found) = (vec![0; bytes], vec![0; bytes]);
                encoder.encode_by_definition(&values, columns, weights, &mut expected);
                for isa in Isa::available() {
                    encoder.encode(isa, &values, columns, weights, &mut found);
                    assert!(found == expected, "{ty} {isa}, {}, round {round}", weights.is_some());
                }
            }
        }
    }
}

/// Every block is valid, and no worse than one of zeros would be.
#[test]
fn awkward_rows_give_valid_blocks() {
    let mut random = Random(2);
    let columns = 2 * 256;
    for round in 0..7 {
        let values = awkward(&mut random, round, 4 * columns);
        let mut weights = vec![0.0; columns];
        weights[300] = 1e30;
        for weights in [None, Some(&weights[..])] {
            for encoder in ENCODERS.iter().map(|row| row.encoder) {
                let ty = encoder.block_type();
                let options = EncodeOptions::default().with_effort(Effort::Search);
                let blocks = encode(ty, &values, columns, weights, &options).unwrap();
                assert_eq!(ty.first_defect(&blocks), None, "{ty}, round {round}");
                let found = error(ty, &values, None, &blocks);
                let of_zeros: f64 = values.iter().map(|x| f64::from(*x).powi(2)).sum();
                if weights.is_none() {
                    assert!(found <= of_zeros * 1.001, "{ty}, round {round}: {found} {of_zeros}");
                }
            }
        }
    }
}

#[test]
fn values_beyond_the_type_are_an_error() {
    let values = [1e30; 256];
    for encoder in ENCODERS.iter().map(|row| row.encoder) {
        let ty = encoder.block_type();
        let mut out = vec![0; 256 / ty.block_values() * ty.block_bytes()];
        let options = EncodeOptions::default().with_effort(Effort::Search);
        // equal values have no range, but a mean
        let equal = encode(ty, &[0.3; 256], 256, Some(&[1.0; 256]), &options).unwrap();
        assert!(error(ty, &[0.3; 256], None, &equal) < 256.0 * 0.003_f64.powi(2), "{ty}");
        let result = encode_rows(options, ty, &values, 256, Some(&[1.0; 256]), &mut out);
        assert!(matches!(result, Err(crate::EncodeError::OutOfRange { .. })), "{ty}: {result:?}");
    }
}

/// The weighted error compared with that of the reference, for values as weights are distributed.
#[test]
fn the_error_is_less_than_the_references() {
    let mut random = Random(3);
    let columns = 768;
    let rows: Vec<f32> =
        (0..24 * columns).map(|_| random.normal() * random.normal().abs() * 0.02).collect();
    let weights = random.weights(columns);
    for encoder in ENCODERS.iter().map(|row| row.encoder) {
        let ty = encoder.block_type();
        let at = |effort| {
            let options = EncodeOptions::default().with_effort(effort);
            let blocks = encode(ty, &rows, columns, Some(&weights), &options).unwrap();
            error(ty, &rows, Some(&weights), &blocks)
        };
        let ratio = at(Effort::Search) / at(Effort::Reference);
        println!("{ty}: {ratio:.3}");
        assert!(ratio < 0.985, "{ty}: {ratio}");
    }
}

/// The least error that a block of one scale can have, if the scale is any number: the codes change
/// only where a value is halfway between two levels, and between two such places the best scale has
/// a closed form.
fn least_error(low: i32, high: i32, x: &[f32], w: &[f32]) -> f64 {
    let mut places: Vec<f64> = Vec::new();
    for x in x.iter().filter(|x| **x != 0.0) {
        places.extend((low..high).map(|level| f64::from(*x) / (f64::from(level) + 0.5)));
    }
    places.sort_by(f64::total_cmp);
    let total: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*w) * f64::from(*x).powi(2)).sum();
    let between = places.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    let gains = between.filter(|scale| *scale != 0.0).map(|scale| {
        let (mut product, mut square) = (0.0, 0.0);
        for (x, w) in x.iter().zip(w) {
            let (x, w) = (f64::from(*x), f64::from(*w));
            let level = (x / scale).round_ties_even().clamp(low.into(), high.into());
            product += w * level * x;
            square += w * level * level;
        }
        if square > 0.0 { product * product / square } else { 0.0 }
    });
    total - gains.fold(0.0, f64::max)
}

#[test]
fn blocks_are_close_to_the_best_possible() {
    let mut random = Random(4);
    for (ty, low, high, bound) in [(BlockType::Q4_0, -8, 7, 1.02), (BlockType::Q5_0, -16, 15, 1.03)]
    {
        let (mut best, mut found, mut reference) = (0.0, 0.0, 0.0);
        for _ in 0..60 {
            let x: Vec<f32> = (0..32).map(|_| random.normal() * random.normal().abs()).collect();
            let w = random.weights(32);
            let least = least_error(low, high, &x, &w);
            let at = |effort| {
                let options = EncodeOptions::default().with_effort(effort);
                error(ty, &x, Some(&w), &encode(ty, &x, 32, Some(&w), &options).unwrap())
            };
            let this = at(Effort::Search);
            // half precision moves the scale a little
            assert!(this > least * 0.999, "{ty}: {this} is less than the least error, {least}");
            (best, found) = (best + least, found + this);
            reference += at(Effort::Reference);
        }
        println!("{ty}: {:.4} of the best, the reference {:.4}", found / best, reference / best);
        assert!(found < bound * best, "{ty}: {found}, at best {best}");
    }
}
