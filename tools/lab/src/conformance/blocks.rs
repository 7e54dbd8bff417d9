use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use fastrand::Rng;
use granule_encode::{EncodeError, Weighting, encode_rows, encoder};
use granule_format::BlockType;
use granule_reader::isa::Isa;

use super::flag;
use super::matrices::{matrix, weights};
use super::reference::{Encoded, Reference};

const COLUMNS: usize = 1024;

/// The largest number of bytes, values or blocks in one request.
const ROWS: usize = 512;

/// Encode fresh random matrices with both and compare every byte; decode random blocks with both.
///
/// `--values N` draws N values for each type and form instead of 10^8 (10^7 for types that the
/// reference encodes slowly), `--seed N` draws others, further arguments are the names of types.
pub(super) fn compare(arguments: &[String]) -> anyhow::Result<()> {
    let seed = flag(arguments, "--seed").map_or(Ok(fastrand::u64(..)), str::parse)?;
    let values: Option<u64> = flag(arguments, "--values").map(str::parse).transpose()?;
    let named = |ty: BlockType| arguments.iter().any(|name| BlockType::from_name(name) == Some(ty));
    let any_named = BlockType::ALL.iter().any(|ty| named(*ty));
    let types = BlockType::ALL
        .iter()
        .copied()
        .filter(|ty| ty.is_quantized() && comparable(*ty) && (named(*ty) || !any_named));

    println!(
        "seed {seed}, instruction sets {:?}",
        Isa::available().iter().map(|isa| isa.name()).collect::<Vec<_>>()
    );
    println!(
        "{:<8} {:<9} {:>13} {:>11} {:>8} {:>14} {:>14}",
        "type", "weights", "values", "differences", "refused", "reference", "granule"
    );
    let mut reference = Reference::start()?;
    let mut different = 0;
    for ty in types {
        let Some(encoder) = encoder(ty) else { bail!("{ty} has no encoder") };
        let values = values.unwrap_or(if slow(ty) { 10_000_000 } else { 100_000_000 });
        let forms: &[bool] = match encoder.weighting() {
            Weighting::Ignored => &[false],
            Weighting::Optional => &[false, true],
            Weighting::Required => &[true],
        };
        for weighted in forms {
            let mut rng = Rng::with_seed(seed ^ u64::from(ty.id()) << 1 ^ u64::from(*weighted));
            let row = encode_both(&mut reference, &mut rng, ty, *weighted, values)?;
            different += row.differences;
            let speed = |time: Duration| {
                format!("{:.1} MB/s", row.values as f64 * 4e-6 / time.as_secs_f64())
            };
            println!(
                "{:<8} {:<9} {:>13} {:>11} {:>8} {:>14} {:>14}",
                ty.name(),
                if *weighted { "with" } else { "without" },
                row.values,
                row.differences,
                row.refused,
                speed(row.reference),
                speed(row.granule),
            );
        }
        different += decode_both(&mut reference, &mut Rng::with_seed(seed), ty)?;
    }
    ensure!(different == 0, "{different} rows differ");
    println!("no difference");
    Ok(())
}

/// The activation types are no storage types: the reference has no entry in its encoding table for
/// them.
fn comparable(ty: BlockType) -> bool {
    !matches!(ty, BlockType::Q8_1 | BlockType::Q8_K)
}

/// Types whose search takes the reference more than a second for 10^7 values.
fn slow(ty: BlockType) -> bool {
    ty.name().starts_with("IQ")
}

/// A line of the table.
struct Row {
    values: u64,
    /// Rows whose bytes differ, under any instruction set.
    differences: u64,
    /// Rows whose blocks the reference itself refuses, or that do not fit the type.
    refused: u64,
    reference: Duration,
    granule: Duration,
}

fn encode_both(
    reference: &mut Reference,
    rng: &mut Rng,
    ty: BlockType,
    weighted: bool,
    values: u64,
) -> anyhow::Result<Row> {
    let sets = Isa::available();
    let zero = Duration::ZERO;
    let mut row = Row { values: 0, differences: 0, refused: 0, reference: zero, granule: zero };
    while row.values < values {
        let drawn = matrix(rng, ROWS, COLUMNS);
        let weights = weighted.then(|| weights(rng, COLUMNS));
        let expected = reference.encode(ty, &drawn, COLUMNS, weights.as_deref())?;
        row.reference += expected.elapsed;
        row.refused += expected.valid.iter().filter(|valid| !**valid).count() as u64;
        // one instruction set for each matrix, in turn, the best one for every other
        let turn = (row.values / drawn.len() as u64) as usize;
        let isa = sets[if turn.is_multiple_of(2) { sets.len() - 1 } else { turn / 2 % sets.len() }];
        let begin = Instant::now();
        let found = encode(isa, ty, &drawn, weights.as_deref())?;
        row.granule += begin.elapsed();
        row.differences += differences(ty, isa, &expected, &found);
        row.values += drawn.len() as u64;
    }
    Ok(row)
}

/// Encode rows; rows that do not fit the type are left as zeros.
fn encode(
    isa: Isa,
    ty: BlockType,
    values: &[f32],
    weights: Option<&[f32]>,
) -> Result<Vec<u8>, EncodeError> {
    let row_bytes = COLUMNS / ty.block_values() * ty.block_bytes();
    let mut blocks = vec![0; values.len() / COLUMNS * row_bytes];
    if encode_rows(isa, ty, values, COLUMNS, weights, &mut blocks).is_ok() {
        return Ok(blocks);
    }
    for (values, blocks) in values.chunks(COLUMNS).zip(blocks.chunks_mut(row_bytes)) {
        match encode_rows(isa, ty, values, COLUMNS, weights, blocks) {
            Err(EncodeError::OutOfRange { .. }) => blocks.fill(0),
            other => other?,
        }
    }
    Ok(blocks)
}

fn differences(ty: BlockType, isa: Isa, expected: &Encoded, found: &[u8]) -> u64 {
    let row_bytes = COLUMNS / ty.block_values() * ty.block_bytes();
    let mut count = 0;
    for (i, valid) in expected.valid.iter().enumerate() {
        let range = i * row_bytes..(i + 1) * row_bytes;
        if *valid && expected.blocks[range.clone()] != found[range.clone()] {
            if count == 0 {
                let at = range.clone().find(|at| expected.blocks[*at] != found[*at]).unwrap_or(0);
                println!("{ty} under {isa}: row {i} differs from byte {} on", at - range.start);
            }
            count += 1;
        }
    }
    count
}

/// Random bits in every block, scales that are not finite included: the values must have the same
/// bits, or both be NaN.
fn decode_both(reference: &mut Reference, rng: &mut Rng, ty: BlockType) -> anyhow::Result<u64> {
    let mut different = 0;
    for _ in 0..16 {
        let mut blocks = vec![0; 1024 * ty.block_bytes()];
        rng.fill(&mut blocks);
        let expected = reference.decode(ty, &blocks)?;
        let mut found = vec![0.0; expected.len()];
        ty.decode_row(&blocks, &mut found);
        let same = |(expected, found): (&u32, &f32)| {
            *expected == found.to_bits() || f32::from_bits(*expected).is_nan() && found.is_nan()
        };
        if let Some(at) = expected.iter().zip(&found).position(|pair| !same(pair)) {
            println!(
                "{ty}: decoding differs at value {at}: {:e}, {:e}",
                f32::from_bits(expected[at]),
                found[at]
            );
            different += 1;
        }
    }
    Ok(different)
}
