//! Changing parts of a file in place, so that an interruption loses nothing.
//!
//! No disk writes several sectors at once, and a process can be killed between two pages of one
//! write. So the bytes before and after the change are first written to an undo file
//! (`.NAME.undo`) and flushed to the disk; then the change is written and flushed; then the undo
//! file is removed.
//! At every moment one of these holds:
//!
//! - there is no undo file, and the file is the old or the new one;
//! - there is an undo file that is complete (it gets its name only then), and every byte of the
//!   file is the old or the new one, so the old bytes can be put back.
//!
//! Everything that opens GGUF files looks for an undo file and refuses a file that has one;
//! [`InPlace::recover`] puts the old bytes back.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;

use granule_reader::ReadAt;
use granule_reader::file::UNDO;
use sha2::{Digest, Sha256};

use super::journal::remove_if_there;
use super::part::write_all_at;
use super::{Place, beside, not_in_the_way, permissions, sync_folder, try_lock};
use crate::Error;
use crate::edit::{EditError, Recovered};

/// The first bytes of an undo file.
const HEAD: &[u8] = b"granule-undo-1\n";

/// Bytes of the file that are compared at a time.
const COMPARED: usize = 1 << 16;

/// Bytes of the hash at the end.
const HASH: usize = 32;

/// An existing file, locked against other edits.
#[derive(Debug)]
pub(crate) struct InPlace {
    place: Place,
    file: File,
    bytes: u64,
}

/// Bytes of a file that are replaced by as many others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replaced<'b> {
    /// Where they begin.
    pub(crate) start: u64,
    pub(crate) old: &'b [u8],
    pub(crate) new: &'b [u8],
}

/// What an undo file records.
#[derive(Debug, PartialEq, Eq)]
struct Undo<'b> {
    /// Length of the file.
    bytes: u64,
    replaced: Vec<Replaced<'b>>,
}

impl InPlace {
    /// Opens and locks a file, and removes what an edit has left that was interrupted before it
    /// changed anything.
    ///
    /// # Errors
    /// If the file does not exist or cannot be written, or another edit has locked it.
    pub(crate) fn open(place: Place) -> Result<Self, Error> {
        let io = |source| place.io(source);
        let file = OpenOptions::new().read(true).write(true).open(&place.file).map_err(io)?;
        if !try_lock(&file).map_err(io)? {
            return Err(Error::Busy { path: place.path.clone() });
        }
        let bytes = ReadAt::len(&file).map_err(io)?;
        not_in_the_way(&place, &undo(&place))?;
        if not_in_the_way(&place, &unfinished(&place))? {
            remove_if_there(&unfinished(&place)).map_err(io)?;
        }
        Ok(Self { place, file, bytes })
    }

    /// Length of the file.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The place of the file.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// Returns whether the file begins with these bytes.
    pub(crate) fn begins_with(&self, bytes: &[u8]) -> Result<bool, Error> {
        if (bytes.len() as u64) > self.bytes {
            return Ok(false);
        }
        let mut buffer = vec![0; COMPARED.min(bytes.len())];
        for (index, bytes) in bytes.chunks(COMPARED).enumerate() {
            let (found, start) = (&mut buffer[..bytes.len()], (index * COMPARED) as u64);
            self.file.read_exact_at(found, start).map_err(|source| self.place.io(source))?;
            if found != bytes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Replaces bytes by as many others, and flushes them to the disk.
    ///
    /// # Errors
    /// If the operating system reports an error; the file is then as it was, or the undo file is
    /// there.
    pub(crate) fn replace(&self, replaced: Vec<Replaced<'_>>) -> Result<(), Error> {
        let io = |source| self.place.io(source);
        let undo = Undo { bytes: self.bytes, replaced };
        self.write_undo(&undo).map_err(|source| {
            // ignored: an error is already being reported
            let _ = remove_if_there(&unfinished(&self.place));
            io(source)
        })?;
        if let Err(source) = self.write(&undo, |replaced| replaced.new) {
            // if this fails too, the undo file stays
            if self.write(&undo, |replaced| replaced.old).is_ok() {
                let _ = self.forget();
            }
            return Err(io(source));
        }
        self.forget().map_err(io)
    }

    /// Writes the old or the new bytes, and flushes them to the disk.
    fn write<'b>(
        &self,
        undo: &Undo<'b>,
        which: impl Fn(&Replaced<'b>) -> &'b [u8],
    ) -> io::Result<()> {
        for replaced in &undo.replaced {
            write_all_at(&self.file, which(replaced), replaced.start)?;
        }
        self.file.sync_data()
    }

    /// Puts the old bytes back if an edit was interrupted.
    ///
    /// # Errors
    /// If the undo file is damaged or of another file, or the operating system reports an error.
    pub(crate) fn recover(&self) -> Result<Recovered, Error> {
        let io = |source| self.place.io(source);
        let path = undo(&self.place);
        let record = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recovered::Nothing),
            other => other.map_err(io)?,
        };
        let of = self.place.path.clone();
        let Some(undo) = Undo::parse(&record) else {
            return Err(EditError::BadUndo { path: of, undo: path }.into());
        };
        let (mut known, mut is_new) = (undo.bytes == self.bytes, true);
        for Replaced { start, old, new } in undo.replaced.iter().copied() {
            let mut found = vec![0; old.len()];
            known &= self.file.read_exact_at(&mut found, start).is_ok();
            let mut bytes = found.iter().zip(old.iter().zip(new));
            known &= bytes.all(|(found, (old, new))| found == old || found == new);
            is_new &= found == new;
        }
        if !known {
            return Err(EditError::StaleUndo { path: of, undo: path }.into());
        }
        let recovered = if is_new { Recovered::New } else { Recovered::Old };
        if recovered == Recovered::Old {
            self.write(&undo, |replaced| replaced.old).map_err(io)?;
        }
        self.file.sync_data().and_then(|()| self.forget()).map_err(io)?;
        Ok(recovered)
    }

    fn write_undo(&self, record: &Undo<'_>) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if let Some(old) = &self.place.old {
            permissions::narrow(&mut options, old);
        }
        let file = options.open(unfinished(&self.place))?;
        write_all_at(&file, &record.bytes(), 0)?;
        file.sync_all()?;
        fs::rename(unfinished(&self.place), undo(&self.place))?;
        sync_folder(self.place.folder())
    }

    /// Removes the undo file.
    fn forget(&self) -> io::Result<()> {
        remove_if_there(&undo(&self.place))?;
        sync_folder(self.place.folder())
    }
}

impl<'b> Undo<'b> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        bytes.extend(self.bytes.to_le_bytes());
        for Replaced { start, old, new } in self.replaced.iter().copied() {
            bytes.extend(start.to_le_bytes());
            bytes.extend((old.len() as u64).to_le_bytes());
            bytes.extend(old);
            bytes.extend(new);
        }
        let hash = Sha256::digest(&bytes);
        bytes.extend(hash);
        bytes
    }

    /// Reads a record; `None` if it is not complete.
    fn parse(record: &'b [u8]) -> Option<Self> {
        let (body, hash) = record.split_at_checked(record.len().checked_sub(HASH)?)?;
        if Sha256::digest(body).as_slice() != hash {
            return None;
        }
        let mut rest = body.strip_prefix(HEAD)?;
        let bytes = number(&mut rest)?;
        let mut replaced = Vec::new();
        while !rest.is_empty() {
            let start = number(&mut rest)?;
            let length = usize::try_from(number(&mut rest)?).ok()?;
            let (old, behind) = rest.split_at_checked(length)?;
            let (new, behind) = behind.split_at_checked(length)?;
            replaced.push(Replaced { start, old, new });
            rest = behind;
        }
        Some(Self { bytes, replaced })
    }
}

/// Takes a number from the front.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u64::from_le_bytes(*number))
}

/// The undo file.
fn undo(place: &Place) -> PathBuf {
    beside(&place.file, UNDO)
}

/// The undo file before it is complete.
fn unfinished(place: &Place) -> PathBuf {
    beside(&place.file, "undo-part")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> InPlace {
        InPlace::open(Place::of(&folder.path().join("a")).unwrap()).unwrap()
    }

    fn content(folder: &tempfile::TempDir) -> Vec<u8> {
        fs::read(folder.path().join("a")).unwrap()
    }

    #[test]
    fn records_are_read_whole_or_not_at_all() {
        let replaced = vec![
            Replaced { start: 2, old: b"abc", new: b"xyz" },
            Replaced { start: 7, old: b"d", new: b"e" },
        ];
        let undo = Undo { bytes: 9, replaced };
        let record = undo.bytes();
        assert_eq!(Undo::parse(&record), Some(undo));
        for length in 0..record.len() {
            assert_eq!(Undo::parse(&record[..length]), None);
            let mut other = record.clone();
            other[length] ^= 1;
            assert_eq!(Undo::parse(&other), None);
        }
    }

    #[test]
    fn bytes_are_replaced_and_put_back() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), b"..old..").unwrap();
        let file = open(&folder);
        assert!(matches!(
            InPlace::open(Place::of(&folder.path().join("a")).unwrap()),
            Err(Error::Busy { .. })
        ));
        assert_eq!(file.recover().unwrap(), Recovered::Nothing);
        let replaced = vec![Replaced { start: 2, old: b"old", new: b"new" }];
        file.replace(replaced.clone()).unwrap();
        assert_eq!(content(&folder), b"..new..");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // an interruption at any byte, and before and after the write
        let record = Undo { bytes: 7, replaced };
        for torn in [b"..old..", b"..nld..", b"..oew..", b"..new.."] {
            fs::write(folder.path().join("a"), torn).unwrap();
            file.write_undo(&record).unwrap();
            let expected = if torn == b"..new.." { Recovered::New } else { Recovered::Old };
            assert_eq!(file.recover().unwrap(), expected);
            let after = if expected == Recovered::New { b"..new.." } else { b"..old.." };
            assert_eq!(content(&folder), after);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        // another file since
        file.write_undo(&record).unwrap();
        fs::write(folder.path().join("a"), b"..abc..").unwrap();
        let error = file.recover().unwrap_err();
        assert!(matches!(error, Error::Edit(EditError::StaleUndo { .. })), "{error}");
        fs::write(undo(&file.place), b"something").unwrap();
        let error = file.recover().unwrap_err();
        assert!(matches!(error, Error::Edit(EditError::BadUndo { .. })), "{error}");
        assert_eq!(content(&folder), b"..abc..");
    }
}
