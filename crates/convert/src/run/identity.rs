//! The identity of a run, which distinguishes runs that make different files at the same path.

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use granule_format::{Draft, Endian};
use granule_infer::Chunks;
use granule_reader::Source;
use sha2::{Digest, Sha256};

use super::{OutputFile, RunOptions, Target};
use crate::Error;

/// The inputs that determine the bytes of an output: the name of each in journals, and in messages.
const PARTS: [(&str, &str); 8] = [
    ("build", "the version or build of this program"),
    ("files", "the source files (their names, sizes or times of change)"),
    ("reading", "the selection, arrangement or transformation of the source data"),
    ("metadata", "the metadata"),
    ("tensors", "the names, shapes, types or byte order of the tensors"),
    ("weights", "the importance weights"),
    ("effort", "the effort"),
    ("calibration", "the calibration text or its options"),
];

/// Indices of the parts in [`PARTS`].
const BUILD: usize = 0;
const FILES: usize = 1;
const READING: usize = 2;
const METADATA: usize = 3;
const TENSORS: usize = 4;
const WEIGHTS: usize = 5;
const EFFORT: usize = 6;
const CALIBRATION: usize = 7;

/// A hash of each of the parts that determine the bytes of an output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identity([String; PARTS.len()]);

impl Identity {
    /// The name of the build in messages.
    #[cfg(test)]
    pub(crate) const BUILD: &str = PARTS[BUILD].1;

    /// Returns the names of all parts in messages.
    pub(crate) fn parts() -> impl Iterator<Item = &'static str> {
        PARTS.iter().map(|(_, name)| *name)
    }

    /// Returns the parts that differ from a run whose identity is `written`, in the form of
    /// [`Display`]. If it is unknown (`None`), only the build is known to differ.
    pub(crate) fn differences(&self, written: Option<&str>) -> Vec<&'static str> {
        let Some(written) = written else { return vec![PARTS[BUILD].1] };
        let words: Vec<&str> = written.split(' ').collect();
        let own = self.words();
        let alike = |index: usize| words.get(index) == Some(&&*own[index]);
        Self::parts()
            .enumerate()
            .filter(|(index, _)| !alike(*index))
            .map(|(_, name)| name)
            .collect()
    }

    fn words(&self) -> Vec<String> {
        PARTS.iter().zip(&self.0).map(|((word, _), hash)| format!("{word}={hash}")).collect()
    }

    /// Returns an identity whose metadata part depends on the letter.
    #[cfg(test)]
    pub(crate) fn of_test(letter: char) -> Self {
        let mut identity = Self(std::array::from_fn(|part| format!("{part:08x}")));
        identity.0[METADATA] = letter.to_string();
        identity
    }
}

impl Display for Identity {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str(&self.words().join(" "))
    }
}

/// Returns the identities of the files that a run writes.
pub(super) fn identities(
    source: &dyn Source,
    stamps: &Stamps,
    files: &[OutputFile],
    targets: &[Target<'_>],
    options: &RunOptions,
) -> Vec<Identity> {
    let mut inputs = Digester::default();
    stamps.0.iter().for_each(|(path, stamp)| (path.file_name(), stamp).hash(&mut inputs));
    source.objects().iter().for_each(|(path, version)| (path, version).hash(&mut inputs));
    let inputs = inputs.0.finalize();

    let mut identities = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let mut parts: [Digester; PARTS.len()] = Default::default();
        let versions = [granule_format::VERSION, granule_reader::VERSION];
        (crate::BUILD, versions).hash(&mut parts[BUILD]);
        parts[FILES].write(&inputs);
        let metadata = Draft::new(file.draft.metadata().clone(), Endian::Little);
        let metadata = metadata.expect("a draft has these metadata");
        parts[METADATA].write(&metadata.header());
        (file.draft.endian() == Endian::Big).hash(&mut parts[TENSORS]);
        for tensor in file.draft.tensors() {
            let about = (&tensor.name, tensor.shape.dimensions(), tensor.ty.id(), tensor.offset);
            about.hash(&mut parts[TENSORS]);
        }
        for target in targets.iter().filter(|target| target.file == number) {
            let tensor = &source.tensors()[target.source];
            let about = (&tensor.name, tensor.shape.dimensions(), tensor.ty.id());
            (target.tensor, about).hash(&mut parts[READING]);
            source.fingerprint(target.source, &mut parts[READING]);
            let weights = target.weights.map(|weights| {
                let mut hash = Digester::default();
                weights.iter().for_each(|weight| hash.write(&weight.to_le_bytes()));
                <[u8; 32]>::from(hash.0.finalize())
            });
            (target.tensor, weights).hash(&mut parts[WEIGHTS]);
            (target.tensor, target.effort).hash(&mut parts[EFFORT]);
            if let Some(calibration) = options.calibration.as_ref().filter(|_| target.calibrated) {
                (target.tensor, calibration).hash(&mut parts[CALIBRATION]);
            }
        }
        identities.push(Identity(parts.map(Digester::hex)));
    }
    identities
}

/// Returns what decides the result of running a model over chunks of text, besides `settings`.
///
/// # Errors
/// If the attributes of a source file cannot be read.
pub fn of_chunks(source: &dyn Source, chunks: &Chunks, settings: &str) -> Result<String, Error> {
    let mut all = Digester::default();
    let versions = [granule_format::VERSION, granule_reader::VERSION];
    (crate::BUILD, versions, settings).hash(&mut all);
    let Stamps(stamps) = Stamps::of(source.files())?;
    stamps.iter().for_each(|(path, stamp)| (path.file_name(), stamp).hash(&mut all));
    source.objects().iter().for_each(|(path, version)| (path, version).hash(&mut all));
    (0..source.tensors().len()).for_each(|index| source.fingerprint(index, &mut all));
    header_and_chunks(source, chunks, &mut all);
    Ok(all.hex())
}

/// As [`of_chunks`], for machines that have copies of the model: nothing of it depends on where its
/// files are and when they were written. Of the weights it covers one row of each tensor, which
/// tells models apart that were trained from the same one.
///
/// # Errors
/// If a row cannot be read.
pub fn of_chunks_anywhere(
    source: &dyn Source,
    chunks: &Chunks,
    settings: &str,
) -> Result<String, Error> {
    let mut all = Digester::default();
    settings.hash(&mut all);
    header_and_chunks(source, chunks, &mut all);
    let mut row = Vec::new();
    for (index, tensor) in source.tensors().iter().enumerate() {
        let rows = tensor.shape.rows().unwrap_or(0);
        if rows > 0 {
            // the first rows are often of tokens that nobody uses
            source.read_rows(index, rows / 2..rows / 2 + 1, &mut row)?;
            all.write(&row);
        }
    }
    Ok(all.hex())
}

/// Hashes the metadata of a model, its tensors but for their values, and chunks of text.
fn header_and_chunks(source: &dyn Source, chunks: &Chunks, all: &mut Digester) {
    for tensor in source.tensors() {
        (&tensor.name, tensor.shape.dimensions(), tensor.ty.id()).hash(all);
    }
    if let Ok(metadata) = Draft::new(source.metadata().clone(), Endian::Little) {
        all.write(&metadata.header());
    }
    (chunks.chunk_tokens(), chunks.texts(), chunks.tokens()).hash(all);
}

/// The source files of a run, with attributes that change when the files change.
#[derive(Debug)]
pub(super) struct Stamps(Vec<(PathBuf, Stamp)>);

/// Length, times and inode of a file.
#[derive(Debug, Hash, PartialEq)]
struct Stamp {
    bytes: u64,
    /// Time of modification in nanoseconds; 0 if the system has none.
    modified: u128,
    /// The time of the last change of content or inode, which programs cannot set, and the inode
    /// number.
    inode: Option<(i64, i64, u64)>,
}

impl Stamps {
    /// Reads the attributes of the files.
    pub(super) fn of<'p>(files: impl IntoIterator<Item = &'p Path>) -> Result<Self, Error> {
        let stamp = |path: &'p Path| Ok((path.to_owned(), Stamp::of(path)?));
        files.into_iter().map(stamp).collect::<Result<_, Error>>().map(Self)
    }

    /// Returns a file that has changed.
    pub(super) fn changed(&self) -> Option<&Path> {
        let changed =
            |(path, stamp): &&(PathBuf, Stamp)| Stamp::of(path).ok().as_ref() != Some(stamp);
        self.0.iter().find(changed).map(|(path, _)| path.as_path())
    }
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, Error> {
        let about = path.metadata().map_err(Error::io(path))?;
        let modified = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt;
            Some((about.ctime(), about.ctime_nsec(), about.ino()))
        };
        #[cfg(not(unix))]
        let inode = None;
        Ok(Self { bytes: about.len(), modified, inode })
    }
}

/// A SHA-256 hasher.
#[derive(Default)]
struct Digester(Sha256);

impl Digester {
    /// Returns the first half of the hash, which is enough to distinguish inputs.
    fn hex(self) -> String {
        self.0.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Hasher for Digester {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(std::array::from_fn(|index| digest[index]))
    }
}
