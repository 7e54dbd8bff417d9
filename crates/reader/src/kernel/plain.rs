//! Types of single numbers: F32, F16, BF16, F64 and the integers.

use std::slice::ChunksExact;

use granule_format::Block;
use granule_format::block::types::{BF16, F16, F32, F64, I8, I16, I32, I64};
use zerocopy::IntoBytes;

use super::packed::{Packed, PackedPanel, Prepared};
use super::packing::Packing;
use super::panel::{Panel, Sums};
use super::{Family, Kernel};
use crate::activations::{Activations, Form};
use crate::isa::{Lanes, Simd};
use crate::strip::Strip;
use crate::tile::QUAD;
use crate::vector::Vector;

/// A type of single numbers, converted sixteen at a time.
trait Plain: Kernel {
    fn sixteen<V: Simd>(v: V, numbers: &[Self; 16]) -> V::Floats;
}

impl Plain for F32 {
    #[inline(always)]
    fn sixteen<V: Simd>(v: V, numbers: &[Self; 16]) -> V::Floats {
        v.floats_from_bytes(bytes(numbers))
    }
}

impl Plain for F16 {
    #[inline(always)]
    fn sixteen<V: Simd>(v: V, numbers: &[Self; 16]) -> V::Floats {
        v.halves(bytes(numbers))
    }
}

impl Plain for BF16 {
    #[inline(always)]
    fn sixteen<V: Simd>(v: V, numbers: &[Self; 16]) -> V::Floats {
        v.brain_floats(bytes(numbers))
    }
}

#[inline(always)]
fn bytes<B: Block, const BYTES: usize>(numbers: &[B; 16]) -> &[u8; BYTES] {
    numbers.as_slice().as_bytes().try_into().expect("16 numbers of this size")
}

/// Converts by the definition, which the compiler vectorizes for these types.
macro_rules! by_definition {
    ($( $name:ident ),*) => { $(
        impl Plain for $name {
            #[inline(always)]
            fn sixteen<V: Simd>(v: V, numbers: &[Self; 16]) -> V::Floats {
                let mut out = [0.0; 16];
                for (number, out) in numbers.iter().zip(&mut out) {
                    *out = number.unpack() as f32;
                }
                v.load_floats(&out)
            }
        }
    )* };
}
by_definition!(F64, I8, I16, I32, I64);

macro_rules! kernels {
    ($( $name:ident ),*) => { $(
        impl Kernel for $name {
            type Family = PlainNumbers;
            const PACKING: Option<Packing> = None;
        }
    )* };
}
kernels!(F32, F16, BF16, F64, I8, I16, I32, I64);

/// The types of single numbers. They are multiplied with floats, so there are no panels of codes.
pub(crate) struct PlainNumbers;

const NO_PANELS: &str = "plain numbers are multiplied with floats, not by panels of codes";

impl<B: Plain> Family<B> for PlainNumbers {
    const FORM: Form = Form::Float;

    #[inline(always)]
    fn decode<V: Simd>(v: V, numbers: &[B], out: &mut [f32]) {
        let (numbers, rest) = numbers.as_chunks::<16>();
        let (out, out_rest) = out.as_chunks_mut::<16>();
        for (numbers, out) in numbers.iter().zip(out) {
            v.store(B::sixteen(v, numbers), out);
        }
        for (number, out) in rest.iter().zip(out_rest) {
            number.decode(std::slice::from_mut(out));
        }
    }

    #[inline(always)]
    fn dot_each<V: Simd>(
        v: V,
        rows: ChunksExact<'_, B>,
        vector: &Vector<'_>,
        out: &mut [f32],
        step: usize,
    ) {
        dot_each(v, rows, vector, out, step);
    }

    #[inline(always)]
    fn batch<V: Simd>(v: V, rows: ChunksExact<'_, B>, activations: &Activations, out: &mut [f32]) {
        batch(v, rows, activations, out);
    }

    fn fill_panel<V: Lanes>(_: V, _: &[B], _: usize, _: usize, _: &mut Panel) {
        unreachable!("{NO_PANELS}")
    }

    fn multiply_panel<V: Lanes>(_: V, _: &Panel, _: Strip<'_>, _: &mut Sums) {
        unreachable!("{NO_PANELS}")
    }

    fn pack_scales<V: Lanes>(_: V, _: &[B], _: usize, _: usize, _: &mut Packed) {
        unreachable!("{NO_PANELS}")
    }

    fn dot_packed<V: Lanes>(_: V, _: &Packing, _: &PackedPanel<'_>, _: Prepared<'_>) -> V::Floats {
        unreachable!("{NO_PANELS}")
    }

    fn unpack_panel<V: Lanes>(_: V, _: &Packing, _: &PackedPanel<'_>, _: usize, _: &mut Panel) {
        unreachable!("{NO_PANELS}")
    }
}

/// The dot product of one row with a vector, as [`dot_rows`] forms it.
#[inline(always)]
fn dot<B: Plain, V: Simd>(v: V, row: &[B], vector: &Vector<'_>) -> f32 {
    dot_rows(v, [row], vector)[0]
}

/// Multiplies several rows at a time: they share the loads of the vector, and more of memory is in
/// flight.
#[inline(always)]
fn dot_each<B: Plain, V: Simd>(
    v: V,
    rows: ChunksExact<'_, B>,
    vector: &Vector<'_>,
    out: &mut [f32],
    step: usize,
) {
    if V::MANY {
        dot_by::<B, V, 8>(v, rows, vector, out, step);
    } else {
        dot_by::<B, V, 4>(v, rows, vector, out, step);
    }
}

#[inline(always)]
fn dot_by<B: Plain, V: Simd, const ROWS: usize>(
    v: V,
    mut rows: ChunksExact<'_, B>,
    vector: &Vector<'_>,
    out: &mut [f32],
    step: usize,
) {
    let mut outs = out.chunks_mut(step);
    while rows.len() >= ROWS {
        let mut some = [&[][..]; ROWS];
        for (place, row) in some.iter_mut().zip(&mut rows) {
            *place = row;
        }
        for (dot, out) in dot_rows(v, some, vector).into_iter().zip(&mut outs) {
            out[0] = dot;
        }
    }
    for (row, out) in rows.zip(outs) {
        out[0] = dot(v, row, vector);
    }
}

/// Bytes by which rows are prefetched: the CPU's own prefetcher stops at the end of each page.
const AHEAD: usize = 64 << 10;

/// Sums each row in two registers, so that additions need not wait for each other.
#[inline(always)]
fn dot_rows<B: Plain, V: Simd, const ROWS: usize>(
    v: V,
    rows: [&[B]; ROWS],
    vector: &Vector<'_>,
) -> [f32; ROWS] {
    let mut sums = [[v.splat(0.0); 2]; ROWS];
    let (values, rest_values) = vector.values.as_chunks::<32>();
    let mut parts = [&[][..]; ROWS];
    for i in 0..ROWS {
        parts[i] = &rows[i].as_chunks::<32>().0[..values.len()];
    }
    for (index, values) in values.iter().enumerate() {
        let values = values.as_chunks().0;
        let (first, second) = (v.load_floats(&values[0]), v.load_floats(&values[1]));
        for i in 0..ROWS {
            let numbers = parts[i][index].as_chunks().0;
            for line in 0..size_of::<[B; 32]>().div_ceil(64) {
                v.prefetch(numbers, AHEAD + 64 * line);
            }
            let [a, b] = sums[i];
            sums[i] = [
                v.multiply_add_floats(a, B::sixteen(v, &numbers[0]), first),
                v.multiply_add_floats(b, B::sixteen(v, &numbers[1]), second),
            ];
        }
    }
    let mut out = [0.0; ROWS];
    for i in 0..ROWS {
        out[i] = v.total_floats(v.add(sums[i][0], sums[i][1]));
        for (number, x) in rows[i].as_chunks::<32>().1.iter().zip(rest_values) {
            let mut value = [0.0];
            number.decode(&mut value);
            out[i] += value[0] * x;
        }
    }
    out
}

/// Rows of a batch that are converted at a time, and sixteens of columns: few enough for the
/// first-level cache.
const ROWS: usize = 16;
const SIXTEENS: usize = 16;

/// Multiplies a batch: numbers are converted once for all vectors, and several rows are multiplied
/// with several vectors at a time. Each sum runs over the columns in their order.
#[inline(always)]
fn batch<B: Plain, V: Simd>(
    v: V,
    rows: ChunksExact<'_, B>,
    activations: &Activations,
    out: &mut [f32],
) {
    let count = activations.count();
    let quads: Vec<_> = activations.tiles().iter().flat_map(|tile| &tile.values).collect();
    let sixteens = activations.columns().div_ceil(16);
    let zero = v.splat(0.0);
    let mut widened = [[[0.0; 16]; SIXTEENS]; ROWS];
    let mut sums = vec![[[zero; QUAD]; ROWS]; count.div_ceil(QUAD)];
    let row_length = activations.columns();
    let blocks = rows.clone().len().div_ceil(ROWS);
    let mut rows = rows;
    for block in 0..blocks {
        let mut of_block = [&[][..]; ROWS];
        let mut len = 0;
        for (place, row) in of_block.iter_mut().zip(&mut rows) {
            *place = &row[..row_length];
            len += 1;
        }
        sums.fill([[zero; QUAD]; ROWS]);
        for start in (0..sixteens).step_by(SIXTEENS) {
            let width = SIXTEENS.min(sixteens - start);
            for (row, widened) in of_block[..len].iter().zip(&mut widened) {
                widen(v, row, start, &mut widened[..width]);
            }
            for (quad, sums) in quads.iter().zip(&mut sums) {
                let values = &quad[start..start + width];
                if V::MANY {
                    multiply::<V, 4, 4>(v, &widened, values, sums);
                } else {
                    multiply::<V, 2, 2>(v, &widened, values, sums);
                }
            }
        }
        let out = out[block * ROWS * count..].chunks_exact_mut(count);
        for (row, out) in out.take(len).enumerate() {
            for (vector, out) in out.iter_mut().enumerate() {
                *out = v.total_floats(sums[vector / QUAD][row][vector % QUAD]);
            }
        }
    }
}

/// Converts the numbers of a row from column `16 * start` on, padded with zeros.
#[inline(always)]
fn widen<B: Plain, V: Simd>(v: V, row: &[B], start: usize, out: &mut [[f32; 16]]) {
    let (parts, rest) = row.as_chunks::<16>();
    for (i, out) in out.iter_mut().enumerate() {
        match parts.get(start + i) {
            Some(numbers) => v.store(B::sixteen(v, numbers), out),
            None => {
                *out = [0.0; 16];
                for (number, out) in rest.iter().zip(out) {
                    number.decode(std::slice::from_mut(out));
                }
            }
        }
    }
}

/// Adds the products of rows with four vectors to their sums, `HIGH` times `WIDE` of them in
/// registers at a time.
#[inline(always)]
fn multiply<V: Simd, const HIGH: usize, const WIDE: usize>(
    v: V,
    rows: &[[[f32; 16]; SIXTEENS]; ROWS],
    values: &[[[f32; 16]; QUAD]],
    sums: &mut [[V::Floats; QUAD]; ROWS],
) {
    for (rows, sums) in rows.as_chunks::<HIGH>().0.iter().zip(sums.as_chunks_mut::<HIGH>().0) {
        for first in (0..QUAD).step_by(WIDE) {
            let mut totals = [[v.splat(0.0); WIDE]; HIGH];
            for row in 0..HIGH {
                totals[row].copy_from_slice(&sums[row][first..first + WIDE]);
            }
            for (index, values) in values.iter().enumerate().take(SIXTEENS) {
                let mut loaded = [v.splat(0.0); WIDE];
                for i in 0..WIDE {
                    loaded[i] = v.load_floats(&values[first + i]);
                }
                for row in 0..HIGH {
                    let weights = v.load_floats(&rows[row][index]);
                    for i in 0..WIDE {
                        totals[row][i] = v.multiply_add_floats(totals[row][i], weights, loaded[i]);
                    }
                }
            }
            for row in 0..HIGH {
                sums[row][first..first + WIDE].copy_from_slice(&totals[row]);
            }
        }
    }
}
