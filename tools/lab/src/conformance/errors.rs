use std::path::Path;

use anyhow::{Context, bail, ensure};
use granule_encode::{Weighting, encode_rows, encoder};
use granule_format::BlockType;
use granule_reader::Model;
use granule_reader::isa::Isa;

use super::reference::Reference;

/// A table of the relative root-mean-square error of each type on the weights of a GGUF file with
/// 32-bit or 16-bit tensors, for the reference and for Granule: `errors MODEL.gguf`.
///
/// The error is the root of the mean square of the difference, divided by that of the weights.
/// Types that need importance weights get equal ones.
pub(super) fn compare(arguments: &[String]) -> anyhow::Result<()> {
    let [path] = arguments else { bail!("give one GGUF file") };
    let tensors = read(Path::new(path))?;
    let values: usize = tensors.iter().map(|(_, values)| values.len()).sum();
    println!("{} tensors, {values} values of {path}", tensors.len());
    println!("{:<8} {:>16} {:>14} {:>14}", "type", "bits per weight", "reference", "granule");
    let mut reference = Reference::start()?;
    for ty in BlockType::ALL.iter().copied() {
        let Some(encoder) = encoder(ty).filter(|_| ty.is_quantized()) else { continue };
        if matches!(ty, BlockType::Q8_1 | BlockType::Q8_K) {
            continue;
        }
        let mut sums = [0.0; 3];
        for (columns, values) in &tensors {
            if !columns.is_multiple_of(ty.block_values()) {
                continue;
            }
            let ones = vec![1.0; *columns];
            let weights = (encoder.weighting() == Weighting::Required).then_some(ones.as_slice());
            let expected = reference.encode(ty, values, *columns, weights)?;
            let mut found = vec![0; expected.blocks.len()];
            encode_rows(Isa::detect(), ty, values, *columns, weights, &mut found)?;
            sums[0] += squares(values, |_, value| value);
            for (sum, blocks) in sums[1..].iter_mut().zip([&expected.blocks, &found]) {
                let mut decoded = vec![0.0; values.len()];
                ty.decode_row(blocks, &mut decoded);
                *sum += squares(values, |i, value| value - f64::from(decoded[i]));
            }
        }
        let [weights, expected, found] = sums;
        ensure!(weights > 0.0, "no tensor has rows of whole {ty} blocks");
        println!(
            "{:<8} {:>16.4} {:>14.8} {:>14.8}",
            ty.name(),
            ty.bits_per_value(),
            (expected / weights).sqrt(),
            (found / weights).sqrt()
        );
        ensure!(expected == found, "{ty}: the errors differ");
    }
    Ok(())
}

/// Row length and values of every matrix.
fn read(path: &Path) -> anyhow::Result<Vec<(usize, Vec<f32>)>> {
    let model = Model::open(path)?;
    let matrices = model.tensors().filter(|tensor| tensor.shape().dimensions().len() > 1);
    let tensors: Vec<_> = matrices
        .map(|tensor| Ok((tensor.row_values(), tensor.to_vec()?)))
        .collect::<anyhow::Result<_>>()?;
    tensors.first().context("the file has no matrices")?;
    Ok(tensors)
}

fn squares(values: &[f32], term: impl Fn(usize, f64) -> f64) -> f64 {
    values.iter().enumerate().map(|(i, value)| term(i, f64::from(*value)).powi(2)).sum()
}
