use std::collections::BTreeMap;

use std::io;

use granule_format::{
    Array, BlockType, Draft, Endian, Header, Limits, Metadata, Shape, TensorInfo, Value,
    WriteError, Writer,
};

use super::{ColumnSums, Importance, ImportanceError, ImportanceSums};

const DATASETS: &str = "imatrix.datasets";
const CHUNKS: &str = "imatrix.chunk_count";
const CHUNK_TOKENS: &str = "imatrix.chunk_size";
const SQUARES: &str = ".in_sum2";
const COUNTS: &str = ".counts";
/// Sums of values, which other programs skip.
const SUMS: &str = ".in_sum";

/// The texts of a file and its entries.
struct Parsed<'a> {
    datasets: Vec<String>,
    chunks: u32,
    chunk_tokens: u32,
    entries: Vec<(&'a str, Stored)>,
}

/// The tensors of an entry.
struct Stored {
    squares: Vec<f32>,
    counts: Vec<f32>,
    sums: Option<Vec<f32>>,
}

/// Parses two tensors for each entry: sums of squares, and how many rows were summed. A third may
/// hold the sums of the values.
pub(super) fn parse(bytes: &[u8]) -> Result<Importance, ImportanceError> {
    with_entries(bytes, |Parsed { datasets, chunks, chunk_tokens, entries }| {
        let entries = entries.into_iter().map(|(name, stored)| {
            let weights = weights(name, &stored.squares, &stored.counts)?;
            Ok((name.to_owned(), weights))
        });
        let entries = entries.collect::<Result<_, ImportanceError>>()?;
        Ok(Importance { file: String::new(), datasets, chunks, chunk_tokens, entries })
    })
}

/// Parses the sums of each entry.
pub(super) fn parse_sums(bytes: &[u8]) -> Result<ImportanceSums, ImportanceError> {
    with_entries(bytes, |Parsed { datasets, chunks, chunk_tokens, entries }| {
        let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        let entries = entries.into_iter().map(|(name, Stored { squares, counts, sums })| {
            check_counts(name, &squares, &counts)?;
            // halves round away from zero
            let rows = counts.iter().map(|count| count.round().max(0.0) as u64).collect();
            let sums = sums.filter(|sums| sums.len() == squares.len()).map(wide);
            Ok((name.to_owned(), ColumnSums { squares: wide(squares), sums, rows }))
        });
        let entries = entries.collect::<Result<_, ImportanceError>>()?;
        Ok(ImportanceSums { datasets, chunks, chunk_tokens, entries })
    })
}

fn with_entries<T>(
    bytes: &[u8],
    build: impl FnOnce(Parsed<'_>) -> Result<T, ImportanceError>,
) -> Result<T, ImportanceError> {
    // the names are those of a model's tensors plus a suffix
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
    let chunk_tokens = number(CHUNK_TOKENS)?;

    let mut parts: BTreeMap<&str, [Option<&TensorInfo>; 3]> = BTreeMap::new();
    for tensor in header.tensors() {
        for (part, suffix) in [SQUARES, COUNTS, SUMS].into_iter().enumerate() {
            if let Some(name) = tensor.name.strip_suffix(suffix) {
                parts.entry(name).or_default()[part] = Some(tensor);
            }
        }
    }
    let mut entries = Vec::new();
    for (name, parts) in parts {
        let (squares, counts) = match parts {
            [Some(squares), Some(counts), _] => (squares, counts),
            [Some(squares), None, _] => return Err(alone(squares, name, COUNTS)),
            [None, Some(counts), _] => return Err(alone(counts, name, SQUARES)),
            [None, None, _] => continue,
        };
        let [squares, counts] = [squares, counts].map(|tensor| read(bytes, &header, tensor));
        let sums = parts[2].map(|tensor| read(bytes, &header, tensor));
        // sums of another type are not ours
        let sums = sums.and_then(Result::ok);
        entries.push((name, Stored { squares: squares?, counts: counts?, sums }));
    }
    let datasets = datasets.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    build(Parsed { datasets, chunks, chunk_tokens, entries })
}

/// Writes what [`parse`] reads. Every weight is stored as a sum of squares over one row.
pub(super) fn write(importance: &Importance, out: impl io::Write) -> Result<(), WriteError> {
    let metadata = metadata(&importance.datasets, importance.chunks, importance.chunk_tokens);
    let entries = importance.entries.iter();
    let tensors = entries.flat_map(|(name, weights)| {
        let length = weights.len() as u64;
        [
            (format!("{name}{SQUARES}"), [length, 1], weights.clone()),
            (format!("{name}{COUNTS}"), [1, 1], vec![1.0]),
        ]
    });
    write_tensors(metadata, tensors, out)
}

/// Writes what [`parse_sums`] reads.
pub(super) fn write_sums(sums: &ImportanceSums, out: impl io::Write) -> Result<(), WriteError> {
    let metadata = metadata(&sums.datasets, sums.chunks, sums.chunk_tokens);
    let tensors = sums.entries.iter().flat_map(|(name, entry)| {
        let [squares, counts] = entry.stored();
        let matrices = counts.len() as u64;
        let shape = [squares.len() as u64 / matrices.max(1), matrices];
        let of_values = entry.sums.as_ref().map(|sums| {
            let sums = sums.iter().map(|sum| *sum as f32).collect();
            (format!("{name}{SUMS}"), shape, sums)
        });
        [
            Some((format!("{name}{SQUARES}"), shape, squares)),
            Some((format!("{name}{COUNTS}"), [1, matrices], counts)),
            of_values,
        ]
        .into_iter()
        .flatten()
    });
    write_tensors(metadata, tensors, out)
}

fn metadata(datasets: &[String], chunks: u32, chunk_tokens: u32) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.set("general.type", "imatrix");
    metadata.set(DATASETS, Array::String(datasets.iter().collect()));
    metadata.set(CHUNKS, Value::U32(chunks));
    metadata.set(CHUNK_TOKENS, Value::U32(chunk_tokens));
    metadata
}

/// Writes tensors with their names, shapes and values. The iterator is walked twice.
fn write_tensors(
    metadata: Metadata,
    tensors: impl Iterator<Item = (String, [u64; 2], Vec<f32>)> + Clone,
    out: impl io::Write,
) -> Result<(), WriteError> {
    let mut draft = Draft::new(metadata, Endian::Little)?;
    for (name, shape, _) in tensors.clone() {
        // a dimension of one is not stored
        let dimensions = if shape[1] == 1 { &shape[..1] } else { &shape[..] };
        let shape = Shape::new(dimensions).expect("two dimensions");
        draft.add(&name, shape, BlockType::F32.into())?;
    }
    let mut writer = Writer::start(out, draft)?;
    for (name, _, values) in tensors {
        let mut tensor = writer.tensor(&name)?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        io::Write::write_all(&mut tensor, &bytes)?;
        tensor.finish()?;
    }
    writer.finish()?;
    Ok(())
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

/// Each count belongs to a run of sums; all runs have the same length.
fn check_counts(name: &str, sums: &[f32], counts: &[f32]) -> Result<(), ImportanceError> {
    if counts.is_empty() || sums.is_empty() || !sums.len().is_multiple_of(counts.len()) {
        return Err(ImportanceError::Counts {
            name: name.to_owned(),
            values: sums.len() as u64,
            counts: counts.len() as u64,
        });
    }
    Ok(())
}

/// Returns the mean squares.
pub(super) fn weights(
    name: &str,
    sums: &[f32],
    counts: &[f32],
) -> Result<Vec<f32>, ImportanceError> {
    check_counts(name, sums, counts)?;
    let run = sums.len() / counts.len();
    let mut weights = Vec::with_capacity(sums.len());
    for (sums, count) in sums.chunks_exact(run).zip(counts) {
        // halves round away from zero; a matrix that was never used weighs all its columns equally
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
    fn what_is_built_is_read_again() {
        let mut importance = Importance::new("x.gguf");
        importance.set_texts(vec!["a.txt".into(), "b.txt".into()], 7, 512);
        importance.insert("b.weight", vec![0.0, 1.5e-30, f32::MAX]).unwrap();
        importance.insert("a.weight", vec![9.0]).unwrap();
        importance.insert("a.weight", vec![0.1, 0.2]).unwrap();
        let mut bytes = Vec::new();
        importance.write(&mut bytes).unwrap();
        assert_eq!(Importance::parse(&bytes, "x.gguf").unwrap(), importance);
        assert_eq!(importance.get("a.weight"), Some(&[0.1, 0.2][..]));
        for (weights, index) in [(vec![1.0, -0.1], 1), (vec![f32::INFINITY], 0)] {
            let error = importance.insert("c", weights).unwrap_err();
            assert_eq!(error, ImportanceError::NotAWeight { name: "c".into(), index });
        }
        let error = importance.insert("c", Vec::new()).unwrap_err();
        assert_eq!(error, ImportanceError::Counts { name: "c".into(), values: 0, counts: 1 });
        importance.insert("", vec![1.0]).unwrap();
        importance.insert("\n", vec![1.0]).unwrap();
        assert!(matches!(importance.write(&mut Vec::new()), Err(WriteError::Name(_))));
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
        // the padding after the last tensor may be missing
        for length in 0..bytes.len() - 28 {
            assert!(Importance::parse(&bytes[..length], "").is_err(), "{length}");
        }
    }
}
