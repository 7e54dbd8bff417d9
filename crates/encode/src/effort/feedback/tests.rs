//! Feedback compared with the definition, and with rounding that knows no other columns.

#![allow(clippy::print_stdout, reason = "figures for the page on encoding")]

use granule_format::BlockType;
use granule_reader::decode_blocks;
use granule_reader::isa::Isa;
use rayon::prelude::*;

use super::super::tests::{Random, awkward};
use super::*;
use crate::encode;

/// Inputs whose columns have to do with each other, and their moments in spans of `width`.
fn moments(random: &mut Random, columns: usize, width: usize) -> Vec<f32> {
    let tokens = 400;
    let mut x = vec![0.0; tokens * columns];
    for x in x.chunks_exact_mut(columns) {
        let shared: [f32; 12] = std::array::from_fn(|_| random.normal());
        for (column, x) in x.iter_mut().enumerate() {
            let mixed: f32 = (0..3).map(|i| shared[(column * 5 + i * i) % 12]).sum();
            *x = (mixed + 0.6 * random.normal()) * (1.0 + (column % 7) as f32);
        }
    }
    let mut moments = Vec::new();
    for start in (0..columns).step_by(width) {
        let span = start..columns.min(start + width);
        for i in span.clone() {
            for j in span.clone() {
                let product = |x: &[f32]| f64::from(x[i]) * f64::from(x[j]);
                moments.push(x.chunks_exact(columns).map(product).sum::<f64>() as f32);
            }
        }
    }
    moments
}

/// What the errors of rows cost: `e H e`, summed.
fn cost(ty: BlockType, rows: &[f32], columns: usize, moments: &[f32], blocks: &[u8]) -> f64 {
    let mut decoded = vec![0.0; rows.len()];
    decode_blocks(Isa::detect(), ty, blocks, &mut decoded);
    let errors: Vec<f64> = rows.iter().zip(&decoded).map(|(x, y)| f64::from(x - y)).collect();
    let of_row = |errors: &[f64]| -> f64 {
        let rows = moments.chunks_exact(columns).zip(errors);
        let product =
            |row: &[f32]| -> f64 { row.iter().zip(errors).map(|(h, e)| f64::from(*h) * e).sum() };
        rows.map(|(row, error)| error * product(row)).sum()
    };
    errors.chunks_exact(columns).map(of_row).sum()
}

/// All types with feedback.
fn all() -> impl Iterator<Item = (BlockType, &'static dyn WithFeedback)> {
    let types = BlockType::ALL.iter().copied();
    types.filter_map(|ty| Some((ty, with_feedback(ty)?)))
}

#[test]
fn every_instruction_set_gives_the_blocks_of_the_definition() {
    let mut random = Random(11);
    // super-blocks in one span, and in two
    for (round, columns, width) in [(0, 512, 512), (3, 512, 256)] {
        let moments = moments(&mut random, columns, width);
        let cases: Vec<_> = all()
            .filter(|(ty, _)| round == 0 || codebooks::of(*ty).is_none())
            .map(|(ty, encoder)| {
                // more rows than lanes for one type; the definitions of others are slow
                let rows = match ty {
                    BlockType::Q4_K => 17,
                    _ if ty.name().starts_with("IQ") => 1,
                    _ => 2,
                };
                (ty, encoder, awkward(&mut random, round, rows * columns))
            })
            .collect();
        // types on all cores: this one test takes as long as all others together
        cases.par_iter().for_each(|(ty, encoder, values)| {
            let feedback = Feedback::new(columns, width, &moments, 0.01, *ty);
            let mut expected = vec![0; values.len() / ty.block_values() * ty.block_bytes()];
            let mut found = expected.clone();
            encoder.encode(None, values, columns, &feedback, &mut expected);
            for isa in Isa::available() {
                encoder.encode(Some(isa), values, columns, &feedback, &mut found);
                assert!(found == expected, "{ty} {isa}, round {round}");
            }
        });
    }
}

#[test]
fn products_change_less_than_by_rounding() {
    let mut random = Random(12);
    let (rows, columns) = (6, 512);
    let moments = moments(&mut random, columns, columns);
    let weights: Vec<f32> = moments.iter().step_by(columns + 1).copied().collect();
    let values: Vec<f32> =
        (0..rows * columns).map(|_| random.normal() * random.normal().abs() * 0.02).collect();
    for (ty, _) in all() {
        let at = |effort| {
            let options = EncodeOptions::default().with_effort(effort);
            let blocks = encode(ty, &values, columns, Some(&weights), &options).unwrap();
            cost(ty, &values, columns, &moments, &blocks)
        };
        let with = |width: usize| {
            let parts: Vec<f32> = (0..columns)
                .step_by(width)
                .flat_map(|start| {
                    (start..start + width)
                        .flat_map(move |i| (start..start + width).map(move |j| i * columns + j))
                })
                .map(|place| moments[place])
                .collect();
            let feedback = Feedback::new(columns, width, &parts, 0.01, ty);
            let mut blocks = vec![0; values.len() / ty.block_values() * ty.block_bytes()];
            let isa = Isa::detect();
            encode_with_feedback(isa, ty, &values, columns, &feedback, &mut blocks).unwrap();
            cost(ty, &values, columns, &moments, &blocks)
        };
        let (rounded, narrow, full) = (at(Effort::Search), with(256), with(columns));
        println!("{ty}: {:.3} of 256 columns, {:.3} of all", narrow / rounded, full / rounded);
        assert!(full < 0.6 * rounded, "{ty}: {full}, by rounding {rounded}");
        assert!(narrow < rounded, "{ty}: {narrow}, by rounding {rounded}");
    }
}

/// One block of two columns that matter, by trying all codes at the scale that was chosen.
#[test]
fn two_columns_get_the_best_codes() {
    let mut random = Random(13);
    let (columns, ty) = (32, BlockType::Q4_0);
    for _ in 0..20 {
        let mut moments = vec![0.0; 256 * 256];
        moments.truncate(columns * columns);
        for (i, j, moment) in [(0, 0, 1.0), (1, 1, 1.0), (0, 1, 0.9), (1, 0, 0.9)] {
            moments[i * columns + j] = moment;
        }
        let mut values: Vec<f32> = (0..columns).map(|_| random.signed()).collect();
        values[2] = -1.5; // the largest, which the scale follows
        let feedback = Feedback::new(columns, 256, &moments, 1e-6, ty);
        let mut block = vec![0; ty.block_bytes()];
        encode_with_feedback(Isa::SCALAR, ty, &values, columns, &feedback, &mut block).unwrap();
        let mut decoded = vec![0.0; columns];
        decode_blocks(Isa::SCALAR, ty, &block, &mut decoded);
        let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
        let of = |first: f32, second: f32| {
            let (a, b) = (values[0] - first, values[1] - second);
            a * a + b * b + 1.8 * a * b
        };
        // the first is rounded; the second is then the best of all
        let best = (-8..8).map(|code| of(decoded[0], code as f32 * scale)).fold(f32::MAX, f32::min);
        let found = of(decoded[0], decoded[1]);
        assert!(found <= best + 1e-5, "{found}, the best is {best}");
    }
}

#[test]
fn inputs_that_are_always_zero_are_no_fault() {
    let mut random = Random(14);
    for (ty, _) in all() {
        let columns = 256;
        let feedback = Feedback::new(columns, 256, &vec![0.0; 256 * 256], 0.01, ty);
        // searches of codebooks are slow
        for round in (0..7).step_by(if codebooks::of(ty).is_some() { 3 } else { 1 }) {
            let values = awkward(&mut random, round, columns);
            let mut blocks = vec![0; values.len() / ty.block_values() * ty.block_bytes()];
            let isa = Isa::detect();
            encode_with_feedback(isa, ty, &values, columns, &feedback, &mut blocks).unwrap();
            assert_eq!(ty.first_defect(&blocks), None, "{ty}, round {round}");
        }
        let mut blocks = vec![0; columns / ty.block_values() * ty.block_bytes()];
        let isa = Isa::detect();
        let result = encode_with_feedback(isa, ty, &[1e30; 256], columns, &feedback, &mut blocks);
        assert!(matches!(result, Err(EncodeError::OutOfRange { .. })), "{ty}: {result:?}");
        let result =
            encode_with_feedback(isa, ty, &[f32::NAN; 256], columns, &feedback, &mut blocks);
        assert!(matches!(result, Err(EncodeError::NotFinite { index: 0, .. })), "{ty}");
    }
}
