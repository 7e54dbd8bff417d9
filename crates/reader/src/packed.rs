//! Weights in an order of their own, for programs that multiply them often.

use granule_format::BlockType;
use rayon::prelude::*;

use crate::isa::Isa;
use crate::kernel::{PANEL_ROWS, Packed, dot_blocks, dot_packed, pack, packs};
use crate::matmul::Weights;
use crate::{Activations, Error, Tensor};

/// Bytes of blocks that are packed together.
const PART_BYTES: u64 = 256 << 10;

/// A matrix of weights, in memory and in an order in which products are fastest: see [`Tensor::pack`].
#[derive(Debug)]
pub struct PackedMatrix {
    name: String,
    ty: BlockType,
    columns: usize,
    rows: u64,
    /// Rows of a part, but the last.
    step: usize,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Packed(Packed),
    Blocks(Vec<u8>),
}

impl Tensor<'_> {
    /// Read all rows and bring them into an order in which sixteen of them are multiplied at a time: products are up
    /// to several times faster, most of all for types with codebooks, whose entries are not looked up any more.
    ///
    /// That costs memory for as long as the result is kept. Bits a weight, if rows are a multiple of 16:
    ///
    /// | type | in the file | packed |
    /// |---|---|---|
    /// | Q4_0, IQ4_NL | 4.5 | 4.5 |
    /// | Q4_1 | 5 | 5 |
    /// | Q5_0 | 5.5 | 5.5 |
    /// | Q5_1 | 6 | 6 |
    /// | Q2_K | 2.625 | 3.25 |
    /// | Q3_K | 3.4375 | 4.625 |
    /// | Q4_K | 4.5 | 4.75 |
    /// | Q5_K | 5.5 | 5.75 |
    /// | IQ4_XS, IQ3_S, IQ3_XXS, IQ2_XXS, IQ1_S | 4.25 to 1.5625 | 4.375 |
    /// | IQ2_S, IQ2_XS, IQ1_M | 2.5625 to 1.75 | 4.625 |
    /// | MXFP4 | 4.25 | 5 |
    /// | NVFP4 | 4.5 | 6 |
    /// | TQ1_0, TQ2_0 | 1.6875, 2.0625 | 2.375 |
    /// | Q1_0, Q2_0 | 1.125, 2.25 | 2.5 |
    ///
    /// Other types, and all of them where the instruction set has no operations for it (so far, AVX-512 with VNNI, VBMI and
    /// GFNI does), gain nothing; their blocks are copied as they are. Threads as in
    /// [`matvec`](Self::matvec).
    ///
    /// ```no_run
    /// let model = granule_reader::Model::open("model.gguf")?;
    /// let weights = model.tensor("blk.0.ffn_up.weight").expect("a language model").pack()?;
    /// let (x, mut y) = (vec![1.0; weights.row_values()], vec![0.0; weights.rows() as usize]);
    /// weights.matvec(&x, &mut y)?;
    /// # Ok::<(), granule_reader::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownType`] if the type is unknown, [`Error::Io`] if the rows cannot be read.
    pub fn pack(self) -> Result<PackedMatrix, Error> {
        self.pack_for(Isa::detect())
    }

    fn pack_for(self, isa: Isa) -> Result<PackedMatrix, Error> {
        let Weights { name, ty, columns, rows } = self.weights()?;
        let step = self.rows_in(PART_BYTES).next_multiple_of(PANEL_ROWS as u64);
        let packs = packs(isa, ty) && columns > 0;
        // rows without values may be any number
        let parts = if columns > 0 { rows.div_ceil(step) } else { 0 };
        let parts = (0..parts).into_par_iter().map(|part| {
            let start = part * step;
            let mut blocks = Vec::new();
            self.read_rows_into(start..rows.min(start + step), &mut blocks)?;
            Ok(if packs {
                Part::Packed(pack(isa, ty, &blocks, columns))
            } else {
                Part::Blocks(blocks)
            })
        });
        let parts = parts.collect::<Result<_, Error>>()?;
        Ok(PackedMatrix { name: name.to_owned(), ty, columns, rows, step: step as usize, parts })
    }
}

impl PackedMatrix {
    /// The name of the tensor.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of the tensor.
    pub fn ty(&self) -> BlockType {
        self.ty
    }

    /// Values in a row.
    pub fn row_values(&self) -> usize {
        self.columns
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of memory that the weights take.
    pub fn bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| match part {
            Part::Packed(packed) => packed.bytes(),
            Part::Blocks(blocks) => blocks.len(),
        });
        parts.sum()
    }

    /// As [`Tensor::matvec`]; the integer parts of the products are the same, sums over blocks may be rounded differently.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Buffer`] if `x` or `y` does not have the length that the shape asks for.
    pub fn matvec(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.matvec_with(&self.weights().activations(x, 1)?, y)
    }

    /// As [`matvec`](Self::matvec), with a vector that is already prepared.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec), and [`Error::Form`] if the activations are not in the form that the type needs.
    pub fn matvec_with(&self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        self.weights().check_single(activations)?;
        self.matmul_with(activations, y)
    }

    /// As [`Tensor::matmul`]: `y[vector * rows + row]` is the dot product of a row with a vector.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    pub fn matmul(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.matmul_with(&self.weights().batch(x)?, y)
    }

    /// As [`matmul`](Self::matmul), with vectors that are already prepared.
    ///
    /// # Errors
    /// As [`matvec_with`](Self::matvec_with).
    pub fn matmul_with(&self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        self.weights().multiply(activations, y, self.step, |part, out| {
            match self.parts.get(part) {
                Some(Part::Packed(packed)) => {
                    dot_packed(Isa::detect(), self.ty, packed, activations, out)
                }
                Some(Part::Blocks(blocks)) => {
                    dot_blocks(Isa::detect(), self.ty, blocks, activations, out)
                }
                None => out.fill(0.0), // rows without values
            }
            Ok(())
        })
    }

    fn weights(&self) -> Weights<'_> {
        Weights { name: &self.name, ty: self.ty, columns: self.columns, rows: self.rows }
    }
}
