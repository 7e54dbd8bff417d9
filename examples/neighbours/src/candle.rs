//! Tensors of candle.

use std::borrow::Cow;

use anyhow::Context;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Module, Result, Tensor};
use granule_format::BlockType;
use granule_reader::PackedMatrix;

/// The type of candle with the same blocks; `None` if candle has none.
fn same_type(ty: BlockType) -> Option<GgmlDType> {
    Some(match ty {
        BlockType::F32 => GgmlDType::F32,
        BlockType::F16 => GgmlDType::F16,
        BlockType::BF16 => GgmlDType::BF16,
        BlockType::Q4_0 => GgmlDType::Q4_0,
        BlockType::Q4_1 => GgmlDType::Q4_1,
        BlockType::Q5_0 => GgmlDType::Q5_0,
        BlockType::Q5_1 => GgmlDType::Q5_1,
        BlockType::Q8_0 => GgmlDType::Q8_0,
        BlockType::Q2_K => GgmlDType::Q2K,
        BlockType::Q3_K => GgmlDType::Q3K,
        BlockType::Q4_K => GgmlDType::Q4K,
        BlockType::Q5_K => GgmlDType::Q5K,
        BlockType::Q6_K => GgmlDType::Q6K,
        _ => return None,
    })
}

/// The dimensions as candle and burn have them: the length of a row last.
pub(crate) fn dimensions(tensor: granule_reader::Tensor<'_>) -> Vec<usize> {
    tensor.shape().dimensions().iter().rev().map(|n| *n as usize).collect()
}

/// Returns the tensor with its blocks as they are; `None` if candle lacks the type.
pub(crate) fn quantized(tensor: granule_reader::Tensor<'_>) -> anyhow::Result<Option<QTensor>> {
    let Some(ty) = tensor.ty().known().and_then(same_type) else { return Ok(None) };
    let blocks = tensor.read_rows(..)?;
    let storage = QStorage::from_data(Cow::Borrowed(&*blocks), &Device::Cpu, ty)?;
    Ok(Some(QTensor::new(storage, dimensions(tensor))?))
}

/// Returns the decoded values of a tensor of any type.
pub(crate) fn decoded(tensor: granule_reader::Tensor<'_>) -> anyhow::Result<Tensor> {
    Ok(Tensor::from_vec(tensor.to_vec()?, dimensions(tensor), &Device::Cpu)?)
}

/// A linear layer for candle whose weights may have any type: Granule multiplies with the blocks.
pub(crate) struct Linear(PackedMatrix);

impl Linear {
    /// Packs the weights.
    pub(crate) fn new(tensor: granule_reader::Tensor<'_>) -> anyhow::Result<Self> {
        Ok(Self(tensor.pack().context("the weights cannot be packed")?))
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut dimensions = x.dims().to_vec();
        if dimensions.last() != Some(&self.0.row_values()) {
            let found = dimensions.last().copied().unwrap_or(0);
            candle_core::bail!("vectors of {found} values for rows of {}", self.0.row_values());
        }
        let x = x.flatten_all()?.to_vec1::<f32>()?;
        let mut y = vec![0.0; x.len() / self.0.row_values() * self.0.rows()];
        self.0.matmul(&x, &mut y);
        if let Some(last) = dimensions.last_mut() {
            *last = self.0.rows();
        }
        Tensor::from_vec(y, dimensions, &Device::Cpu)
    }
}
