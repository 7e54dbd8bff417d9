//! Multiplies a batch of vectors with matrices of a GGUF file by candle, burn and Granule, and
//! compares the products: `cargo run --release [FILE [TENSOR ...]]`.
//!
//! Without a file, a small one with matrices in Q4_K and IQ4_XS is made. candle has no IQ4_XS.

mod burn;
mod candle;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use burn_ndarray::NdArray;
use burn_tensor::TensorData;
use candle_core::quantized::QMatMul;
use candle_core::{Device, Module};
use granule_encode::{EncodeOptions, encode};
use granule_format::{BlockType, Draft, Endian, Metadata, Shape, Writer};
use granule_reader::Model;

/// Vectors of the batch.
const VECTORS: usize = 4;

/// The greatest relative error of a product of rounded activations, against decoded weights.
const TOLERANCE: f64 = 0.02;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let path = match arguments.next() {
        Some(path) => PathBuf::from(path),
        None => example(&std::env::temp_dir().join("granule-neighbours.gguf"))?,
    };
    let wanted: Vec<String> = arguments.map(|name| name.to_string_lossy().into_owned()).collect();
    let model = Model::open(&path)?;
    for tensor in model.tensors() {
        let is_wanted = match wanted.is_empty() {
            true => tensor.shape().dimensions().len() == 2,
            false => wanted.iter().any(|name| name == tensor.name()),
        };
        if is_wanted {
            compare(tensor).with_context(|| tensor.name().to_owned())?;
        }
    }
    Ok(())
}

/// Multiplies with one matrix in every way.
fn compare(tensor: granule_reader::Tensor<'_>) -> anyhow::Result<()> {
    let (rows, columns) = (tensor.rows(), tensor.row_values());
    let x: Vec<f32> = noise(1).take(VECTORS * columns).collect();
    let of_candle = candle_core::Tensor::from_slice(&x, (VECTORS, columns), &Device::Cpu)?;
    println!("{}: {} of {rows} x {columns}", tensor.name(), tensor.ty());

    let weights = candle::decoded(tensor)?;
    let expected: Vec<f32> = of_candle.matmul(&weights.t()?)?.flatten_all()?.to_vec1()?;

    let device = Default::default();
    let weights = burn::decoded::<NdArray<f32>>(tensor, &device)?;
    let of_burn = TensorData::new(x.clone(), [VECTORS, columns]);
    let of_burn = burn_tensor::Tensor::<NdArray<f32>, 2>::from_data(of_burn, &device);
    let product = of_burn.matmul(weights.transpose()).into_data();
    let product = product.to_vec::<f32>().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    report("burn, decoded", &product, &expected)?;

    match candle::quantized(tensor)? {
        Some(weights) => {
            let product = QMatMul::from_qtensor(weights)?.forward(&of_candle)?;
            report("candle, its own blocks", &product.flatten_all()?.to_vec1()?, &expected)?;
        }
        None => println!("  candle has no {}", tensor.ty()),
    }
    let product = candle::Linear::new(tensor)?.forward(&of_candle)?;
    report("candle, Granule's product", &product.flatten_all()?.to_vec1()?, &expected)
}

/// Prints the relative error, which has to be small.
fn report(what: &str, found: &[f32], expected: &[f32]) -> anyhow::Result<()> {
    ensure!(found.len() == expected.len(), "{what}: {} products", found.len());
    let square = |value: f32| f64::from(value) * f64::from(value);
    let errors = found.iter().zip(expected).map(|(found, expected)| square(found - expected));
    let of_all: f64 = expected.iter().copied().map(square).sum();
    let relative = (errors.sum::<f64>() / of_all).sqrt();
    println!("  {what}: relative error {relative:.1e}");
    ensure!(relative < TOLERANCE, "{what}: the products differ");
    Ok(())
}

/// Writes a file with two matrices.
fn example(path: &Path) -> anyhow::Result<PathBuf> {
    const ROWS: usize = 512;
    const COLUMNS: usize = 1024;
    let values: Vec<f32> = noise(2).take(ROWS * COLUMNS).collect();
    let types = [("first.weight", BlockType::Q4_K), ("second.weight", BlockType::IQ4_XS)];
    let mut draft = Draft::new(Metadata::new(), Endian::Little)?;
    let shape = Shape::new(&[COLUMNS as u64, ROWS as u64]).context("a shape")?;
    for (name, ty) in types {
        draft.add(name, shape, ty.into())?;
    }
    let mut writer = Writer::start(std::fs::File::create(path)?, draft)?;
    for (name, ty) in types {
        let blocks = encode(ty, &values, COLUMNS, None, &EncodeOptions::default())?;
        let mut tensor = writer.tensor(name)?;
        tensor.write_all(&blocks)?;
        tensor.finish()?;
    }
    writer.finish()?;
    Ok(path.to_owned())
}

/// Numbers between -1 and 1 that are always the same.
fn noise(seed: u32) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / (u32::MAX as f32 / 2.0) - 1.0
    })
}
