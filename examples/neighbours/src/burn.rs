//! Tensors of burn.

use burn_tensor::backend::Backend;
use burn_tensor::{Tensor, TensorData};

use crate::candle::dimensions;

/// Returns the decoded values of a matrix of any type, on any device of burn.
pub(crate) fn decoded<B: Backend>(
    tensor: granule_reader::Tensor<'_>,
    device: &B::Device,
) -> anyhow::Result<Tensor<B, 2>> {
    let shape: [usize; 2] = dimensions(tensor)
        .try_into()
        .map_err(|found| anyhow::anyhow!("{:?} is no matrix: {found:?}", tensor.name()))?;
    Ok(Tensor::from_data(TensorData::new(tensor.to_vec()?, shape), device))
}
