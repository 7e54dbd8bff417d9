//! Types of single numbers: F32, F16, BF16, F64 and the integers.

use granule_format::Block;
use granule_format::block::types::{BF16, F16, F32, F64, I8, I16, I32, I64};
use zerocopy::IntoBytes;

use super::Kernel;
use super::codes::sixteen;
use crate::activations::Vector;
use crate::isa::Vectors;
use crate::tile::{TILE, Tile};

/// Sixteen numbers of a type.
trait Plain: Block {
    fn sixteen<V: Vectors>(v: V, numbers: &[Self; 16]) -> V::Floats;
}

impl Plain for F32 {
    #[inline(always)]
    fn sixteen<V: Vectors>(v: V, numbers: &[Self; 16]) -> V::Floats {
        v.floats_from_bytes(bytes(numbers))
    }
}

impl Plain for F16 {
    #[inline(always)]
    fn sixteen<V: Vectors>(v: V, numbers: &[Self; 16]) -> V::Floats {
        v.halves(bytes(numbers))
    }
}

impl Plain for BF16 {
    #[inline(always)]
    fn sixteen<V: Vectors>(v: V, numbers: &[Self; 16]) -> V::Floats {
        v.brain_floats(bytes(numbers))
    }
}

#[inline(always)]
fn bytes<B: Block, const BYTES: usize>(numbers: &[B; 16]) -> &[u8; BYTES] {
    numbers.as_slice().as_bytes().try_into().expect("16 numbers of this size")
}

/// By the definition, which is vector code for these types.
macro_rules! by_definition {
    ($( $name:ident ),*) => { $(
        impl Plain for $name {
            #[inline(always)]
            fn sixteen<V: Vectors>(v: V, numbers: &[Self; 16]) -> V::Floats {
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
            #[inline(always)]
            fn decode_blocks<V: Vectors>(v: V, numbers: &[Self], out: &mut [f32]) {
                let (numbers, rest) = numbers.as_chunks::<16>();
                let (out, out_rest) = out.as_chunks_mut::<16>();
                for (numbers, out) in numbers.iter().zip(out) {
                    v.store(Self::sixteen(v, numbers), out);
                }
                for (number, out) in rest.iter().zip(out_rest) {
                    number.decode(std::slice::from_mut(out));
                }
            }

            #[inline(always)]
            fn dot<V: Vectors>(v: V, row: &[Self], vector: &Vector<'_>) -> f32 {
                dot(v, row, vector)
            }

            #[inline(always)]
            fn dots<V: Vectors>(v: V, row: &[Self], tile: &Tile) -> [f32; TILE] {
                dots(v, row, tile)
            }
        }
    )* };
}
kernels!(F32, F16, BF16, F64, I8, I16, I32, I64);

/// Four sums, so that additions need not wait for each other.
#[inline(always)]
fn dot<B: Plain, V: Vectors>(v: V, row: &[B], vector: &Vector<'_>) -> f32 {
    let zero = v.splat(0.0);
    let (mut a, mut b, mut c, mut d) = (zero, zero, zero, zero);
    let (parts, rest) = row.as_chunks::<64>();
    let (values, rest_values) = vector.values.as_chunks::<64>();
    for (numbers, values) in parts.iter().zip(values) {
        let (numbers, values) = (numbers.as_chunks().0, values.as_chunks().0);
        a = v.multiply_add_floats(a, B::sixteen(v, &numbers[0]), v.load_floats(&values[0]));
        b = v.multiply_add_floats(b, B::sixteen(v, &numbers[1]), v.load_floats(&values[1]));
        c = v.multiply_add_floats(c, B::sixteen(v, &numbers[2]), v.load_floats(&values[2]));
        d = v.multiply_add_floats(d, B::sixteen(v, &numbers[3]), v.load_floats(&values[3]));
    }
    let mut out = v.total_floats(v.add(v.add(a, b), v.add(c, d)));
    for (number, x) in rest.iter().zip(rest_values) {
        let mut value = [0.0];
        number.decode(&mut value);
        out += value[0] * x;
    }
    out
}

#[inline(always)]
fn dots<B: Plain, V: Vectors>(v: V, row: &[B], tile: &Tile) -> [f32; TILE] {
    let mut totals = [v.splat(0.0); TILE];
    let (parts, rest) = row.as_chunks::<16>();
    let mut last = [0.0; 16];
    for (number, out) in rest.iter().zip(&mut last) {
        number.decode(std::slice::from_mut(out));
    }
    for (index, values) in tile.values.iter().enumerate() {
        let weights = match parts.get(index) {
            Some(numbers) => B::sixteen(v, numbers),
            None => v.load_floats(&last),
        };
        sixteen(
            #[inline(always)]
            |i| totals[i] = v.multiply_add_floats(totals[i], weights, v.load_floats(&values[i])),
        );
    }
    let mut out = [0.0; TILE];
    for (out, total) in out.iter_mut().zip(totals) {
        *out = v.total_floats(total);
    }
    out
}
