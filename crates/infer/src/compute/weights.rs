use std::borrow::Cow;
use std::collections::HashMap;

use granule_reader::format::{BlockType, TensorType};
use granule_reader::isa::Isa;
use granule_reader::{Activations, Form, PackedMatrix, Source, SourceTensor, decode_blocks, exact};

use crate::Error;
use crate::graph::{TensorRef, Use};

/// How products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Weights are decoded, and products computed in single precision with sums in a fixed order:
    /// the same bits on every machine and for every number of threads.
    #[default]
    Exact,
    /// Weights stay as they are, packed for products, and what is multiplied with quantized ones
    /// is rounded to 8 bits, as applications do, or where it is largest to 16. Faster; bits depend
    /// on the instruction set.
    Fast,
    /// As [`Fast`](Self::Fast), but what is multiplied is rounded as llama.cpp does, always to 8
    /// bits. As fast, and less exact: for comparisons.
    FastAsGgml,
}

/// Tensors in memory, by their places in the source.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    tensors: HashMap<usize, Loaded>,
    /// How they are multiplied.
    mode: Mode,
}

#[derive(Debug)]
enum Loaded {
    Blocks(BlockType, Vec<u8>),
    /// A matrix, or one for each expert.
    Packed(Vec<PackedMatrix>),
}

impl Weights {
    /// Reads whole tensors.
    pub(crate) fn load(
        source: &dyn Source,
        tensors: impl IntoIterator<Item = (usize, Use)>,
        mode: Mode,
    ) -> Result<Self, Error> {
        let mut weights = Self::default();
        weights.add(source, tensors, mode)?;
        Ok(weights)
    }

    /// Reads more tensors.
    pub(crate) fn add(
        &mut self,
        source: &dyn Source,
        tensors: impl IntoIterator<Item = (usize, Use)>,
        mode: Mode,
    ) -> Result<(), Error> {
        self.mode = mode;
        for (index, used) in tensors {
            let tensor = &source.tensors()[index];
            let ty = block_type(tensor.ty, &tensor.name)?;
            let (ty, blocks) = read(source, index, ty)?;
            let loaded = match (mode, used) {
                (Mode::Fast | Mode::FastAsGgml, Use::Products) => {
                    Loaded::Packed(pack(tensor, ty, &blocks))
                }
                _ => Loaded::Blocks(ty, blocks),
            };
            self.tensors.insert(index, loaded);
        }
        Ok(())
    }

    /// Exchanges one tensor, which both must have.
    pub(crate) fn exchange(&mut self, other: &mut Self, index: usize) {
        let both = (self.tensors.get_mut(&index), other.tensors.get_mut(&index));
        if let (Some(own), Some(others)) = both {
            std::mem::swap(own, others);
        }
    }

    fn get(&self, tensor: TensorRef) -> &Loaded {
        self.tensors.get(&tensor.index).expect("the layer names all tensors of its steps")
    }

    /// The values of a small tensor.
    pub(crate) fn vector(&self, tensor: TensorRef) -> Cow<'_, [f32]> {
        let Loaded::Blocks(ty, blocks) = self.get(tensor) else {
            unreachable!("only matrices are packed");
        };
        let mut values = vec![0.0; tensor.columns * tensor.rows * tensor.matrices];
        decode_blocks(Isa::detect(), *ty, blocks, &mut values);
        Cow::Owned(values)
    }

    /// The products of one matrix of a tensor with the vectors in `x`.
    pub(crate) fn multiply(
        &self,
        tensor: TensorRef,
        matrix: usize,
        x: &mut Inputs<'_>,
        y: &mut [f32],
    ) {
        match self.get(tensor) {
            Loaded::Packed(packed) => {
                let packed = &packed[matrix];
                packed.matmul_with(x.prepared(packed, self.mode), y);
            }
            Loaded::Blocks(ty, blocks) => {
                let x = x.values;
                let bytes = blocks.len() / tensor.matrices.max(1);
                let blocks = &blocks[matrix * bytes..][..bytes];
                exact::multiply(Isa::detect(), *ty, blocks, tensor.columns, x, y);
            }
        }
    }
}

/// Bytes of a tensor that are read at a time.
const TOGETHER: u64 = 16 << 20;

/// The blocks of a tensor. Numbers of 32 bits whose lower half is zero, as those of checkpoints
/// often are, take half the memory.
fn read(source: &dyn Source, index: usize, ty: BlockType) -> Result<(BlockType, Vec<u8>), Error> {
    let tensor = &source.tensors()[index];
    let rows = tensor.shape.rows().unwrap_or(0);
    let mut blocks = Vec::new();
    if ty != BlockType::F32 {
        source.read_rows(index, 0..rows, &mut blocks)?;
        return Ok((ty, blocks));
    }
    let step = (TOGETHER / (4 * tensor.shape.row()).max(1)).max(1);
    let (mut ty, mut part) = (BlockType::BF16, Vec::new());
    let mut start = 0;
    while start < rows {
        let end = rows.min(start + step);
        source.read_rows(index, start..end, &mut part)?;
        let numbers = part.as_chunks::<4>().0;
        if ty == BlockType::BF16 && !numbers.iter().all(|number| number[..2] == [0, 0]) {
            let wide = |half: &[u8; 2]| [0, 0, half[0], half[1]];
            blocks = blocks.as_chunks().0.iter().flat_map(wide).collect();
            ty = BlockType::F32;
        }
        match ty {
            BlockType::BF16 => blocks.extend(numbers.iter().flat_map(|number| &number[2..])),
            _ => blocks.extend_from_slice(&part),
        }
        start = end;
    }
    Ok((ty, blocks))
}

/// Vectors that several matrices are multiplied with.
pub(crate) struct Inputs<'a> {
    pub(crate) values: &'a [f32],
    /// In the forms that packed matrices need, as far as some have needed them.
    prepared: Vec<Activations>,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(values: &'a [f32]) -> Self {
        Self { values, prepared: Vec::new() }
    }

    fn prepared(&mut self, matrix: &PackedMatrix, mode: Mode) -> &Activations {
        let form = Form::of(matrix.ty());
        let known = self.prepared.iter().position(|known| known.form() == form);
        let index = known.unwrap_or_else(|| {
            let prepare = match mode {
                Mode::FastAsGgml => Activations::as_ggml,
                _ => Activations::quantize_batch,
            };
            self.prepared.push(prepare(matrix.ty(), self.values, matrix.row_values()));
            self.prepared.len() - 1
        });
        &self.prepared[index]
    }
}

/// Packs every matrix of a tensor.
fn pack(tensor: &SourceTensor, ty: BlockType, blocks: &[u8]) -> Vec<PackedMatrix> {
    let columns = usize::try_from(tensor.shape.row()).unwrap_or(0);
    let matrices: u64 = tensor.shape.dimensions().iter().skip(2).product();
    let bytes = blocks.len() / usize::try_from(matrices).unwrap_or(1).max(1);
    let matrices = blocks.chunks_exact(bytes.max(1));
    matrices.map(|blocks| PackedMatrix::from_blocks(&tensor.name, ty, columns, blocks)).collect()
}

/// The type of a tensor, if it is known.
pub(crate) fn block_type(ty: TensorType, name: &str) -> Result<BlockType, Error> {
    match ty {
        TensorType::Known(ty) => Ok(ty),
        TensorType::Unknown(id) => Err(Error::Type { name: name.to_owned(), id }),
    }
}
