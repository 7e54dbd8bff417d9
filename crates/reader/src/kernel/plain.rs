//! Types of single numbers: F32, F16, BF16, F64 and the integers.

use granule_format::Block;
use granule_format::block::types::{BF16, F16, F32, F64, I8, I16, I32, I64};
use zerocopy::IntoBytes;

use super::Kernel;
use crate::activations::Vector;
use crate::isa::Vectors;

/// Sixteen numbers of a type.
trait Plain: Block {
    fn sixteen<V: Vectors>(v: V, numbers: &[Self; 16]) -> V::Floats;
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
by_definition!(F32, F64, I8, I16, I32, I64);

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
            fn dots<V: Vectors, const N: usize>(
                v: V,
                row: &[Self],
                vectors: &[Vector<'_>; N],
            ) -> [f32; N] {
                dots(v, row, vectors)
            }
        }
    )* };
}
kernels!(F32, F16, BF16, F64, I8, I16, I32, I64);

/// Two sums for each vector, so that additions need not wait for each other.
#[inline(always)]
fn dots<B: Plain, V: Vectors, const N: usize>(
    v: V,
    row: &[B],
    vectors: &[Vector<'_>; N],
) -> [f32; N] {
    let mut totals = [[v.splat(0.0); 2]; N];
    let (pairs, rest) = row.as_chunks::<32>();
    for (index, numbers) in pairs.iter().enumerate() {
        let halves = numbers.as_chunks().0;
        let (low, high) = (B::sixteen(v, &halves[0]), B::sixteen(v, &halves[1]));
        for (vector, total) in vectors.iter().zip(&mut totals) {
            let values = vector.values.as_chunks::<16>().0;
            total[0] = v.multiply_add_floats(total[0], low, v.load_floats(&values[2 * index]));
            total[1] = v.multiply_add_floats(total[1], high, v.load_floats(&values[2 * index + 1]));
        }
    }
    let mut out = [0.0; N];
    for (i, out) in out.iter_mut().enumerate() {
        *out = v.total_floats(v.add(totals[i][0], totals[i][1]));
        for (number, x) in rest.iter().zip(&vectors[i].values[row.len() - rest.len()..]) {
            let mut value = [0.0];
            number.decode(&mut value);
            *out += value[0] * x;
        }
    }
    out
}
