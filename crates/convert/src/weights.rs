//! The error of a model's weights against the original's, tensor by tensor.

use granule_encode::Importance;
use granule_format::{BlockType, TensorType};
use granule_reader::isa::Isa;
use granule_reader::{Source, decode_blocks};
use rayon::prelude::*;

use crate::verify::Loss;

/// The error of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorError {
    /// Its name.
    pub name: String,
    /// Its type in the model.
    pub ty: BlockType,
    /// The error over all values.
    pub loss: Loss,
    /// The error where each column counts as much as an importance matrix says; `None` if that has
    /// no entry of this size.
    pub weighted: Option<Loss>,
}

/// Why weights cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A model cannot be read.
    #[error(transparent)]
    Read(#[from] granule_reader::Error),
    /// A tensor has other dimensions in the original.
    #[error("tensor {name:?} has the shape {found} here and {expected} in the original")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: String,
        /// Its shape in the original.
        expected: String,
    },
    /// No tensor of the model is in the original.
    #[error("the original has none of the tensors of the model")]
    Nothing,
}

/// Values that are decoded at a time.
const VALUES: u64 = 1 << 18;

/// Compares all tensors of a model that the original has too, in the order of the model. Tensors of
/// types that cannot be decoded are left out.
///
/// # Errors
/// If a model cannot be read, a tensor has another shape in the original, or none is there.
pub fn compare(
    model: &dyn Source,
    original: &dyn Source,
    importance: Option<&Importance>,
) -> Result<Vec<TensorError>, WeightsError> {
    let mut pairs = Vec::new();
    for (index, tensor) in model.tensors().iter().enumerate() {
        let other = original.tensors().iter().position(|other| other.name == tensor.name);
        let Some(other) = other else { continue };
        let expected = &original.tensors()[other];
        if expected.shape != tensor.shape {
            return Err(WeightsError::Shape {
                name: tensor.name.clone(),
                found: tensor.shape.to_string(),
                expected: expected.shape.to_string(),
            });
        }
        if let (TensorType::Known(ty), TensorType::Known(of_other)) = (tensor.ty, expected.ty) {
            pairs.push(((model, index, ty), (original, other, of_other)));
        }
    }
    if pairs.is_empty() {
        return Err(WeightsError::Nothing);
    }
    let errors = pairs.into_par_iter().map(|(tensor, other)| one(tensor, other, importance));
    errors.collect()
}

/// A tensor of a source, and its type.
type Place<'s> = (&'s dyn Source, usize, BlockType);

fn one(
    tensor: Place<'_>,
    original: Place<'_>,
    importance: Option<&Importance>,
) -> Result<TensorError, WeightsError> {
    let info = &tensor.0.tensors()[tensor.1];
    let (columns, rows) = (info.shape.row(), info.shape.rows().unwrap_or(0));
    let weights = importance.and_then(|importance| importance.get(&info.name));
    let weights =
        weights.filter(|weights| columns > 0 && (weights.len() as u64).is_multiple_of(columns));
    let matrix_rows = info.shape.dimensions().get(1).copied().unwrap_or(1).max(1);
    let (mut loss, mut weighted) = (Loss::default(), Loss::default());
    let step = (VALUES / columns.max(1)).max(1);
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    let mut start = 0;
    while start < rows {
        let end = rows.min(start + step);
        for (place, values) in [(tensor, &mut found), (original, &mut expected)] {
            decode(place, start..end, columns, values)?;
        }
        let columns = columns as usize;
        let pairs = found.chunks_exact(columns).zip(expected.chunks_exact(columns));
        for (row, (found, expected)) in (start..end).zip(pairs) {
            let of_row = weights.map(|weights| {
                let matrix = (row / matrix_rows) as usize * columns % weights.len();
                &weights[matrix..][..columns]
            });
            for (column, (found, expected)) in found.iter().zip(expected).enumerate() {
                let [found, expected] = [found, expected].map(|value| f64::from(*value));
                let squares = [(found - expected).powi(2), expected * expected];
                loss.squared_error += squares[0];
                loss.squared_values += squares[1];
                if let Some(weight) = of_row.map(|weights| f64::from(weights[column])) {
                    weighted.squared_error += weight * squares[0];
                    weighted.squared_values += weight * squares[1];
                }
            }
        }
        start = end;
    }
    let weighted = weights.map(|_| weighted);
    Ok(TensorError { name: info.name.clone(), ty: tensor.2, loss, weighted })
}

fn decode(
    (source, index, ty): Place<'_>,
    rows: std::ops::Range<u64>,
    columns: u64,
    out: &mut Vec<f32>,
) -> Result<(), granule_reader::Error> {
    let mut blocks = Vec::new();
    let count = (rows.end - rows.start) * columns;
    source.read_rows(index, rows, &mut blocks)?;
    out.resize(count as usize, 0.0);
    decode_blocks(Isa::detect(), ty, &blocks, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use granule_format::{BlockType, Draft, Endian, Metadata, Shape, Writer};
    use granule_reader::GgufSource;
    use std::io::Write;

    use super::*;

    fn source(folder: &tempfile::TempDir, name: &str, rows: u64, values: &[f32]) -> GgufSource {
        let mut draft = Draft::new(Metadata::new(), Endian::Little).unwrap();
        let shape = Shape::new(&[values.len() as u64 / rows, rows]).unwrap();
        draft.add("a.weight", shape, BlockType::F32.into()).unwrap();
        let mut bytes = Vec::new();
        let mut writer = Writer::start(&mut bytes, draft).unwrap();
        let mut tensor = writer.tensor("a.weight").unwrap();
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensor.write_all(&data).unwrap();
        tensor.finish().unwrap();
        writer.finish().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        GgufSource::open(&path).unwrap()
    }

    #[test]
    fn errors_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let original = source(&folder, "a", 2, &[3.0, 0.0, 0.0, 4.0]);
        let model = source(&folder, "b", 2, &[3.0, 1.0, 0.0, 2.0]);
        let mut importance = Importance::new("");
        importance.insert("a.weight", vec![0.0, 2.0]).unwrap();
        let found = compare(&model, &original, Some(&importance)).unwrap();
        let expected = Loss { squared_error: 5.0, squared_values: 25.0 };
        assert_eq!((found[0].name.as_str(), found[0].loss), ("a.weight", expected));
        let expected = Loss { squared_error: 10.0, squared_values: 32.0 };
        assert_eq!(found[0].weighted, Some(expected));
        let other = source(&folder, "c", 1, &[3.0, 1.0, 0.0, 2.0]);
        assert!(matches!(compare(&other, &original, None), Err(WeightsError::Shape { .. })));
    }
}
