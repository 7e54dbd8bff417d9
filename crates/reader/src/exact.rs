//! Products in single precision whose bits depend on nothing but their inputs.
//!
//! A result is the sum of its products in the order of the columns. Spans of [`SPAN`] columns are
//! summed in single precision, each product added with one rounding; the sums of the spans are
//! added in double precision. Lanes run across rows, so that neither registers nor threads change
//! an order.
//!
//! [`multiply`] multiplies the rows of a matrix. [`multiply_panel`] is what it consists of, for
//! programs that have other things than matrices of weights to multiply:
//!
//! ```text
//!                  column 0                 column 1
//! panel        r0 r1 ... r31            r0 r1 ... r31            ...
//! tile         v0 v1 ... v11            v0 v1 ... v11            ...
//! sums[v][r] =   r * v         +          r * v         +        ...
//! ```
//!
//! Processors without an instruction that rounds once (`scalar` on x86-64) take many times as long.

use std::ops::Range;

use granule_format::BlockType;
use zerocopy::IntoBytes;

use crate::decode_blocks;
use crate::isa::{Isa, Lanes, Simd, WithLanes, WithSimd};
use crate::parallel::each_chunk;

/// Rows of a panel.
pub const ROWS: usize = 32;

/// Vectors of a tile.
pub const VECTORS: usize = 12;

/// Columns that are summed in single precision.
pub const SPAN: usize = 256;

/// Rows whose numbers fill a register.
const LANES: usize = 16;

/// One column of a panel.
pub type PanelColumn = [f32; ROWS];

/// One column of a tile.
pub type TileColumn = [f32; VECTORS];

/// The products of a panel with a tile: those of each vector with all rows.
pub type Products = [[f32; ROWS]; VECTORS];

/// Writes the products of all rows of a panel with the first `vectors` of a tile. Those with other
/// vectors are undefined.
///
/// # Panics
/// If the panel and the tile differ in their numbers of columns.
pub fn multiply_panel(
    isa: Isa,
    panel: &[PanelColumn],
    tile: &[TileColumn],
    vectors: usize,
    out: &mut Products,
) {
    assert_eq!(panel.len(), tile.len(), "columns of a panel and a tile");
    if panel.len() <= SPAN {
        return multiply_span(isa, panel, tile, vectors, out);
    }
    let vectors = vectors.min(VECTORS);
    let mut totals = [[0.0; ROWS]; VECTORS];
    add_panel(isa, panel, tile, &mut totals[..vectors]);
    round(isa, &totals[..vectors], out);
}

/// Adds the products of a panel with the first vectors of a tile to as many totals, span by span.
fn add_panel(isa: Isa, panel: &[PanelColumn], tile: &[TileColumn], totals: &mut [[f64; ROWS]]) {
    let mut products = [[0.0; ROWS]; VECTORS];
    for (panel, tile) in panel.chunks(SPAN).zip(tile.chunks(SPAN)) {
        multiply_span(isa, panel, tile, totals.len(), &mut products);
        add(isa, totals, &products);
    }
}

/// As [`multiply_panel`], for up to [`SPAN`] columns.
fn multiply_span(
    isa: Isa,
    panel: &[PanelColumn],
    tile: &[TileColumn],
    vectors: usize,
    out: &mut Products,
) {
    isa.with_simd(PanelProduct { panel, tile, vectors, out });
}

/// Rounds totals to single precision.
fn round(isa: Isa, totals: &[[f64; ROWS]], out: &mut [[f32; ROWS]]) {
    isa.run(
        #[inline(always)]
        || {
            for (out, totals) in out.iter_mut().zip(totals) {
                for row in 0..ROWS {
                    out[row] = totals[row] as f32;
                }
            }
        },
    );
}

/// Adds the sums of a span to the totals of the same vectors.
fn add(isa: Isa, totals: &mut [[f64; ROWS]], products: &Products) {
    isa.run(
        #[inline(always)]
        || {
            for (totals, products) in totals.iter_mut().zip(products) {
                for row in 0..ROWS {
                    totals[row] += f64::from(products[row]);
                }
            }
        },
    );
}

struct PanelProduct<'a> {
    panel: &'a [PanelColumn],
    tile: &'a [TileColumn],
    vectors: usize,
    out: &'a mut Products,
}

impl WithSimd for PanelProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Simd>(mut self, v: V) {
        if V::MANY {
            return match self.vectors {
                0 => {}
                1 => self.part::<V, 2, 1>(v, 0, 0),
                2 => self.part::<V, 2, 2>(v, 0, 0),
                3..=4 => self.part::<V, 2, 4>(v, 0, 0),
                5..=8 => self.part::<V, 2, 8>(v, 0, 0),
                _ => self.part::<V, 2, VECTORS>(v, 0, 0),
            };
        }
        for half in 0..ROWS / LANES {
            for first in (0..self.vectors.min(VECTORS)).step_by(6) {
                match self.vectors - first {
                    1 => self.part::<V, 1, 1>(v, half, first),
                    2..=3 => self.part::<V, 1, 3>(v, half, first),
                    _ => self.part::<V, 1, 6>(v, half, first),
                }
            }
        }
    }
}

impl PanelProduct<'_> {
    /// The products of `R` times sixteen rows with `N` vectors, whose sums fit into registers.
    #[inline(always)]
    fn part<V: Simd, const R: usize, const N: usize>(&mut self, v: V, half: usize, first: usize) {
        let mut sums = [[v.splat(0.0); R]; N];
        for (panel, tile) in self.panel.iter().zip(self.tile) {
            let mut rows = [v.splat(0.0); R];
            for r in 0..R {
                rows[r] = v.load_floats(&panel.as_chunks::<LANES>().0[half + r]);
            }
            for n in 0..N {
                let x = v.splat(tile[first + n]);
                for r in 0..R {
                    sums[n][r] = v.fused_multiply_add(sums[n][r], rows[r], x);
                }
            }
        }
        for n in 0..N {
            for r in 0..R {
                v.store(sums[n][r], &mut self.out[first + n].as_chunks_mut::<LANES>().0[half + r]);
            }
        }
    }
}

/// Vectors side by side, as [`multiply_panel`] needs them: tile after tile, each of all columns.
/// What is missing in the last tile is zero.
pub fn tiles_of(x: &[f32], columns: usize) -> Vec<TileColumn> {
    let mut tiles = Vec::new();
    tile(x, columns, &mut tiles);
    tiles
}

/// Replaces tiles by those of these vectors.
fn tile(x: &[f32], columns: usize, tiles: &mut Vec<TileColumn>) {
    let count = x.len().checked_div(columns).unwrap_or(0);
    tiles.resize(count.div_ceil(VECTORS) * columns, [0.0; VECTORS]);
    let vectors = |tile: usize| &x[tile * VECTORS * columns..];
    let Ok(()) = each_chunk::<_, std::convert::Infallible>(tiles, columns.max(1), |i, tile| {
        let rows: [&[f32]; VECTORS] = std::array::from_fn(|vector| {
            vectors(i).get(vector * columns..(vector + 1) * columns).unwrap_or_default()
        });
        if rows[VECTORS - 1].is_empty() {
            tile.fill([0.0; VECTORS]);
            for (vector, row) in rows.iter().enumerate() {
                tile.iter_mut().zip(*row).for_each(|(tile, x)| tile[vector] = *x);
            }
        } else {
            for (column, tile) in tile.iter_mut().enumerate() {
                for vector in 0..VECTORS {
                    tile[vector] = rows[vector][column];
                }
            }
        }
        Ok(())
    });
}

/// Multiplies rows of `columns` values with the vectors in `x`: `y[vector * rows + row]`.
///
/// Threads as in [`Tensor::matvec`](crate::Tensor::matvec).
///
/// ```
/// use granule_reader::{exact, format::BlockType, isa::Isa};
/// let rows = [1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes);
/// let mut y = [0.0; 2];
/// exact::multiply(Isa::detect(), BlockType::F32, rows.as_flattened(), 2, &[10.0, 1.0], &mut y);
/// assert_eq!(y, [12.0, 34.0]);
/// ```
///
/// # Panics
/// If `blocks` is not whole rows, `x` not whole vectors, or `y` does not have the number of rows
/// times the number of vectors.
pub fn multiply(isa: Isa, ty: BlockType, blocks: &[u8], columns: usize, x: &[f32], y: &mut [f32]) {
    assert!(columns.is_multiple_of(ty.block_values()), "rows of {columns} values of {ty}");
    if y.is_empty() || columns == 0 {
        return y.fill(0.0);
    }
    let row_bytes = columns / ty.block_values() * ty.block_bytes();
    let (rows, count) = (blocks.len() / row_bytes, x.len() / columns);
    assert_eq!(rows * row_bytes, blocks.len(), "bytes in rows of {row_bytes}");
    assert_eq!(count * columns, x.len(), "values in vectors of {columns}");
    assert_eq!(y.len(), rows * count, "{count} vectors times {rows} rows");
    let matrix = Matrix { isa, ty, columns, row_bytes };
    // what a part of the vectors needs stays in the caches while all rows are multiplied with it
    let part = (TOGETHER / columns).max(1).next_multiple_of(VECTORS).min(count);
    let (mut tiles, mut products) = (Vec::new(), Vec::new());
    for (x, y) in x.chunks(part * columns).zip(y.chunks_mut(part * rows)) {
        tile(x, columns, &mut tiles);
        let count = y.len() / rows;
        products.resize(rows.div_ceil(ROWS) * count, [0.0; ROWS]);
        matrix.multiply(blocks, &tiles, count, &mut products);
        order(&products, count, rows, y);
    }
}

/// Values of vectors that are multiplied with all rows before others are.
const TOGETHER: usize = 1 << 20;

/// Columns of rows that are decoded together.
const SLAB: usize = 4 * SPAN;

/// Panels of a task for a thread at most, and tasks that leave enough for all threads.
const TASK: usize = 4;
const TASKS: usize = 64;

/// Writes the products of panels in the order of the vectors.
fn order(products: &[PanelColumn], count: usize, rows: usize, y: &mut [f32]) {
    // several vectors at a time for threads, one at a time within
    let Ok(()) = each_chunk::<_, std::convert::Infallible>(y, rows * VECTORS, |i, y| {
        for (vector, y) in y.chunks_exact_mut(rows).enumerate() {
            let vector = i * VECTORS + vector;
            let mut panels = products.chunks_exact(count);
            let (whole, rest) = y.as_chunks_mut::<ROWS>();
            for (y, panel) in whole.iter_mut().zip(&mut panels) {
                *y = panel[vector];
            }
            if let Some(panel) = panels.next() {
                rest.copy_from_slice(&panel[vector][..rest.len()]);
            }
        }
        Ok(())
    });
}

/// A matrix in blocks.
#[derive(Clone, Copy)]
struct Matrix {
    isa: Isa,
    ty: BlockType,
    columns: usize,
    row_bytes: usize,
}

/// Memory that panels use one after another.
#[derive(Default)]
struct Scratch {
    values: Vec<f32>,
    panel: Vec<PanelColumn>,
    totals: Vec<[f64; ROWS]>,
}

impl Matrix {
    /// Writes the products of all rows with vectors, panel by panel.
    fn multiply(
        self,
        blocks: &[u8],
        tiles: &[TileColumn],
        count: usize,
        products: &mut [PanelColumn],
    ) {
        let panel_bytes = ROWS * self.row_bytes;
        let panels = products.len() / count;
        let task = (panels / TASKS).clamp(1, TASK);
        let Ok(()) =
            each_chunk::<_, std::convert::Infallible>(products, task * count, |i, products| {
                let mut scratch = Scratch::default();
                let blocks = blocks[i * task * panel_bytes..].chunks(panel_bytes);
                for (blocks, products) in blocks.zip(products.chunks_exact_mut(count)) {
                    self.panel(blocks, tiles, products, &mut scratch);
                }
                Ok(())
            });
    }

    /// The products of up to 32 rows with vectors.
    fn panel(
        self,
        blocks: &[u8],
        tiles: &[TileColumn],
        out: &mut [PanelColumn],
        scratch: &mut Scratch,
    ) {
        let Self { isa, columns, .. } = self;
        let Scratch { values, panel, totals } = scratch;
        values.resize(ROWS * SPAN, 0.0);
        totals.clear();
        if columns > SLAB {
            totals.resize(out.len(), [0.0; ROWS]);
        }
        let mut products = [[0.0; ROWS]; VECTORS];
        for start in (0..columns).step_by(SLAB) {
            let end = columns.min(start + SLAB);
            self.decode(blocks, start..end, values, panel);
            let tiles = tiles.chunks_exact(columns).map(|tile| &tile[start..end]);
            if columns > SLAB {
                for (tile, totals) in tiles.zip(totals.chunks_mut(VECTORS)) {
                    add_panel(isa, panel, tile, totals);
                }
            } else {
                for (tile, out) in tiles.zip(out.chunks_mut(VECTORS)) {
                    multiply_panel(isa, panel, tile, out.len(), &mut products);
                    out.copy_from_slice(&products[..out.len()]);
                }
            }
        }
        round(isa, totals, out);
    }

    /// Makes a panel of some columns of up to 32 rows.
    fn decode(
        self,
        blocks: &[u8],
        columns: Range<usize>,
        values: &mut [f32],
        panel: &mut Vec<PanelColumn>,
    ) {
        let Self { isa, ty, row_bytes, .. } = self;
        let bytes = |value: usize| value / ty.block_values() * ty.block_bytes();
        panel.resize(columns.len().next_multiple_of(SPAN), [0.0; ROWS]);
        for (start, panel) in columns.clone().step_by(SPAN).zip(panel.chunks_exact_mut(SPAN)) {
            let span = start..columns.end.min(start + SPAN);
            for (row, values) in blocks.chunks_exact(row_bytes).zip(values.chunks_exact_mut(SPAN)) {
                let row = &row[bytes(span.start)..bytes(span.end)];
                decode_blocks(isa, ty, row, &mut values[..span.len()]);
            }
            turn(isa, values, panel);
        }
        panel.truncate(columns.len());
    }
}

/// Transposes 32 rows of [`SPAN`] values.
fn turn(isa: Isa, values: &[f32], panel: &mut [PanelColumn]) {
    if isa.has_lanes() {
        return isa.with_lanes(Turn { values, panel });
    }
    for (row, values) in values.chunks_exact(SPAN).enumerate() {
        panel.iter_mut().zip(values).for_each(|(column, value)| column[row] = *value);
    }
}

struct Turn<'a> {
    values: &'a [f32],
    panel: &'a mut [PanelColumn],
}

impl WithLanes for Turn<'_> {
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        const PARTS: usize = SPAN / LANES;
        let mut turned = [[0; 64]; LANES];
        for (half, values) in self.values.chunks_exact(LANES * SPAN).enumerate() {
            let parts: &[[u8; 64]] = values.as_bytes().as_chunks().0;
            let rows: &[[[u8; 64]; PARTS]] = parts.as_chunks().0;
            let rows: &[_; LANES] = rows.try_into().expect("sixteen rows");
            for (part, panel) in self.panel.chunks_exact_mut(LANES).enumerate() {
                v.turn(rows, part, &mut turned);
                for (column, panel) in turned.iter().zip(panel) {
                    let numbers = v.floats_from_bytes(column);
                    v.store(numbers, &mut panel.as_chunks_mut::<LANES>().0[half]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(i: usize) -> f32 {
        ((i * 7919 % 1013) as f32 - 500.0) * 0.013
    }

    /// The definition.
    fn product(row: &[f32], x: &[f32]) -> f32 {
        let spans = row.chunks(SPAN).zip(x.chunks(SPAN));
        let sum = |(row, x): (&[f32], &[f32])| {
            row.iter().zip(x).fold(0.0, |sum, (w, x): (&f32, &f32)| w.mul_add(*x, sum))
        };
        spans.map(|span| f64::from(sum(span))).sum::<f64>() as f32
    }

    #[test]
    fn products_are_those_of_the_definition_on_every_instruction_set() {
        let few: &[usize] = &[0, 1, 2, 3, 5, 7, 13, 24];
        // more columns than are decoded together, more vectors than are multiplied together
        let many = TOGETHER / 1300 + VECTORS;
        let cases = [(1, 1, few), (24, 33, few), (256, 40, few), (700, 5, few), (1300, 2, &[many])];
        for (columns, rows, counts) in cases {
            let weights: Vec<f32> = (0..columns * rows).map(wave).collect();
            for &count in counts {
                let x: Vec<f32> = (0..columns * count).map(|i| wave(i + 11)).collect();
                let expected: Vec<u32> = x
                    .chunks(columns)
                    .flat_map(|x| weights.chunks(columns).map(|row| product(row, x).to_bits()))
                    .collect();
                for isa in Isa::available() {
                    let mut y = vec![0.0; rows * count];
                    multiply(isa, BlockType::F32, weights.as_bytes(), columns, &x, &mut y);
                    let found: Vec<u32> = y.iter().map(|y| y.to_bits()).collect();
                    assert_eq!(found, expected, "{isa}: {count} x {columns} x {rows}");
                }
            }
        }
    }

    #[test]
    fn blocks_are_decoded() {
        let blocks = vec![0x11; 2 * 144 * 3];
        let mut values = vec![0.0; 2 * 256 * 3];
        decode_blocks(Isa::detect(), BlockType::Q4_K, &blocks, &mut values);
        let x: Vec<f32> = (0..512).map(wave).collect();
        let mut y = [0.0; 3];
        multiply(Isa::detect(), BlockType::Q4_K, &blocks, 512, &x, &mut y);
        for (row, y) in values.chunks(512).zip(y) {
            assert_eq!(y, product(row, &x));
        }
    }

    #[test]
    #[should_panic = "values in vectors of 4"]
    fn vectors_are_whole() {
        multiply(Isa::SCALAR, BlockType::F32, &[0; 16], 4, &[0.0; 5], &mut [0.0]);
    }
}
