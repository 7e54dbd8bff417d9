//! What an interrupted run needs to continue at a layer: a folder with the rows between layers and
//! the state of the observer.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A folder in which a run keeps what is needed to continue it after an interruption.
///
/// Two files hold the rows between layers: a layer reads one and writes the other. The file `state`
/// is replaced when a layer is done, and says which of both counts.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
    identity: String,
}

/// Why a run cannot be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The folder cannot be read or written.
    #[error("the journal {}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The folder is of a run with other inputs.
    #[error(
        "{} is of a run with another model, other texts or options, or of another version: give \
         another folder, or remove it to begin anew",
        path.display()
    )]
    Other {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has a file that is damaged.
    #[error("{} is damaged: remove the folder to begin anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// What is known after a layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    /// Layers that are done.
    pub(super) layers: usize,
    /// Chunks that were left.
    pub(super) left: Vec<usize>,
    /// What the observer saved.
    pub(super) observer: Vec<u8>,
}

const MAGIC: &[u8] = b"granule run 1\n";

impl Journal {
    /// A journal in `folder`, which is created. `identity` tells runs with different results apart:
    /// whatever decides the result should be part of it.
    pub fn new(folder: impl Into<PathBuf>, identity: String) -> Self {
        Self { folder: folder.into(), identity }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes the files of the journal, and the folder if nothing else is in it.
    ///
    /// # Errors
    /// If they cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        for name in ["state", "state.new", "rows.0", "rows.1"] {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // others may keep something there
        _ = fs::remove_dir(&self.folder);
        Ok(())
    }

    /// One of the two files with rows.
    pub(super) fn rows(&self, index: usize) -> io::Result<File> {
        let path = self.folder.join(format!("rows.{index}"));
        fs::create_dir_all(&self.folder)?;
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    /// The state of an earlier run, if there was one.
    pub(super) fn read(&self) -> Result<Option<State>, JournalError> {
        let path = self.folder.join("state");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(JournalError::Io { path: self.folder.clone(), source }),
        };
        let (identity, state) = parse(&bytes).ok_or(JournalError::Damaged { path })?;
        if identity != self.identity.as_bytes() {
            return Err(JournalError::Other { path: self.folder.clone() });
        }
        Ok(Some(state))
    }

    /// Replaces the state.
    pub(super) fn write(&self, state: &State) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        let field = |bytes: &mut Vec<u8>, field: &[u8]| {
            bytes.extend((field.len() as u64).to_le_bytes());
            bytes.extend(field);
        };
        field(&mut bytes, self.identity.as_bytes());
        field(&mut bytes, &(state.layers as u64).to_le_bytes());
        let left: Vec<u8> =
            state.left.iter().flat_map(|chunk| (*chunk as u64).to_le_bytes()).collect();
        field(&mut bytes, &left);
        field(&mut bytes, &state.observer);
        bytes.extend(checksum(&bytes));
        let new = self.folder.join("state.new");
        let mut file = File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(new, self.folder.join("state"))
    }
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}

/// The identity and the state.
fn parse(bytes: &[u8]) -> Option<(&[u8], State)> {
    let (bytes, sum) = bytes.split_last_chunk()?;
    if checksum(bytes) != *sum {
        return None;
    }
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut field = || {
        let (length, bytes) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (field, others) = bytes.split_at_checked(length)?;
        rest = others;
        Some(field)
    };
    let number = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).ok();
    let identity = field()?;
    let layers = number(field()?.try_into().ok()?)?;
    let left = field()?.as_chunks().0.iter().map(number).collect::<Option<_>>()?;
    Some((identity, State { layers, left, observer: field()?.to_vec() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_or_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/run");
        let journal = Journal::new(&path, "this".to_owned());
        assert_eq!(journal.read().unwrap(), None);
        journal.rows(0).unwrap();
        let state = State { layers: 7, left: vec![3, 9], observer: vec![1, 2, 3] };
        journal.write(&state).unwrap();
        assert_eq!(journal.read().unwrap(), Some(state));
        let other = Journal::new(&path, "that".to_owned());
        assert!(matches!(other.read(), Err(JournalError::Other { .. })));
        let bytes = fs::read(path.join("state")).unwrap();
        for end in 0..bytes.len() {
            fs::write(path.join("state"), &bytes[..end]).unwrap();
            assert!(matches!(journal.read(), Err(JournalError::Damaged { .. })), "{end} bytes");
        }
        journal.remove().unwrap();
        assert!(!path.exists());
    }
}
