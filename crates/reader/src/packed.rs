//! Weights packed for products, for programs that multiply them often.

use std::convert::Infallible;
use std::ops::Range;

use granule_format::BlockType;

use crate::isa::Isa;
use crate::kernel::{PANEL_ROWS, Packed, by_panels, dot_blocks, dot_packed, pack, packs};
use crate::matmul::Weights;
use crate::parallel::collect;
use crate::{Activations, Error, Tensor};

/// Bytes of blocks that a thread packs at a time, and multiplies at most.
const CHUNK_BYTES: usize = 256 << 10;

/// A matrix of weights in memory, packed for products: see [`Tensor::pack`].
#[derive(Debug)]
pub struct PackedMatrix {
    name: String,
    ty: BlockType,
    columns: usize,
    rows: usize,
    codes: Codes,
    /// The instruction set that the order was made for, which multiplies.
    isa: Isa,
}

#[derive(Debug)]
enum Codes {
    Packed(Box<Packed>),
    /// As they lie in the file.
    Blocks(Vec<u8>),
}

impl Tensor<'_> {
    /// Reads all rows and packs them for products: sixteen rows lie side by side, and codebooks are
    /// resolved.
    ///
    /// Products are then faster, most of all for types with codebooks; `docs/readers.md` in the
    /// repository has figures. The result stays in memory until it is dropped. Bits per weight, if
    /// the number of rows is a multiple of 16:
    ///
    /// | type | in the file | packed |
    /// |---|---|---|
    /// | Q4_0, IQ4_NL | 4.5 | 4.5 |
    /// | Q4_1 | 5 | 5 |
    /// | Q5_0 | 5.5 | 5.5 |
    /// | Q5_1 | 6 | 6 |
    /// | Q8_0 | 8.5 | 8.5 |
    /// | Q2_K | 2.625 | 3.25 |
    /// | Q3_K | 3.4375 | 4.625 |
    /// | Q4_K | 4.5 | 4.75 |
    /// | Q5_K | 5.5 | 5.75 |
    /// | Q6_K | 6.5625 | 6.625 |
    /// | IQ1_S, IQ2_XXS, IQ3_XXS, IQ3_S, IQ4_XS | 1.5625 to 4.25 | 4.375 |
    /// | IQ1_M, IQ2_XS, IQ2_S | 1.75 to 2.5625 | 4.625 |
    /// | TQ1_0, TQ2_0 | 1.6875, 2.0625 | 2.375 |
    /// | MXFP4 | 4.25 | 5 |
    /// | NVFP4 | 4.5 | 6 |
    /// | Q1_0, Q2_0 | 1.125, 2.25 | 2.5 |
    ///
    /// Plain numbers gain nothing by packing, and no type does without AVX2 or AVX-512: their
    /// blocks are copied as they are. Threads as in [`matvec`](Self::matvec).
    ///
    /// ```no_run
    /// let model = granule_reader::Model::open("model.gguf")?;
    /// let weights = model.tensor("blk.0.ffn_up.weight").expect("a language model").pack()?;
    /// let (x, mut y) = (vec![1.0; weights.row_values()], vec![0.0; weights.rows()]);
    /// weights.matvec(&x, &mut y);
    /// # Ok::<(), granule_reader::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the type is unknown, [`Error::Io`] if the rows cannot be read.
    pub fn pack(self) -> Result<PackedMatrix, Error> {
        self.pack_for(Isa::detect())
    }

    /// As [`pack`](Self::pack), for an instruction set that need not be the best one; products are
    /// computed with it.
    ///
    /// # Errors
    /// As [`pack`](Self::pack).
    pub fn pack_for(self, isa: Isa) -> Result<PackedMatrix, Error> {
        PackedMatrix::pack(self.weights()?, isa, |rows| {
            let mut blocks = Vec::new();
            self.read_rows_into(rows, &mut blocks)?;
            Ok(blocks)
        })
    }
}

impl PackedMatrix {
    /// Packs rows of `columns` values that are in memory, as [`Tensor::pack`] does those of a
    /// file.
    ///
    /// # Panics
    /// If `blocks` is not whole rows, or `columns` not whole blocks.
    pub fn from_blocks(name: &str, ty: BlockType, columns: usize, blocks: &[u8]) -> Self {
        assert!(columns.is_multiple_of(ty.block_values()), "rows of {columns} values of {ty}");
        let weights = Weights { name, ty, columns, rows: 0 };
        let row_bytes = weights.row_bytes();
        let rows = blocks.len().checked_div(row_bytes).unwrap_or(0);
        assert!(rows * row_bytes == blocks.len(), "{} bytes in rows of {row_bytes}", blocks.len());
        let weights = Weights { rows, ..weights };
        let Ok(packed) = Self::pack::<Infallible>(weights, Isa::detect(), |rows| {
            Ok(blocks[rows.start * row_bytes..rows.end * row_bytes].to_vec())
        });
        packed
    }

    /// Packs the rows that `read` returns, some at a time.
    fn pack<E: Send>(
        weights: Weights<'_>,
        isa: Isa,
        read: impl Fn(Range<usize>) -> Result<Vec<u8>, E> + Sync + Send,
    ) -> Result<Self, E> {
        let Weights { name, ty, columns, rows } = weights;
        let row_bytes = weights.row_bytes();
        let step = (CHUNK_BYTES / row_bytes.max(1)).max(1).next_multiple_of(PANEL_ROWS);
        // there can be any number of rows without values
        let count = if columns > 0 { rows.div_ceil(step) } else { 0 };
        let read = |chunk: usize| read(chunk * step..rows.min((chunk + 1) * step));
        let codes = if packs(isa, ty) {
            let parts = collect(count, |chunk| Ok(pack(isa, ty, &read(chunk)?, columns)))?;
            let mut all = Box::<Packed>::default();
            parts.into_iter().for_each(|part| all.append(part));
            Codes::Packed(all)
        } else {
            Codes::Blocks(collect(count, read)?.concat())
        };
        Ok(Self { name: name.to_owned(), ty, columns, rows, codes, isa })
    }

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
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of memory that the weights occupy.
    pub fn bytes(&self) -> usize {
        match &self.codes {
            Codes::Packed(packed) => packed.bytes(),
            Codes::Blocks(blocks) => blocks.len(),
        }
    }

    /// Prepares the vectors in `x`, one after another, in the form that the weights need.
    ///
    /// # Panics
    /// If `x` is not whole vectors of [`row_values`](Self::row_values).
    pub fn prepare(&self, x: &[f32]) -> Activations {
        self.weights().batch(x)
    }

    /// As [`Tensor::matvec`]. Integer parts of the products are the same; sums over blocks may be
    /// rounded differently.
    ///
    /// # Panics
    /// If `x` or `y` does not have the length that the shape asks for.
    pub fn matvec(&self, x: &[f32], y: &mut [f32]) {
        self.matvec_with(&self.weights().activations(x, 1), y);
    }

    /// As [`matvec`](Self::matvec), with a vector that is already prepared.
    ///
    /// # Panics
    /// As [`matvec`](Self::matvec); if there is not exactly one vector, or it is in another
    /// [form](Activations::form) than the type needs.
    pub fn matvec_with(&self, activations: &Activations, y: &mut [f32]) {
        self.weights().check_single(activations);
        self.matmul_with(activations, y);
    }

    /// As [`Tensor::matmul`]: `y[vector * rows + row]` is the dot product of a row with a vector.
    ///
    /// # Panics
    /// As [`matvec`](Self::matvec).
    pub fn matmul(&self, x: &[f32], y: &mut [f32]) {
        self.matmul_with(&self.prepare(x), y);
    }

    /// As [`matmul`](Self::matmul), with vectors that are already prepared.
    ///
    /// # Panics
    /// As [`Tensor::matmul_with`].
    pub fn matmul_with(&self, activations: &Activations, y: &mut [f32]) {
        let Self { isa, ty, .. } = *self;
        let by_panels = by_panels(isa, activations, matches!(self.codes, Codes::Packed(_)));
        let weights = self.weights();
        let step = weights.step(activations.count(), CHUNK_BYTES);
        let bytes = step * weights.row_bytes();
        let Ok(()) =
            weights.multiply::<Infallible>(activations, y, step, by_panels, |chunk, out| {
                match &self.codes {
                    Codes::Packed(packed) => {
                        let first = chunk * step / PANEL_ROWS;
                        dot_packed(isa, ty, (packed, first), activations, out);
                    }
                    Codes::Blocks(blocks) => {
                        let blocks = &blocks[chunk * bytes..];
                        let blocks = &blocks[..blocks.len().min(bytes)];
                        dot_blocks(isa, ty, blocks, activations, out);
                    }
                }
                Ok(())
            });
    }

    fn weights(&self) -> Weights<'_> {
        Weights { name: &self.name, ty: self.ty, columns: self.columns, rows: self.rows }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use granule_format::{Draft, Endian, Metadata, Shape, Writer};

    use super::*;
    use crate::Model;

    /// The table of [`Tensor::pack`].
    const BITS: &[(&[BlockType], f64)] = &[
        (&[BlockType::Q4_0, BlockType::IQ4_NL], 4.5),
        (&[BlockType::Q4_1, BlockType::MXFP4], 5.0),
        (&[BlockType::Q5_0], 5.5),
        (&[BlockType::Q5_1, BlockType::NVFP4], 6.0),
        (&[BlockType::Q8_0], 8.5),
        (&[BlockType::Q2_K], 3.25),
        (&[BlockType::Q3_K], 4.625),
        (&[BlockType::Q4_K], 4.75),
        (&[BlockType::Q5_K], 5.75),
        (&[BlockType::Q6_K], 6.625),
        (&[BlockType::IQ1_S, BlockType::IQ2_XXS, BlockType::IQ3_XXS], 4.375),
        (&[BlockType::IQ3_S, BlockType::IQ4_XS], 4.375),
        (&[BlockType::IQ1_M, BlockType::IQ2_XS, BlockType::IQ2_S], 4.625),
        (&[BlockType::TQ1_0, BlockType::TQ2_0], 2.375),
        (&[BlockType::Q1_0, BlockType::Q2_0], 2.5),
    ];

    #[test]
    fn packed_weights_take_the_memory_that_is_stated() {
        let (rows, columns) = (48, 768);
        for ty in BlockType::ALL.iter().copied() {
            let mut draft = Draft::new(Metadata::new(), Endian::Little).unwrap();
            draft.add("weights", Shape::new(&[columns, rows]).unwrap(), ty.into()).unwrap();
            let mut writer = Writer::start(Vec::new(), draft).unwrap();
            let bytes = (rows * columns) as usize / ty.block_values() * ty.block_bytes();
            let mut data = writer.tensor("weights").unwrap();
            data.write_all(&vec![0; bytes]).unwrap();
            data.finish().unwrap();
            let model = Model::from_bytes(writer.finish().unwrap()).unwrap();
            let tensor = model.tensor("weights").unwrap();
            for isa in Isa::available() {
                let packed = tensor.pack_for(isa).unwrap();
                let blocks = tensor.read_rows(..).unwrap();
                let from_blocks =
                    PackedMatrix::from_blocks("weights", ty, columns as usize, &blocks);
                if isa == Isa::detect() {
                    assert_eq!(from_blocks.bytes(), packed.bytes(), "{ty}");
                }
                let listed = BITS.iter().find(|(types, _)| types.contains(&ty));
                let expected = match listed {
                    Some((_, bits)) if isa.has_lanes() => bits * (rows * columns) as f64 / 8.0,
                    _ => bytes as f64,
                };
                assert_eq!(packed.bytes() as f64, expected, "{ty} {isa}");
            }
        }
    }
}
