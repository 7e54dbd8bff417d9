use std::collections::BTreeMap;

use granule_format::{BlockType, Endian, Header, Limits, TensorInfo};

use super::{Importance, ImportanceError};

const DATASETS: &str = "imatrix.datasets";
const CHUNKS: &str = "imatrix.chunk_count";
const CHUNK_TOKENS: &str = "imatrix.chunk_size";
const SUMS: &str = ".in_sum2";
const COUNTS: &str = ".counts";

/// A pair of tensors for each entry: sums of squares, and how many rows were summed.
pub(super) fn parse(bytes: &[u8]) -> Result<Importance, ImportanceError> {
    // the names are those of a model's tensors with something behind
    let limits = Limits::DEFAULT.with_tensor_name_bytes(256);
    let header = Header::parse_prefix(bytes, bytes.len() as u64, &limits)?;
    let metadata = header.metadata();
    let datasets = metadata.strings(DATASETS).ok().flatten();
    let datasets = datasets.ok_or(ImportanceError::Key { key: DATASETS })?;
    let number = |key| {
        let number = metadata.integer::<u32>(key).ok().flatten();
        number.ok_or(ImportanceError::Key { key })
    };
    let chunks = number(CHUNKS)?;
    number(CHUNK_TOKENS)?;

    let mut pairs: BTreeMap<&str, [Option<&TensorInfo>; 2]> = BTreeMap::new();
    for tensor in header.tensors() {
        for (part, suffix) in [SUMS, COUNTS].into_iter().enumerate() {
            if let Some(name) = tensor.name.strip_suffix(suffix) {
                pairs.entry(name).or_default()[part] = Some(tensor);
            }
        }
    }
    let mut entries = BTreeMap::new();
    for (name, pair) in pairs {
        let (sums, counts) = match pair {
            [Some(sums), Some(counts)] => (sums, counts),
            [Some(sums), None] => return Err(alone(sums, name, COUNTS)),
            [None, Some(counts)] => return Err(alone(counts, name, SUMS)),
            [None, None] => continue,
        };
        let sums = read(bytes, &header, sums)?;
        let counts = read(bytes, &header, counts)?;
        entries.insert(name.to_owned(), weights(name, &sums, &counts)?);
    }
    let datasets = datasets.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    Ok(Importance { file: String::new(), datasets, chunks, entries })
}

fn alone(tensor: &TensorInfo, name: &str, other: &str) -> ImportanceError {
    ImportanceError::Counterpart { have: tensor.name.clone(), lacks: format!("{name}{other}") }
}

fn read(bytes: &[u8], header: &Header, tensor: &TensorInfo) -> Result<Vec<f32>, ImportanceError> {
    if tensor.ty.known() != Some(BlockType::F32) {
        return Err(ImportanceError::Type { name: tensor.name.clone(), found: tensor.ty });
    }
    let span = || {
        let start = header.data_offset().checked_add(tensor.offset)?;
        let end = start.checked_add(tensor.bytes()?)?;
        bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    };
    let data = span().expect("the parser has checked that the data lies in the file");
    let of_bytes = match header.endian() {
        Endian::Little => f32::from_le_bytes,
        Endian::Big => f32::from_be_bytes,
    };
    Ok(data.chunks_exact(4).map(|b| of_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// Mean squares: each count belongs to an equal run of sums.
fn weights(name: &str, sums: &[f32], counts: &[f32]) -> Result<Vec<f32>, ImportanceError> {
    if counts.is_empty() || sums.is_empty() || !sums.len().is_multiple_of(counts.len()) {
        return Err(ImportanceError::Counts {
            name: name.to_owned(),
            values: sums.len() as u64,
            counts: counts.len() as u64,
        });
    }
    let run = sums.len() / counts.len();
    let mut weights = Vec::with_capacity(sums.len());
    for (sums, count) in sums.chunks_exact(run).zip(counts) {
        // halves away from zero; a matrix that was never used weighs all its columns the same
        let count = count.round();
        if count > 0.0 {
            weights.extend(sums.iter().map(|sum| sum / count));
        } else {
            weights.resize(weights.len() + run, 1.0);
        }
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use granule_format::{Array, Draft, Metadata, Shape, Value};

    use super::*;

    fn file(tensors: &[(&str, &[u64], &[f32])], without: &str) -> Vec<u8> {
        let mut metadata = Metadata::new();
        metadata.set(DATASETS, Array::String(["a.txt", "b.txt"].iter().collect()));
        metadata.set(CHUNKS, Value::U32(7));
        metadata.set(CHUNK_TOKENS, Value::U32(512));
        metadata.remove(without);
        let mut draft = Draft::new(metadata, Endian::Little).unwrap();
        for (name, shape, _) in tensors {
            draft.add(name, Shape::new(shape).unwrap(), BlockType::F32.into()).unwrap();
        }
        let mut bytes = draft.header();
        for (_, _, values) in tensors {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            bytes.resize(bytes.len().next_multiple_of(32), 0);
        }
        bytes
    }

    #[test]
    fn sums_are_divided_by_counts() {
        let bytes = file(
            &[
                ("a.weight.in_sum2", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
                ("a.weight.counts", &[1, 3], &[2.0, 0.4, 2.5]),
                ("something else", &[1], &[1.0]),
            ],
            "",
        );
        let importance = Importance::parse(&bytes, "x.gguf").unwrap();
        assert_eq!(importance.get("a.weight"), Some(&[0.5, 1.0, 1.0, 1.0, 5.0 / 3.0, 2.0][..]));
        assert_eq!(importance.names().collect::<Vec<_>>(), ["a.weight"]);
        assert_eq!(importance.datasets(), ["a.txt", "b.txt"]);
        assert_eq!((importance.chunks(), importance.file()), (7, "x.gguf"));
    }

    #[test]
    fn faults_are_named() {
        let pair: &[(&str, &[u64], &[f32])] =
            &[("a.in_sum2", &[2], &[1.0, 2.0]), ("a.counts", &[1], &[1.0])];
        for key in [DATASETS, CHUNKS, CHUNK_TOKENS] {
            let error = Importance::parse(&file(pair, key), "").unwrap_err();
            assert_eq!(error, ImportanceError::Key { key });
        }
        let error = Importance::parse(&file(&pair[..1], ""), "").unwrap_err();
        let have = "a.in_sum2".to_owned();
        assert_eq!(error, ImportanceError::Counterpart { have, lacks: "a.counts".into() });
        let uneven: &[(&str, &[u64], &[f32])] =
            &[("a.in_sum2", &[3], &[1.0; 3]), ("a.counts", &[2], &[1.0; 2])];
        let error = Importance::parse(&file(uneven, ""), "").unwrap_err();
        assert_eq!(error, ImportanceError::Counts { name: "a".into(), values: 3, counts: 2 });
        let nan: &[(&str, &[u64], &[f32])] =
            &[("a.in_sum2", &[2], &[1.0, f32::NAN]), ("a.counts", &[1], &[1.0])];
        let error = Importance::parse(&file(nan, ""), "").unwrap_err();
        assert_eq!(error, ImportanceError::NotAWeight { name: "a".into(), index: 1 });
        assert_eq!(Importance::parse(&file(&[], ""), ""), Err(ImportanceError::Empty));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = file(&[("a.in_sum2", &[2], &[1.0, 2.0]), ("a.counts", &[1], &[1.0])], "");
        // the padding behind the last tensor is no loss
        for length in 0..bytes.len() - 28 {
            assert!(Importance::parse(&bytes[..length], "").is_err(), "{length}");
        }
    }
}
