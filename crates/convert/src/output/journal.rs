//! The journal that an interrupted run leaves next to its temporary file: it lists the complete
//! tensors.
//!
//! The first line identifies the run; each of the others names a tensor by its number in the file.
//! A line is written once the tensor's bytes are on the disk, so the journal is valid even after a
//! power failure.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::run::Identity;

/// The first word of a journal, up to the version number.
const HEAD: &str = "granule-journal-";

/// The version of the journal format.
const VERSION: u32 = 2;

/// The line that says that all tensors are complete and the file may already have its name.
const COMPLETE: &str = "complete";

/// Longest journal that is read, in bytes: more than a file with the largest number of tensors
/// needs.
const LONGEST_BYTES: u64 = 1 << 28;

/// A journal that lines can be added to. The first line creates the file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    identity: Identity,
    file: Option<File>,
}

/// The content of a journal.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Entries {
    /// The complete tensors.
    pub(super) tensors: Vec<usize>,
    /// Whether all tensors are complete.
    pub(super) complete: bool,
    /// Length of the readable lines, in bytes.
    bytes: u64,
}

/// The result of looking for a journal.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// No journal, or an unusable one.
    Nothing,
    /// The journal of a run that would have written other bytes, with the inputs that differ.
    OtherRun(Vec<&'static str>),
    /// The journal of this run.
    Entries(Entries),
}

impl Journal {
    /// Returns a journal at `path` for the run that `identity` identifies.
    pub(super) const fn new(path: PathBuf, identity: Identity) -> Self {
        Self { path, identity, file: None }
    }

    /// Reads the journal. Ignores everything after an unreadable line: the run was killed while it
    /// wrote these lines.
    pub(super) fn read(&self) -> io::Result<Found> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.take(LONGEST_BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        // the text after the last line break may be half a number
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut entries = match first_line_of(whole, &self.identity) {
            Found::Entries(entries) => entries,
            other => return Ok(other),
        };
        for line in whole.split('\n').skip(1) {
            match line.parse() {
                Ok(tensor) => entries.tensors.push(tensor),
                Err(_) if line == COMPLETE => entries.complete = true,
                Err(_) => break,
            }
            entries.bytes += line.len() as u64 + 1;
        }
        Ok(Found::Entries(entries))
    }

    /// Adds tensors whose bytes are on the disk.
    pub(super) fn add(&mut self, tensors: &[usize]) -> io::Result<()> {
        let lines: String = tensors.iter().map(|tensor| format!("{tensor}\n")).collect();
        self.append(&lines)
    }

    /// Records that all tensors are complete.
    pub(super) fn complete(&mut self) -> io::Result<()> {
        self.append(&format!("{COMPLETE}\n"))
    }

    /// Continues after the entries that were read.
    pub(super) fn continue_after(&mut self, entries: &Entries) -> io::Result<()> {
        let file = OpenOptions::new().append(true).open(&self.path)?;
        file.set_len(entries.bytes)?;
        self.file = Some(file);
        Ok(())
    }

    /// Returns whether the journal has no lines.
    pub(super) const fn is_empty(&self) -> bool {
        self.file.is_none()
    }

    /// Removes the file if it exists.
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
        first_line(&self.identity)
    }
}

/// Returns the first line of the journal of a run.
pub(super) fn first_line(identity: &Identity) -> String {
    format!("{HEAD}{VERSION} {identity}\n")
}

/// Returns whose journal begins like this; of this run's, no more entries than the first line.
pub(super) fn first_line_of(text: &str, identity: &Identity) -> Found {
    let first = text.split('\n').next().unwrap_or_default();
    let Some((version, written)) = first.strip_prefix(HEAD).and_then(|l| l.split_once(' ')) else {
        return Found::Nothing;
    };
    let differs = identity.differences((version == VERSION.to_string()).then_some(written));
    match differs.is_empty() {
        true => {
            let bytes = first_line(identity).len() as u64;
            Found::Entries(Entries { bytes, ..Entries::default() })
        }
        false => Found::OtherRun(differs),
    }
}

/// Removes a file. A missing file is not an error.
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

    /// Returns the identity of a run, distinguished by a letter.
    fn run(letter: char) -> Identity {
        Identity::of_test(letter)
    }

    #[test]
    fn lines_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::new(path.clone(), run('a'));
        assert_eq!(journal.read().unwrap(), Found::Nothing);
        assert!(journal.is_empty());
        journal.add(&[3, 12]).unwrap();
        journal.add(&[0]).unwrap();
        let read = |letter| match Journal::new(path.clone(), run(letter)).read().unwrap() {
            Found::Entries(entries) => Some(entries),
            _ => None,
        };
        let entries = read('a').unwrap();
        assert_eq!((&entries.tensors[..], entries.complete), (&[3, 12, 0][..], false));
        assert_eq!(read('b'), None);
        journal.complete().unwrap();
        assert!(read('a').unwrap().complete);
        let mut other = Journal::new(path.clone(), run('a'));
        other.continue_after(&entries).unwrap();
        other.add(&[7]).unwrap();
        assert_eq!(read('a').unwrap().tensors, [3, 12, 0, 7]);
        assert!(!read('a').unwrap().complete);
        journal.remove().unwrap();
        journal.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn every_truncation_says_less_and_nothing_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        Journal::new(path.clone(), run('a')).add(&[123, 45, 6]).unwrap();
        let bytes = fs::read(&path).unwrap();
        let first = Journal::new(path.clone(), run('a')).first_line();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            match Journal::new(path.clone(), run('a')).read().unwrap() {
                Found::Entries(entries) => {
                    assert_eq!(entries.tensors, [123, 45, 6][..entries.tensors.len()]);
                }
                Found::Nothing => assert!(length < first.len()),
                Found::OtherRun(_) => panic!("{length}"),
            }
        }
        // zeros where the line did not reach the disk
        let cases = [(&b"123\n\0\0\0\n45\n"[..], &[123][..], 4), (b"-1\n2\n", &[], 0)];
        for (bytes, tensors, readable) in cases {
            fs::write(&path, [first.as_bytes(), bytes].concat()).unwrap();
            let found = Journal::new(path.clone(), run('a')).read().unwrap();
            assert_eq!(
                found,
                Found::Entries(Entries {
                    tensors: tensors.to_vec(),
                    complete: false,
                    bytes: first.len() as u64 + readable,
                })
            );
        }
    }

    #[test]
    fn other_runs_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let first = Journal::new(path.clone(), run('a')).first_line();
        for (line, found) in [
            (first.replace("-2 ", "-1 "), Found::OtherRun(vec![Identity::BUILD])),
            ("granule-journal-1 0123\n5\n".to_owned(), Found::OtherRun(vec![Identity::BUILD])),
            ("granule-journal-2 x\n".to_owned(), Found::OtherRun(Identity::parts().collect())),
            ("another file\n".to_owned(), Found::Nothing),
            (String::new(), Found::Nothing),
        ] {
            fs::write(&path, line).unwrap();
            assert_eq!(Journal::new(path.clone(), run('a')).read().unwrap(), found);
        }
    }
}
