//! Products in single precision whose bits depend on nothing but their inputs.
//!
//! A result is the sum of its products in the order of the columns: spans of [`SPAN`] columns are
//! summed in single precision, and the sums of the spans in double precision. Lanes run across
//! rows, so that neither registers nor threads change an order.

use granule_reader::decode_blocks;
use granule_reader::format::BlockType;
use granule_reader::isa::Isa;
use rayon::prelude::*;

/// Rows that are multiplied side by side.
const LANES: usize = 16;

/// Vectors that are multiplied with one load of weights.
const TILE: usize = 6;

/// Columns that are summed in single precision.
const SPAN: usize = 256;

/// Multiplies a matrix of `rows` rows of `columns` values with the vectors in `x`:
/// `y[vector * rows + row]`.
pub(super) fn multiply(
    ty: BlockType,
    blocks: &[u8],
    columns: usize,
    rows: usize,
    x: &[f32],
    y: &mut [f32],
) {
    if rows == 0 || y.is_empty() {
        return;
    }
    if columns == 0 {
        return y.fill(0.0);
    }
    let (isa, row_bytes, count) = (Isa::detect(), blocks.len() / rows, y.len() / rows);
    let strips: Vec<Vec<[f32; LANES]>> = blocks
        .par_chunks(LANES * row_bytes)
        .map_init(
            || (vec![0.0; LANES * columns], vec![[0.0; LANES]; columns]),
            |(values, panel), blocks| {
                let height = blocks.len() / row_bytes;
                decode_blocks(isa, ty, blocks, &mut values[..height * columns]);
                values[height * columns..].fill(0.0);
                let mut out = vec![[0.0; LANES]; count];
                isa.run(
                    #[inline(always)]
                    || {
                        transpose(values, columns, panel);
                        strip(panel, x, columns, &mut out);
                    },
                );
                out
            },
        )
        .collect();
    y.par_chunks_mut(rows).enumerate().for_each(|(vector, y)| {
        for (y, strip) in y.chunks_mut(LANES).zip(&strips) {
            y.copy_from_slice(&strip[vector][..y.len()]);
        }
    });
}

#[inline(always)]
fn transpose(values: &[f32], columns: usize, panel: &mut [[f32; LANES]]) {
    for (lane, row) in values.chunks_exact(columns).enumerate() {
        for (panel, value) in panel.iter_mut().zip(row) {
            panel[lane] = *value;
        }
    }
}

/// The products of sixteen rows with all vectors.
#[inline(always)]
fn strip(panel: &[[f32; LANES]], x: &[f32], columns: usize, out: &mut [[f32; LANES]]) {
    let mut vectors = x.chunks_exact(columns * TILE);
    let mut tiles = out.chunks_exact_mut(TILE);
    for (x, out) in vectors.by_ref().zip(tiles.by_ref()) {
        let x: [&[f32]; TILE] = std::array::from_fn(|i| &x[i * columns..][..columns]);
        out.copy_from_slice(&tile(panel, x));
    }
    for (x, out) in vectors.remainder().chunks_exact(columns).zip(tiles.into_remainder()) {
        [*out] = tile(panel, [x]);
    }
}

/// The products of sixteen rows with a few vectors.
#[inline(always)]
fn tile<const N: usize>(panel: &[[f32; LANES]], x: [&[f32]; N]) -> [[f32; LANES]; N] {
    let mut totals = [[0.0_f64; LANES]; N];
    let mut start = 0;
    for span in panel.chunks(SPAN) {
        let x = x.map(|x| &x[start..][..span.len()]);
        let mut sums = [[0.0_f32; LANES]; N];
        for (column, weights) in span.iter().enumerate() {
            for i in 0..N {
                let x = x[i][column];
                for lane in 0..LANES {
                    sums[i][lane] += weights[lane] * x;
                }
            }
        }
        for i in 0..N {
            for lane in 0..LANES {
                totals[i][lane] += f64::from(sums[i][lane]);
            }
        }
        start += SPAN;
    }
    totals.map(|totals| totals.map(|total| total as f32))
}
