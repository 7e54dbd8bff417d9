//! What an interrupted run leaves beside its temporary file: which tensors are complete.
//!
//! The first line says of which run it is, each of the others names a tensor by its number in the file. A line is
//! written when the bytes of the tensor are on the disk, so what the lines say holds after a power failure, too.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The first word of a journal; the number says how to read it.
const HEAD: &str = "granule-journal-1";

/// The line that says that all tensors are complete, and the file may have its name already.
const COMPLETE: &str = "complete";

/// Longest journal that is read: more than the most tensors of any file take.
const LONGEST_BYTES: u64 = 1 << 28;

/// A journal that lines can be added to. The file comes into being with the first line.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    identity: String,
    file: Option<File>,
}

/// What a journal says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Entries {
    /// Tensors that are complete.
    pub(super) tensors: Vec<usize>,
    /// All are.
    pub(super) complete: bool,
    /// Length of the lines that can be read.
    bytes: u64,
}

/// What was found where a journal can be.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// Nothing, or nothing that can be used.
    Nothing,
    /// The journal of a run with other input or options.
    OtherRun,
    /// The journal of this run.
    Entries(Entries),
}

impl Journal {
    /// A journal at `path` for the run that `identity` stands for.
    pub(super) fn new(path: PathBuf, identity: &str) -> Self {
        Self { path, identity: identity.to_owned(), file: None }
    }

    /// Read what is there. Lines behind one that cannot be read do not count: the run was killed while it
    /// wrote them.
    pub(super) fn read(&self) -> io::Result<Found> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.take(LONGEST_BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        // what is behind the last line break may be half a number
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.split('\n');
        if lines.next() != Some(self.first_line().trim_end()) {
            let other = whole.starts_with(HEAD);
            return Ok(if other { Found::OtherRun } else { Found::Nothing });
        }
        let bytes = self.first_line().len() as u64;
        let mut entries = Entries { bytes, ..Entries::default() };
        for line in lines {
            match line.parse() {
                Ok(tensor) => entries.tensors.push(tensor),
                Err(_) if line == COMPLETE => entries.complete = true,
                Err(_) => break,
            }
            entries.bytes += line.len() as u64 + 1;
        }
        Ok(Found::Entries(entries))
    }

    /// Add tensors whose bytes are on the disk.
    pub(super) fn add(&mut self, tensors: &[usize]) -> io::Result<()> {
        let lines: String = tensors.iter().map(|tensor| format!("{tensor}\n")).collect();
        self.append(&lines)
    }

    /// Say that all tensors are complete.
    pub(super) fn complete(&mut self) -> io::Result<()> {
        self.append(&format!("{COMPLETE}\n"))
    }

    /// Go on behind what was read.
    pub(super) fn continue_behind(&mut self, entries: &Entries) -> io::Result<()> {
        let file = OpenOptions::new().append(true).open(&self.path)?;
        file.set_len(entries.bytes)?;
        self.file = Some(file);
        Ok(())
    }

    /// Whether there is no line.
    pub(super) const fn is_empty(&self) -> bool {
        self.file.is_none()
    }

    /// Remove the file if there is one.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        remove_if_there(&self.path)
    }

    fn append(&mut self, lines: &str) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = OpenOptions::new().write(true).create_new(true).open(&self.path)?;
                file.write_all(self.first_line().as_bytes())?;
                self.file.insert(file)
            }
        };
        file.write_all(lines.as_bytes())?;
        file.sync_data()
    }

    fn first_line(&self) -> String {
        format!("{HEAD} {}\n", self.identity)
    }
}

/// Remove a file; that there is none is no error.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::new(path.clone(), "abc");
        assert_eq!(journal.read().unwrap(), Found::Nothing);
        assert!(journal.is_empty());
        journal.add(&[3, 12]).unwrap();
        journal.add(&[0]).unwrap();
        let read = |identity| match Journal::new(path.clone(), identity).read().unwrap() {
            Found::Entries(entries) => Some(entries),
            _ => None,
        };
        let entries = read("abc").unwrap();
        assert_eq!((&entries.tensors[..], entries.complete), (&[3, 12, 0][..], false));
        assert_eq!(read("abd"), None);
        journal.complete().unwrap();
        assert!(read("abc").unwrap().complete);
        let mut other = Journal::new(path.clone(), "abc");
        other.continue_behind(&entries).unwrap();
        other.add(&[7]).unwrap();
        assert_eq!(read("abc").unwrap().tensors, [3, 12, 0, 7]);
        assert!(!read("abc").unwrap().complete);
        journal.remove().unwrap();
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn every_truncation_says_less_and_nothing_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        Journal::new(path.clone(), "abc").add(&[123, 45, 6]).unwrap();
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            match Journal::new(path.clone(), "abc").read().unwrap() {
                Found::Entries(entries) => {
                    assert_eq!(entries.tensors, [123, 45, 6][..entries.tensors.len()]);
                }
                Found::Nothing => assert!(length <= HEAD.len() + 5),
                Found::OtherRun => panic!("{length}"),
            }
        }
        // zeros where the disk did not get the line
        let cases = [(&b"123\n\0\0\0\n45\n"[..], &[123][..], 4), (b"-1\n2\n", &[], 0)];
        for (bytes, tensors, readable) in cases {
            fs::write(&path, [b"granule-journal-1 abc\n", bytes].concat()).unwrap();
            let found = Journal::new(path.clone(), "abc").read().unwrap();
            assert_eq!(
                found,
                Found::Entries(Entries {
                    tensors: tensors.to_vec(),
                    complete: false,
                    bytes: "granule-journal-1 abc\n".len() as u64 + readable,
                })
            );
        }
    }
}
