//! A model as it will be after quantizing, without a file.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::path::Path;

use granule_encode::{Effort, EncodeError, EncodeOptions, Importance, encode_rows, matrix_weights};
use granule_format::{BlockType, Metadata, TensorType};
use granule_reader::isa::Isa;
use granule_reader::{Error, Source, SourceTensor, decode_blocks};
use rayon::prelude::*;

use crate::Plan;

/// Values that one thread encodes at a time.
const VALUES: u64 = 1 << 18;

/// A source whose rows are quantized when they are read: the blocks that a conversion would write.
pub struct Quantized<'s> {
    source: &'s dyn Source,
    tensors: Vec<SourceTensor>,
    /// The importance of each tensor that is encoded with weights.
    weights: Vec<Option<&'s [f32]>>,
    effort: Effort,
}

/// A tensor that cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[error("tensor {tensor:?} cannot be encoded as {ty}")]
struct EncodeFault {
    tensor: String,
    ty: BlockType,
    source: EncodeError,
}

impl<'s> Quantized<'s> {
    /// Returns the source as it is.
    pub fn new(source: &'s dyn Source, effort: Effort) -> Self {
        let tensors = source.tensors().to_vec();
        let weights = vec![None; tensors.len()];
        Self { source, tensors, weights, effort }
    }

    /// Returns the source as the plan would write it.
    pub fn of_plan(
        plan: &Plan,
        source: &'s dyn Source,
        importance: Option<&'s Importance>,
    ) -> Self {
        let mut quantized = Self::new(source, plan.recipe().effort);
        for tensor in plan.tensors() {
            let weights = importance.filter(|_| tensor.weighted);
            let weights = weights.and_then(|matrix| matrix.get(&tensor.source_name));
            if let TensorType::Known(ty) = tensor.target {
                quantized.set(tensor.source, ty, weights);
            }
        }
        quantized
    }

    /// Gives the tensor at `index` another type. `weights` are those of its columns, one matrix
    /// after another.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub fn set(&mut self, index: usize, ty: BlockType, weights: Option<&'s [f32]>) {
        self.tensors[index].ty = ty.into();
        self.weights[index] = weights;
    }

    fn encode(&self, index: usize, rows: Range<u64>) -> Result<Vec<u8>, Error> {
        let (from, to) = (&self.source.tensors()[index], &self.tensors[index]);
        let (TensorType::Known(stored), TensorType::Known(ty)) = (from.ty, to.ty) else {
            unreachable!("only known types are set, and read");
        };
        let columns = from.shape.row() as usize;
        let mut blocks = Vec::new();
        self.source.read_rows(index, rows.clone(), &mut blocks)?;
        let mut values = vec![0.0; (rows.end - rows.start) as usize * columns];
        let isa = Isa::detect();
        decode_blocks(isa, stored, &blocks, &mut values);
        let fail = |source| {
            let tensor = to.name.clone();
            Error::Source(Box::new(EncodeFault { tensor, ty, source }))
        };
        let row_bytes = ty.row_bytes(columns as u64);
        let row_bytes = row_bytes.ok_or_else(|| fail(EncodeError::RowLength { ty, columns }))?;
        let mut out = vec![0; (rows.end - rows.start) as usize * row_bytes as usize];
        let matrix = rows.start / matrix_rows(from);
        let weights = self.weights[index].map(|weights| matrix_weights(weights, matrix, columns));
        let options = EncodeOptions::from(isa).with_effort(self.effort);
        encode_rows(options, ty, &values, columns, weights.as_deref(), &mut out).map_err(fail)?;
        Ok(out)
    }
}

impl fmt::Debug for Quantized<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quantized").field("effort", &self.effort).finish_non_exhaustive()
    }
}

/// The rows of a matrix of a tensor, at least 1.
fn matrix_rows(tensor: &SourceTensor) -> u64 {
    tensor.shape.dimensions().get(1).copied().unwrap_or(1).max(1)
}

impl Source for Quantized<'_> {
    fn metadata(&self) -> &Metadata {
        self.source.metadata()
    }

    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    fn files(&self) -> Vec<&Path> {
        self.source.files()
    }

    fn objects(&self) -> Vec<(&Path, &str)> {
        self.source.objects()
    }

    fn will_read(&self, index: usize) {
        self.source.will_read(index);
    }

    fn read_rows(&self, index: usize, rows: Range<u64>, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.tensors[index].ty == self.source.tensors()[index].ty {
            return self.source.read_rows(index, rows, out);
        }
        let tensor = &self.tensors[index];
        let (step, matrix) = ((VALUES / tensor.shape.row().max(1)).max(1), matrix_rows(tensor));
        let mut runs = Vec::new();
        let mut start = rows.start;
        while start < rows.end {
            // rows of one matrix have the same weights
            let end = rows.end.min(start + step).min((start / matrix + 1) * matrix);
            runs.push(start..end);
            start = end;
        }
        let parts = runs.into_par_iter().map(|rows| self.encode(index, rows));
        *out = parts.collect::<Result<Vec<_>, Error>>()?.concat();
        Ok(())
    }

    fn fingerprint(&self, index: usize, mut into: &mut dyn Hasher) {
        self.source.fingerprint(index, into);
        (self.tensors[index].ty.id(), self.effort).hash(&mut into);
        if let Some(weights) = self.weights[index] {
            weights.iter().for_each(|weight| weight.to_bits().hash(&mut into));
        }
    }
}
