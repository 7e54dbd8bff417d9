//! The file that parts are moved to: a temporary file (`.NAME.joining`) with a journal
//! (`.NAME.join`).
//!
//! Parts are deleted as soon as their bytes are on the disk, so the temporary file can hold the
//! only copy of them: no other command removes it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::journal::remove_if_there;
use super::part::write_all_at;
use super::{Place, beside, not_in_the_way, permissions, sync_folder, try_lock};
use crate::Error;

/// The first word of the journal.
const HEAD: &str = "granule-join-1";

/// What a join consists of, as the journal records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// SHA-256 of the header of the result.
    pub(crate) header: String,
    /// Length of that header.
    pub(crate) data_offset: u64,
    /// The parts in their order.
    pub(crate) parts: Vec<PartRecord>,
}

/// A part, as the journal records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartRecord {
    /// Its file name.
    pub(crate) name: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// SHA-256 of its header.
    pub(crate) header: String,
    /// The number of its tensors.
    pub(crate) tensors: usize,
}

/// A result that is being written while its parts disappear.
#[derive(Debug)]
pub(crate) struct Joining {
    place: Place,
    file: File,
    journal: File,
    done: Vec<bool>,
}

impl Joining {
    /// Returns what an interrupted join to this place has recorded: the parts, and which of them
    /// are complete. `None` if there is nothing, or nothing that was begun in earnest.
    pub(crate) fn leftover(place: &Place) -> Result<Option<(Record, Vec<bool>)>, Error> {
        let path = journal(place);
        if !not_in_the_way(place, &path)? {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(|source| place.io(source))?;
        Ok(parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Refuses to write to a place where an interrupted join may have left the only copy of parts.
    pub(crate) fn refuse(place: &Place) -> Result<(), Error> {
        match Self::leftover(place)? {
            Some((_, done)) if done.contains(&true) => Err(Self::unfinished(place)),
            _ => Ok(()),
        }
    }

    /// The error that an interrupted join has to be continued first.
    pub(crate) fn unfinished(place: &Place) -> Error {
        Error::JoinUnfinished { path: place.path.clone(), file: temporary(place) }
    }

    /// Begins a result with this header and length.
    pub(crate) fn create(
        place: Place,
        header: &[u8],
        bytes: u64,
        record: &Record,
    ) -> Result<Self, Error> {
        // what an interrupted join has left before it recorded anything holds no part
        if not_in_the_way(&place, &temporary(&place))? {
            drop(lock(&place)?);
        }
        let gone =
            remove_if_there(&temporary(&place)).and_then(|()| remove_if_there(&journal(&place)));
        gone.map_err(|source| place.io(source))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        if let Some(old) = &place.old {
            permissions::narrow(&mut options, old);
        }
        let io = |source| place.io(source);
        let file = options.open(temporary(&place)).map_err(io)?;
        if !try_lock(&file).map_err(io)? {
            return Err(Error::Busy { path: place.path.clone() });
        }
        let begun = write_all_at(&file, header, 0)
            .and_then(|()| file.set_len(bytes))
            .and_then(|()| file.sync_all())
            .and_then(|()| {
                let mut out = OpenOptions::new();
                let mut out = out.write(true).create_new(true).open(journal(&place))?;
                out.write_all(record.text().as_bytes())?;
                out.sync_all()?;
                sync_folder(place.folder())?;
                Ok(out)
            });
        match begun {
            Ok(out) => {
                Ok(Self { done: vec![false; record.parts.len()], place, file, journal: out })
            }
            Err(source) => {
                // ignored: an error is already being reported
                let _ = remove_if_there(&temporary(&place));
                let _ = remove_if_there(&journal(&place));
                Err(place.io(source))
            }
        }
    }

    /// Continues what an interrupted join has left. `None` if the result has its name already; then
    /// only the journal was left, and is removed.
    pub(crate) fn resume(
        place: Place,
        record: &Record,
        done: Vec<bool>,
        is_header: &dyn Fn(&File) -> bool,
    ) -> Result<Option<Self>, Error> {
        let io = |source| place.io(source);
        if !not_in_the_way(&place, &temporary(&place))? {
            let named = File::open(&place.file).is_ok_and(|file| is_header(&file));
            if named && done.iter().all(|done| *done) {
                remove_if_there(&journal(&place)).map_err(io)?;
                return Ok(None);
            }
            return Err(Error::JoinLost { path: place.path.clone(), file: temporary(&place) });
        }
        let file = lock(&place)?;
        if !is_header(&file) {
            return Err(Error::JoinLost { path: place.path.clone(), file: temporary(&place) });
        }
        // half a line at the end would spoil the next one
        let known = record.text().len() + done_lines(&done).len();
        let journal = OpenOptions::new().append(true).open(journal(&place)).map_err(io)?;
        journal.set_len(known as u64).map_err(io)?;
        Ok(Some(Self { place, file, journal, done }))
    }

    /// The temporary file.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    /// The path of the result.
    pub(crate) fn path(&self) -> &Path {
        &self.place.path
    }

    /// Whether a part is complete.
    pub(crate) fn is_done(&self, part: usize) -> bool {
        self.done[part]
    }

    /// Flushes the data of a part to the disk, and records that it is complete: then it may be
    /// deleted. Parts are completed in their order.
    pub(crate) fn note(&mut self, part: usize) -> Result<(), Error> {
        let line = format!("done {part}\n");
        let noted = self.file.sync_data();
        let noted = noted.and_then(|()| self.journal.write_all(line.as_bytes()));
        noted.and_then(|()| self.journal.sync_data()).map_err(|source| self.place.io(source))?;
        self.done[part] = true;
        Ok(())
    }

    /// Removes a part that is complete.
    pub(crate) fn remove(&self, part: &Path) -> Result<(), Error> {
        remove_if_there(part).map_err(Error::io(part))
    }

    /// Gives the complete file its name.
    pub(crate) fn publish(self) -> Result<(), Error> {
        let io = |source| self.place.io(source);
        self.file.sync_all().map_err(io)?;
        self.place.publish_from(&temporary(&self.place), &self.file)?;
        sync_folder(self.place.folder()).map_err(io)?;
        remove_if_there(&journal(&self.place)).map_err(io)
    }

    /// Ends a run that was stopped or has failed: what holds no part is removed. Returns whether
    /// anything is kept.
    pub(crate) fn leave(self) -> bool {
        let kept = self.done.iter().any(|done| *done);
        if !kept {
            // ignored: an error is already being reported
            let _ = remove_if_there(&temporary(&self.place));
            let _ = remove_if_there(&journal(&self.place));
        }
        kept
    }
}

impl Record {
    /// The lines of the journal before any part is complete.
    fn text(&self) -> String {
        let mut text = format!("{HEAD} {} {}\n", self.header, self.data_offset);
        for PartRecord { name, bytes, header, tensors } in &self.parts {
            text += &format!("part {bytes} {header} {tensors} {name}\n");
        }
        text + "parts end\n"
    }
}

/// The lines for parts that are complete.
fn done_lines(done: &[bool]) -> String {
    let parts = done.iter().enumerate().filter(|(_, done)| **done);
    parts.map(|(part, _)| format!("done {part}\n")).collect()
}

/// Reads a journal; `None` if it does not list all parts. Text after the last line break is
/// ignored.
fn parse(text: &str) -> Option<(Record, Vec<bool>)> {
    let whole = &text[..=text.rfind('\n')?];
    let mut lines = whole.lines();
    let mut words = lines.next()?.split(' ');
    if words.next() != Some(HEAD) {
        return None;
    }
    let header = words.next()?.to_owned();
    let data_offset = words.next()?.parse().ok()?;
    let mut record = Record { header, data_offset, parts: Vec::new() };
    loop {
        let line = lines.next()?;
        if line == "parts end" {
            break;
        }
        let mut words = line.strip_prefix("part ")?.splitn(4, ' ');
        let bytes = words.next()?.parse().ok()?;
        let header = words.next()?.to_owned();
        let tensors = words.next()?.parse().ok()?;
        record.parts.push(PartRecord { name: words.next()?.to_owned(), bytes, header, tensors });
    }
    let mut done = vec![false; record.parts.len()];
    for line in lines {
        let part = line.strip_prefix("done ").and_then(|part| part.parse::<usize>().ok());
        match part.and_then(|part| done.get_mut(part)) {
            Some(done) => *done = true,
            None => break,
        }
    }
    Some((record, done))
}

/// Opens and locks the temporary file.
fn lock(place: &Place) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).write(true).open(temporary(place));
    let file = file.map_err(|source| place.io(source))?;
    match try_lock(&file).map_err(|source| place.io(source))? {
        true => Ok(file),
        false => Err(Error::Busy { path: place.path.clone() }),
    }
}

fn temporary(place: &Place) -> PathBuf {
    beside(&place.file, "joining")
}

fn journal(place: &Place) -> PathBuf {
    beside(&place.file, "join")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_are_read_as_far_as_they_are_whole() {
        let part = |name: &str| PartRecord {
            name: name.to_owned(),
            bytes: 7,
            header: "ab".to_owned(),
            tensors: 2,
        };
        let parts = vec![part("a b-00001-of-00002.gguf"), part("a b-00002-of-00002.gguf")];
        let record = Record { header: "cd".to_owned(), data_offset: 32, parts };
        let text = record.text() + &done_lines(&[true, true]);
        let least = record.text().len();
        for length in 0..=text.len() {
            let found = parse(&text[..length]);
            if length < least {
                assert_eq!(found, None, "{length}");
                continue;
            }
            let (found, done) = found.expect("all parts are listed");
            let lines = text[least..length].matches('\n').count();
            assert_eq!((found, done), (record.clone(), vec![lines > 0, lines > 1]), "{length}");
        }
        assert_eq!(parse("another file\n"), None);
    }
}
