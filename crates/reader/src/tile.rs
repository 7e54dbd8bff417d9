//! Tiles of a batch of activations: sixteen vectors in the order in which kernels read them.

use crate::activations::Form;
use crate::vector::{Codes, Vector};

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
    /// The scales of a block.
    pub(crate) scales: Vec<[f32; TILE]>,
    /// The sums of a block of 32 times its scale.
    pub(crate) scaled_sums: Vec<[f32; TILE]>,
    /// Each 256 values in the mixed form.
    pub(crate) parts: Vec<TilePart>,
}

/// 256 values of sixteen vectors in the mixed form.
#[derive(Clone, Debug)]
pub(crate) struct TilePart {
    codes: TileCodes,
    /// The sums of each 32 and of each 16 values.
    pub(crate) scaled_sums: [[f32; 8]; TILE],
    pub(crate) fine_sums: [[f32; 16]; TILE],
    /// A bit for every group that has remainders.
    pub(crate) wide: u8,
    remainders: Option<Box<TileCodes>>,
}

#[derive(Clone, Debug)]
struct TileCodes {
    codes: [[i8; 256]; TILE],
    sums: [[i16; 16]; TILE],
    scales: [[f32; 8]; TILE],
}

impl TilePart {
    /// The codes of one vector.
    #[inline(always)]
    pub(crate) fn codes(&self, vector: usize) -> Codes<'_> {
        self.codes.of(vector)
    }

    /// The remainders of one vector, if there are any.
    #[inline(always)]
    pub(crate) fn remainders(&self, vector: usize) -> Option<Codes<'_>> {
        self.remainders.as_ref().map(|codes| codes.of(vector))
    }
}

impl TileCodes {
    const ZERO: Self =
        Self { codes: [[0; 256]; TILE], sums: [[0; 16]; TILE], scales: [[0.0; 8]; TILE] };

    #[inline(always)]
    fn of(&self, vector: usize) -> Codes<'_> {
        let Self { codes, sums, scales } = self;
        Codes { codes: &codes[vector], sums: &sums[vector], scales: &scales[vector] }
    }

    fn set(&mut self, vector: usize, codes: Codes<'_>) {
        self.codes[vector] = *codes.codes;
        self.sums[vector] = *codes.sums;
        self.scales[vector] = *codes.scales;
    }
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
                this.scales = weave(vectors, |vector, i| vector.scales.get(i).copied());
                this.scaled_sums = weave(vectors, |vector, i| vector.scaled_sums.get(i).copied());
            }
            Form::Mixed => this.parts = parts(vectors),
        }
        this
    }
}

fn parts(vectors: &[Vector<'_>]) -> Vec<TilePart> {
    let mut slot = 0;
    let wide = vectors.first().map_or(&[][..], |vector| vector.wide);
    let part = |(index, wide): (usize, &u8)| {
        let mut part = TilePart {
            codes: TileCodes::ZERO,
            scaled_sums: [[0.0; 8]; TILE],
            fine_sums: [[0.0; 16]; TILE],
            wide: *wide,
            remainders: (*wide != 0).then(|| Box::new(TileCodes::ZERO)),
        };
        for (i, vector) in vectors.iter().enumerate() {
            part.codes.set(i, vector.codes_of(index));
            part.scaled_sums[i] = vector.scaled_sums.as_chunks().0[index];
            part.fine_sums[i] = vector.fine_sums.as_chunks().0[index];
            if let Some(remainders) = &mut part.remainders {
                remainders.set(i, vector.remainders(slot));
            }
        }
        slot += usize::from(*wide != 0);
        part
    };
    wide.iter().enumerate().map(part).collect()
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
