use std::borrow::Cow;
use std::collections::HashMap;

use granule_reader::Source;
use granule_reader::decode_blocks;
use granule_reader::format::{BlockType, TensorType};
use granule_reader::isa::Isa;

use super::product;
use crate::Error;
use crate::graph::TensorRef;

/// How products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Weights are decoded, and products computed in single precision with sums in a fixed order:
    /// the same bits on every machine and for every number of threads.
    #[default]
    Exact,
}

/// Tensors in memory, by their places in the source.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    tensors: HashMap<usize, Loaded>,
}

#[derive(Debug)]
struct Loaded {
    ty: BlockType,
    blocks: Vec<u8>,
}

impl Weights {
    /// Reads whole tensors.
    pub(crate) fn load(
        source: &dyn Source,
        tensors: impl IntoIterator<Item = usize>,
    ) -> Result<Self, Error> {
        let mut weights = Self::default();
        weights.add(source, tensors)?;
        Ok(weights)
    }

    /// Reads more tensors.
    pub(crate) fn add(
        &mut self,
        source: &dyn Source,
        tensors: impl IntoIterator<Item = usize>,
    ) -> Result<(), Error> {
        for index in tensors {
            let tensor = &source.tensors()[index];
            let ty = block_type(tensor.ty, &tensor.name)?;
            let rows = tensor.shape.rows().unwrap_or(0);
            let mut blocks = Vec::new();
            source.read_rows(index, 0..rows, &mut blocks)?;
            self.tensors.insert(index, Loaded { ty, blocks });
        }
        Ok(())
    }

    fn get(&self, tensor: TensorRef) -> &Loaded {
        self.tensors.get(&tensor.index).expect("the layer names all tensors of its steps")
    }

    /// The values of a small tensor.
    pub(crate) fn vector(&self, tensor: TensorRef) -> Cow<'_, [f32]> {
        let Loaded { ty, blocks } = self.get(tensor);
        let mut values = vec![0.0; tensor.columns * tensor.rows * tensor.matrices];
        decode_blocks(Isa::detect(), *ty, blocks, &mut values);
        Cow::Owned(values)
    }

    /// The products of one matrix of a tensor with the vectors in `x`.
    pub(crate) fn multiply(&self, tensor: TensorRef, matrix: usize, x: &[f32], y: &mut [f32]) {
        let Loaded { ty, blocks } = self.get(tensor);
        let bytes = blocks.len() / tensor.matrices.max(1);
        let blocks = &blocks[matrix * bytes..][..bytes];
        product::multiply(*ty, blocks, tensor.columns, tensor.rows, x, y);
    }
}

/// The type of a tensor, if it is known.
pub(crate) fn block_type(ty: TensorType, name: &str) -> Result<BlockType, Error> {
    match ty {
        TensorType::Known(ty) => Ok(ty),
        TensorType::Unknown(id) => Err(Error::Type { name: name.to_owned(), id }),
    }
}
