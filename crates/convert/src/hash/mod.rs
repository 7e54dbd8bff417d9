//! Hashes of tensor data: of each tensor, and of all together.
//!
//! Only the data counts, in little-endian order and without padding, so a split set and the file
//! that it is joined to have the same hashes, and so do a checkpoint and the file that it is
//! converted to. The hash of the whole is that of the tensors' data in the order of the source, as
//! in `llama-gguf-hash`.

mod digest;
pub mod manifest;

use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use granule_reader::Source;

use crate::Error;
pub use digest::Algorithm;
use digest::Digest;

/// Bytes that are read at a time.
const PIECE: u64 = 4 << 20;

/// The hashes that one algorithm gives, as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The hash of each tensor, in the order of the source; empty if these were not asked for, or
    /// the algorithm names models only.
    pub tensors: Vec<String>,
    /// The hash of the data of all tensors.
    pub whole: String,
}

/// What is hashed, and with how many threads.
#[derive(Clone, Copy, Debug)]
pub struct HashOptions<'a> {
    /// The algorithms.
    pub algorithms: &'a [Algorithm],
    /// Whether every tensor gets a hash of its own.
    pub tensors: bool,
    /// The number of threads; `None` for one for each core.
    pub threads: Option<usize>,
    /// Set by the caller to stop.
    pub stop: Option<&'a AtomicBool>,
}

/// Hashes a source. `progress` is called with the number of values that were hashed.
///
/// Data is read once, and each hash is computed by a thread of its own. Memory does not depend on
/// the size of the model.
///
/// # Errors
/// If a tensor has an unknown type or cannot be read, the threads cannot be started, or the caller
/// stops the work.
pub fn hash(
    source: &dyn Source,
    options: &HashOptions<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Hashes>, Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.unwrap_or(0)).build();
    let pool = pool.map_err(Error::Threads)?;
    let mut hashers: Vec<Hasher> = Vec::new();
    for algorithm in options.algorithms {
        hashers.push(Hasher::new(*algorithm, false));
        if options.tensors && algorithm.is_for_tensors() {
            hashers.push(Hasher::new(*algorithm, true));
        }
    }
    let mut reader = Reader { source, tensor: 0, row: 0 };
    let (mut piece, mut next) = (Piece::default(), Piece::default());
    reader.fill(&mut piece)?;
    let mut values = 0;
    while !piece.parts.is_empty() {
        if options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Error::Interrupted { kept: false });
        }
        let read = Mutex::new(Ok(()));
        let current = &piece;
        pool.scope(|scope| {
            scope.spawn(|_| {
                *read.lock().unwrap_or_else(|poison| poison.into_inner()) = reader.fill(&mut next);
            });
            for hasher in &mut hashers {
                scope.spawn(move |_| hasher.update(current));
            }
        });
        read.into_inner().unwrap_or_else(|poison| poison.into_inner())?;
        values += piece.values;
        progress(values);
        mem::swap(&mut piece, &mut next);
    }
    let mut found: Vec<Hashes> = Vec::new();
    for hasher in hashers {
        match (found.last_mut(), hasher.of_tensors) {
            (Some(hashes), true) => hashes.tensors = hasher.done,
            _ => found.push(Hashes {
                algorithm: hasher.algorithm,
                tensors: Vec::new(),
                whole: hasher.digest.finish(),
            }),
        }
    }
    Ok(found)
}

/// Some rows of one or more tensors.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    /// The bytes of each tensor, and whether they are its last.
    parts: Vec<(usize, bool)>,
    values: u64,
}

/// Reads the data of all tensors, piece by piece.
struct Reader<'s> {
    source: &'s dyn Source,
    tensor: usize,
    row: u64,
}

impl Reader<'_> {
    /// Fills a piece; at the end of the source it stays empty.
    fn fill(&mut self, piece: &mut Piece) -> Result<(), Error> {
        let Piece { bytes, parts, values } = piece;
        bytes.clear();
        parts.clear();
        *values = 0;
        let mut rows_read = Vec::new();
        while let Some(tensor) = self.source.tensors().get(self.tensor) {
            let Some(ty) = tensor.ty.known() else {
                let (tensor, id) = (tensor.name.clone(), tensor.ty.id());
                return Err(Error::UnknownType { tensor, id });
            };
            let row = ty.row_bytes(tensor.shape.row()).unwrap_or(0);
            // a tensor without values has any number of rows
            let rows = if row == 0 { 0 } else { tensor.shape.rows().unwrap_or(0) };
            let left = rows - self.row;
            let room = PIECE.saturating_sub(bytes.len() as u64);
            let fitting = room.checked_div(row).unwrap_or(0);
            if fitting == 0 && left > 0 && !bytes.is_empty() {
                break;
            }
            let count = left.min(fitting.max(1));
            let (known, rows) = (bytes.len(), self.row..self.row + count);
            if count > 0 && known == 0 {
                self.source.read_rows(self.tensor, rows, bytes)?;
            } else if count > 0 {
                self.source.read_rows(self.tensor, rows, &mut rows_read)?;
                bytes.extend_from_slice(&rows_read);
            }
            *values += count * tensor.shape.row();
            parts.push((bytes.len() - known, count == left));
            if count < left {
                self.row += count;
                break;
            }
            (self.tensor, self.row) = (self.tensor + 1, 0);
        }
        Ok(())
    }
}

/// A hash that is being computed: of everything, or of one tensor after another.
struct Hasher {
    algorithm: Algorithm,
    of_tensors: bool,
    digest: Digest,
    /// The hashes of complete tensors.
    done: Vec<String>,
}

impl Hasher {
    fn new(algorithm: Algorithm, of_tensors: bool) -> Self {
        Self { algorithm, of_tensors, digest: algorithm.start(), done: Vec::new() }
    }

    fn update(&mut self, piece: &Piece) {
        if !self.of_tensors {
            return self.digest.update(&piece.bytes);
        }
        let mut rest = piece.bytes.as_slice();
        for (bytes, is_last) in &piece.parts {
            let (part, behind) = rest.split_at(*bytes);
            self.digest.update(part);
            if *is_last {
                self.done.push(mem::replace(&mut self.digest, self.algorithm.start()).finish());
            }
            rest = behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use granule_format::{BlockType, Draft, Endian, Metadata, Shape, Writer};
    use granule_reader::GgufSource;

    use super::*;

    /// Two tensors, the first longer than a piece, and an empty one.
    fn source(folder: &tempfile::TempDir) -> (GgufSource, Vec<Vec<u8>>) {
        let mut draft = Draft::new(Metadata::new(), Endian::Little).unwrap();
        let sizes = [(256 * 1024, 5), (0, 2), (7, 1)];
        for (index, (columns, rows)) in sizes.into_iter().enumerate() {
            let shape = Shape::new(&[columns, rows]).unwrap();
            draft.add(&format!("t{index}"), shape, BlockType::F32.into()).unwrap();
        }
        let mut writer = Writer::start(Vec::new(), draft).unwrap();
        let mut datas = Vec::new();
        for (index, (columns, rows)) in sizes.into_iter().enumerate() {
            let data: Vec<u8> = (0..columns * rows * 4).map(|i| (i % 251) as u8).collect();
            let mut tensor = writer.tensor(&format!("t{index}")).unwrap();
            tensor.write_all(&data).unwrap();
            tensor.finish().unwrap();
            datas.push(data);
        }
        let path = folder.path().join("a.gguf");
        std::fs::write(&path, writer.finish().unwrap()).unwrap();
        (GgufSource::open(&path).unwrap(), datas)
    }

    #[test]
    fn hashes_of_tensors_and_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let (source, datas) = source(&folder);
        let of = |algorithm: Algorithm, bytes: &[u8]| {
            let mut digest = algorithm.start();
            digest.update(bytes);
            digest.finish()
        };
        for threads in [1, 3] {
            let options = HashOptions {
                algorithms: Algorithm::ALL,
                tensors: true,
                threads: Some(threads),
                stop: None,
            };
            let found = hash(&source, &options, &|_| {}).unwrap();
            assert_eq!(found.len(), Algorithm::ALL.len());
            for hashes in found {
                let algorithm = hashes.algorithm;
                assert_eq!(hashes.whole, of(algorithm, &datas.concat()), "{algorithm}");
                let tensors: Vec<_> = datas.iter().map(|data| of(algorithm, data)).collect();
                assert_eq!(hashes.tensors.is_empty(), !algorithm.is_for_tensors());
                assert!(hashes.tensors.is_empty() || hashes.tensors == tensors, "{algorithm}");
            }
        }
    }

    #[test]
    fn a_signal_stops_it() {
        let folder = tempfile::tempdir().unwrap();
        let (source, _) = source(&folder);
        let stop = AtomicBool::new(true);
        let algorithms = &[Algorithm::Xxh64];
        let options = HashOptions { algorithms, tensors: false, threads: None, stop: Some(&stop) };
        let found = hash(&source, &options, &|_| {});
        assert!(matches!(found, Err(Error::Interrupted { kept: false })));
    }
}
