//! What one machine found in its part of the chunks of a text, in a file.
//!
//! The parts of a run need nothing of each other. When all are done, [`read_all`] reads them in
//! their order, and refuses parts that are not of one run. The files are for the same build of the
//! program on all machines; no other program reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::output::WholeFile;
use crate::run::Part;
use crate::{BUILD, Error};

const MAGIC: &[u8] = b"granule part 1\n";
const HASH: usize = 32;

/// Most bytes of the line that says what a file is about: names of tensors, of texts and models.
const MOST_HEADING: u64 = 64 << 20;

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Sums for an importance matrix.
    Sums,
    /// Second moments of the inputs of matrices.
    Moments,
    /// Scores of predictions.
    Scores,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sums => "`granule imatrix --part`",
            Self::Moments => "`granule imatrix --moments --part`",
            Self::Scores => "`granule measure --part`",
        })
    }
}

/// A part of the chunks and what was found in them.
#[derive(Clone, Debug, PartialEq)]
pub struct TextPart {
    /// What it holds.
    pub kind: Kind,
    /// Which part of all chunks it is.
    pub part: Part,
    /// What is the same for all parts of a run: model, texts and options.
    pub about: Value,
    /// What was found.
    pub content: Vec<u8>,
}

/// Parts could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextPartError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} is no result of {expected}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What is needed.
        expected: Kind,
    },
    /// A file is damaged.
    #[error("{} is damaged or not complete; run that part again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A file was written by another build.
    #[error(
        "{} was written by another version or build of this program ({found}; this is {}): use \
         the same one for all parts",
        path.display(), BUILD
    )]
    Build {
        /// The file.
        path: PathBuf,
        /// The build that wrote it.
        found: String,
    },
    /// Two files are of different runs.
    #[error(
        "{} and {} are parts of different runs: model, texts, options and the number of parts must \
         be the same",
        path.display(), first.display()
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// The first file.
        first: PathBuf,
    },
    /// A part is there twice.
    #[error("{} and {} are both part {part}", path.display(), first.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The first file.
        first: PathBuf,
        /// The part.
        part: Part,
    },
    /// Parts are not there.
    #[error(
        "{} of {count} parts are missing, the first is part {first}: name the files of all parts",
        missing
    )]
    Missing {
        /// How many are missing.
        missing: usize,
        /// The number of parts.
        count: u32,
        /// The first that is missing.
        first: Part,
    },
}

#[derive(Serialize, Deserialize)]
struct Heading {
    kind: Kind,
    part: String,
    build: String,
    about: Value,
}

/// Writes the result of a part, record by record.
#[derive(Debug)]
pub struct PartWriter {
    path: PathBuf,
    file: WholeFile,
    hash: Sha256,
}

impl PartWriter {
    /// Begins a file. None of `inputs` may be replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(
        path: &Path,
        inputs: &[&Path],
        kind: Kind,
        part: Part,
        about: &Value,
    ) -> Result<Self, Error> {
        let file = WholeFile::create(path, inputs)?;
        let mut writer = Self { path: path.to_owned(), file, hash: Sha256::new() };
        let (part, build, about) = (part.to_string(), BUILD.to_owned(), about.clone());
        let heading = serde_json::to_string(&Heading { kind, part, build, about });
        let heading = heading.expect("its keys are strings");
        for bytes in [MAGIC, heading.as_bytes(), b"\n"] {
            writer.put(bytes)?;
        }
        Ok(writer)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(bytes)
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> Result<(), Error> {
        let hash = self.hash.finalize();
        self.file.write_all(&hash).map_err(Error::io(&self.path))?;
        self.file.finish()
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(Error::io(&self.path))
    }
}

/// Reads the result of a part, record by record.
#[derive(Debug)]
pub struct PartReader {
    path: PathBuf,
    file: BufReader<File>,
    hash: Sha256,
    /// Bytes of records that are left.
    left: u64,
    part: Part,
    about: Value,
}

impl PartReader {
    /// Opens a file of this kind.
    ///
    /// # Errors
    /// If it cannot be read, or is no such file of this build.
    pub fn open(path: &Path, kind: Kind) -> Result<Self, TextPartError> {
        let io = |source| TextPartError::Io { path: path.to_owned(), source };
        let damaged = || TextPartError::Damaged { path: path.to_owned() };
        let other = || TextPartError::Kind { path: path.to_owned(), expected: kind };
        let file = granule_reader::file::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut file = BufReader::new(file);
        let mut start = [0; MAGIC.len()];
        if file.read_exact(&mut start).is_err() || start != MAGIC {
            return Err(other());
        }
        let mut heading = Vec::new();
        (&mut file).take(MOST_HEADING).read_until(b'\n', &mut heading).map_err(io)?;
        let mut hash = Sha256::new();
        hash.update(start);
        hash.update(&heading);
        let before = (MAGIC.len() + heading.len() + HASH) as u64;
        let heading: Heading = serde_json::from_slice(&heading).map_err(|_| damaged())?;
        if heading.build != BUILD {
            return Err(TextPartError::Build { path: path.to_owned(), found: heading.build });
        }
        if heading.kind != kind {
            return Err(other());
        }
        let part = heading.part.parse().map_err(|_| damaged())?;
        let left = length.checked_sub(before).ok_or_else(damaged)?;
        let (path, about) = (path.to_owned(), heading.about);
        Ok(Self { path, file, hash, left, part, about })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which part of all chunks it is.
    pub const fn part(&self) -> Part {
        self.part
    }

    /// What is the same for all parts of a run.
    pub const fn about(&self) -> &Value {
        &self.about
    }

    /// Reads the next record. After the last, `None` says that the file is as it was written.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn record(&mut self) -> Result<Option<Vec<u8>>, TextPartError> {
        let damaged = || TextPartError::Damaged { path: self.path.clone() };
        let io = |source| TextPartError::Io { path: self.path.clone(), source };
        if self.left == 0 {
            let mut hash = [0; HASH];
            self.file.read_exact(&mut hash).map_err(io)?;
            return match self.hash.clone().finalize()[..] == hash {
                true => Ok(None),
                false => Err(damaged()),
            };
        }
        let mut length = [0; 8];
        self.left = self.left.checked_sub(length.len() as u64).ok_or_else(damaged)?;
        self.file.read_exact(&mut length).map_err(io)?;
        let bytes = u64::from_le_bytes(length);
        self.left = self.left.checked_sub(bytes).ok_or_else(damaged)?;
        let mut record = vec![0; usize::try_from(bytes).map_err(|_| damaged())?];
        self.file.read_exact(&mut record).map_err(io)?;
        self.hash.update(length);
        self.hash.update(&record);
        Ok(Some(record))
    }
}

impl TextPart {
    /// Writes a file of one record. None of `inputs` may be replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path, inputs: &[&Path]) -> Result<(), Error> {
        let mut writer = PartWriter::create(path, inputs, self.kind, self.part, &self.about)?;
        writer.record(&self.content)?;
        writer.finish()
    }
}

/// Returns what a file holds, if it is the result of a part; of any build.
pub fn kind(path: &Path) -> Option<Kind> {
    let mut file = BufReader::new(granule_reader::file::open(path).ok()?);
    let mut start = [0; MAGIC.len()];
    file.read_exact(&mut start).ok()?;
    if start != MAGIC {
        return None;
    }
    let mut heading = Vec::new();
    file.take(MOST_HEADING).read_until(b'\n', &mut heading).ok()?;
    // one of another build is one, too; what is wrong with it is said when it is opened
    let kind = serde_json::from_slice(&heading).map(|heading: Heading| heading.kind);
    Some(kind.unwrap_or(Kind::Sums))
}

/// Opens all parts of a run, and returns them in their order.
///
/// # Errors
/// If a file cannot be read, or if the files are not all parts of one run, each once.
pub fn open_all(paths: &[PathBuf], kind: Kind) -> Result<Vec<PartReader>, TextPartError> {
    let mut parts: BTreeMap<u32, PartReader> = BTreeMap::new();
    for path in paths {
        let opened = PartReader::open(path, kind)?;
        let part = opened.part;
        if let Some(first) = parts.values().next()
            && (&first.about, first.part.count()) != (&opened.about, part.count())
        {
            let (path, first) = (path.clone(), first.path.clone());
            return Err(TextPartError::OtherRun { path, first });
        }
        if let Some(first) = parts.insert(part.number(), opened) {
            return Err(TextPartError::Twice { path: path.clone(), first: first.path, part });
        }
    }
    let count = parts.values().next().map_or(0, |part| part.part.count());
    let mut missing = (1..=count).filter(|number| !parts.contains_key(number));
    if let Some(first) = missing.next().and_then(|number| Part::new(number, count)) {
        return Err(TextPartError::Missing { missing: 1 + missing.count(), count, first });
    }
    Ok(parts.into_values().collect())
}

/// Reads all parts of a run, each of one record, and returns them in their order.
///
/// # Errors
/// As [`open_all`], or if a file is damaged.
pub fn read_all(paths: &[PathBuf], kind: Kind) -> Result<Vec<TextPart>, TextPartError> {
    let read = |mut reader: PartReader| {
        let content = reader.record()?;
        let content = content.filter(|_| reader.left == 0);
        let damaged = || TextPartError::Damaged { path: reader.path.clone() };
        let content = content.ok_or_else(damaged)?;
        reader.record()?;
        Ok(TextPart { kind, part: reader.part, about: reader.about, content })
    };
    open_all(paths, kind)?.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn part(number: u32, about: &str) -> TextPart {
        let part = Part::new(number, 3).unwrap();
        let content = vec![number as u8; 100];
        TextPart { kind: Kind::Sums, part, about: about.into(), content }
    }

    #[test]
    fn parts_of_one_run_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for number in 1..=3 {
            part(number, "this").write(&path(&number.to_string()), &[]).unwrap();
        }
        part(2, "that").write(&path("other"), &[]).unwrap();
        fs::write(path("none"), "GGUF").unwrap();
        assert_eq!(super::kind(&path("1")), Some(Kind::Sums));
        assert!(super::kind(&path("none")).is_none() && super::kind(&path("nosuch")).is_none());
        let read = |names: &[&str], kind| {
            let paths: Vec<PathBuf> = names.iter().map(|name| path(name)).collect();
            read_all(&paths, kind)
        };
        let all = read(&["3", "1", "2"], Kind::Sums).unwrap();
        assert_eq!(all, [part(1, "this"), part(2, "this"), part(3, "this")]);
        for (names, kind, expected) in [
            (&["1", "3"][..], Kind::Sums, "1 of 3 parts are missing, the first is part 2/3"),
            (&["1", "3", "1"], Kind::Sums, "are both part 1/3"),
            (&["1", "other", "3"], Kind::Sums, "are parts of different runs"),
            (&["1", "none"], Kind::Sums, "none is no result of `granule imatrix --part`"),
            (&["1", "2", "3"], Kind::Scores, "is no result of `granule measure --part`"),
            (&["1", "nosuch"], Kind::Sums, "cannot read"),
        ] {
            let error = read(names, kind).unwrap_err().to_string();
            assert!(error.contains(expected), "{names:?}: {error}");
        }
        let only = TextPart { part: Part::new(1, 1).unwrap(), ..part(1, "this") };
        only.write(&path("only"), &[]).unwrap();
        let bytes = fs::read(path("only")).unwrap();
        for end in (MAGIC.len()..bytes.len()).step_by(7) {
            fs::write(path("cut"), &bytes[..end]).unwrap();
            let error = read(&["cut"], Kind::Sums).unwrap_err();
            assert!(matches!(error, TextPartError::Damaged { .. }), "{end}: {error}");
        }
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(path("cut"), changed).unwrap();
        let error = read(&["cut"], Kind::Sums).unwrap_err();
        assert!(matches!(error, TextPartError::Damaged { .. }), "{error}");
    }
}
