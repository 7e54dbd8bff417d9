//! Tiles of a batch of activations: sixteen vectors in the order in which kernels read them.

use crate::activations::{Form, Vector};

/// Vectors of a tile: a block is unpacked once for all of them.
pub(crate) const TILE: usize = 16;

/// Plain vectors that are multiplied at a time.
pub(crate) const QUAD: usize = 4;

/// Sixteen vectors, block by block: what belongs to one block lies together.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActivationTile {
    /// Number of vectors that are not padding.
    pub(crate) count: usize,
    /// Plain numbers: sixteen columns of each four vectors, padded with zeros.
    pub(crate) values: [Vec<[[f32; 16]; QUAD]>; TILE / QUAD],
    /// Codes, each 32 of all vectors.
    pub(crate) groups: Vec<[[i8; 32]; TILE]>,
    /// Codes, each 256 of all vectors.
    pub(crate) blocks: Vec<[[i8; 256]; TILE]>,
    /// The scales of a block.
    pub(crate) scales: Vec<[f32; TILE]>,
    /// The sums of a block of 32 times its scale.
    pub(crate) scaled_sums: Vec<[f32; TILE]>,
    /// The sums of each 16 codes of a block of 256.
    pub(crate) sums: Vec<[[i16; 16]; TILE]>,
}

impl ActivationTile {
    /// Up to sixteen vectors; the others are zero.
    pub(crate) fn new(form: Form, vectors: &[Vector<'_>]) -> Self {
        let mut this = Self { count: vectors.len(), ..Self::default() };
        match form {
            Form::Float => {
                for (values, vectors) in this.values.iter_mut().zip(vectors.chunks(QUAD)) {
                    *values = weave(vectors, |vector, i| {
                        let start = (16 * i).min(vector.values.len());
                        let part = &vector.values[start..vector.values.len().min(start + 16)];
                        let mut out = [0.0; 16];
                        out[..part.len()].copy_from_slice(part);
                        (start < vector.values.len()).then_some(out)
                    });
                }
            }
            Form::Q8_0 => {
                this.groups =
                    weave(vectors, |vector, i| vector.codes.as_chunks().0.get(i).copied());
                this.scaled_sums = weave(vectors, |vector, i| vector.scaled_sums.get(i).copied());
            }
            Form::Q8_K => {
                this.blocks =
                    weave(vectors, |vector, i| vector.codes.as_chunks().0.get(i).copied());
                this.sums = weave(vectors, |vector, i| vector.sums.as_chunks().0.get(i).copied());
            }
        }
        this.scales = weave(vectors, |vector, i| vector.scales.get(i).copied());
        this
    }
}

/// Part 0 of all vectors, part 1 of all vectors, ...
fn weave<T: Zero, const WIDTH: usize>(
    vectors: &[Vector<'_>],
    part: impl Fn(&Vector<'_>, usize) -> Option<T>,
) -> Vec<[T; WIDTH]> {
    let parts = (0..).map_while(|i| {
        let mut all = [T::ZERO; WIDTH];
        for (out, vector) in all.iter_mut().zip(vectors) {
            *out = part(vector, i)?;
        }
        Some(all)
    });
    parts.collect()
}

trait Zero: Copy {
    const ZERO: Self;
}

impl Zero for f32 {
    const ZERO: Self = 0.0;
}

impl<const N: usize> Zero for [f32; N] {
    const ZERO: Self = [0.0; N];
}

impl<const N: usize> Zero for [i8; N] {
    const ZERO: Self = [0; N];
}

impl<const N: usize> Zero for [i16; N] {
    const ZERO: Self = [0; N];
}
