//! Files that get their final names only when they are complete.
//!
//! `model.gguf` is written as `.model.gguf.part`; if the output is a link, in the folder of the
//! file that it leads to. A failed run removes the temporary file. A killed run cannot, so the file
//! remains, with a journal `.model.gguf.resume` next to it, and the next run for the same output
//! continues it.

mod copy;
mod in_place;
mod joining;
mod journal;
mod part;
mod permissions;
mod place;
mod space;
mod upload;
mod whole;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granule_format::{Draft, Endian, TensorInfo, TensorType};
use granule_reader::ReadAt;

use crate::Error;
use crate::run::Identity;
use journal::{Entries, Found, Journal, remove_if_there};

pub(crate) use copy::Copying;
pub(crate) use in_place::{InPlace, Replaced};
pub(crate) use joining::{Joining, PartRecord, Record};
pub(crate) use part::Part;
use part::write_all_at;
pub use place::check_output;
pub(crate) use place::{Place, check_folder, places};
pub(crate) use space::check_space;
use upload::{Left, Remote};
pub use upload::{Upload, Uploads};
pub use whole::WholeFile;

/// A file being written under a temporary name in its final folder, or to a store.
///
/// Dropping it removes what was written, unless that is to be [kept](Self::keep). An existing file
/// at the path stays unchanged.
#[derive(Debug)]
pub(crate) struct Output {
    medium: Medium,
    draft: Draft,
    data_offset: u64,
    /// Whether an earlier run has completed each tensor.
    done: Vec<bool>,
    /// Whether this run continues an earlier one.
    continued: bool,
    /// Whether the file has its final name.
    named: bool,
    /// Whether the complete tensors are to be kept for another run.
    kept: bool,
}

/// Where the bytes of an output go.
#[derive(Debug)]
enum Medium {
    Disk(Box<Disk>),
    Remote(Remote),
}

/// A file on a disk.
#[derive(Debug)]
struct Disk {
    place: Place,
    file: File,
    journal: std::sync::Mutex<Journal>,
}

/// What an earlier run has left for an output.
#[derive(Debug)]
pub(crate) enum Leftover {
    /// Files, locked for this run.
    Disk(Box<LeftFiles>),
    /// A part of an upload.
    Remote(Left),
}

/// The files that an earlier run has left for an output, locked for this run.
#[derive(Debug)]
pub(crate) struct LeftFiles {
    place: Place,
    journal: Journal,
    /// The temporary file.
    part: Option<File>,
    /// The entries of the journal, if it belongs to this run.
    entries: Option<Entries>,
}

impl Leftover {
    /// Looks for files left by an earlier run, without changing anything. With `restart` they may
    /// belong to any run.
    ///
    /// # Errors
    /// If another run is writing there, the files belong to another run, or the operating system
    /// reports an error.
    pub(crate) fn find(place: Place, identity: Identity, restart: bool) -> Result<Self, Error> {
        let part = lock_leftover(&place)?;
        let journal = Journal::new(place.journal(), identity);
        let mut entries = None;
        if !restart {
            match journal.read().map_err(|source| place.io(source))? {
                Found::Entries(found) => entries = Some(found),
                Found::OtherRun(differs) if part.is_some() => {
                    let (path, part) = (place.path.clone(), place.part());
                    return Err(Error::OtherRun { path, part, differs });
                }
                Found::OtherRun(_) | Found::Nothing => {}
            }
        }
        Ok(Self::Disk(Box::new(LeftFiles { place, journal, part, entries })))
    }

    /// Looks for a part of an upload, in the same way.
    ///
    /// # Errors
    /// If it belongs to another run, or the store reports an error.
    pub(crate) fn find_upload(
        path: &Path,
        store: &Arc<dyn Uploads>,
        identity: &Identity,
        restart: bool,
    ) -> Result<Self, Error> {
        Left::find(path, store, identity, restart).map(Self::Remote)
    }
}

impl Output {
    /// Continues what an earlier run has left, or removes it and starts over. The second value is
    /// whether something was removed.
    ///
    /// # Errors
    /// If another run has begun to write there, or the operating system or the store reports an
    /// error.
    pub(crate) fn open(leftover: Leftover, draft: Draft) -> Result<(Self, bool), Error> {
        let header = draft.header();
        match leftover {
            Leftover::Disk(files) => Self::open_files(*files, draft, &header),
            Leftover::Remote(left) => {
                let (remote, continued, removed) = left.open(&draft, &header)?;
                let data_offset = header.len() as u64;
                let is_stored = |tensor: &TensorInfo| {
                    let start = data_offset + tensor.offset;
                    let end = start + tensor.bytes().unwrap_or(0);
                    continued && remote.upload.is_stored(start..end)
                };
                let done = draft.tensors().iter().map(is_stored).collect();
                let mut output = Self::new(Medium::Remote(remote), draft, data_offset, done);
                (output.continued, output.kept) = (continued, continued);
                Ok((output, removed))
            }
        }
    }

    const fn new(medium: Medium, draft: Draft, data_offset: u64, done: Vec<bool>) -> Self {
        let (continued, named, kept) = (false, false, false);
        Self { medium, draft, data_offset, done, continued, named, kept }
    }

    fn open_files(leftover: LeftFiles, draft: Draft, header: &[u8]) -> Result<(Self, bool), Error> {
        let LeftFiles { place, mut journal, mut part, entries } = leftover;
        let (data_offset, tensors) = (header.len() as u64, draft.tensors().len());
        let bytes = data_offset + draft.data_bytes();
        let new = |place, file, journal: Journal, draft, done| {
            let disk = Disk { place, file, journal: journal.into() };
            Self::new(Medium::Disk(Box::new(disk)), draft, data_offset, done)
        };
        let removed = part.is_some();
        if let Some(entries) = entries {
            // was the run killed after the file got its name?
            let named = part.is_none() && entries.complete;
            let file = if named { File::open(&place.file).ok() } else { part.take() };
            if let Some(file) = file.filter(|file| begins_with(file, header, bytes)) {
                if let (Some(old), false) = (&place.old, named) {
                    permissions::narrow_file(&file, old).map_err(|source| place.io(source))?;
                }
                journal.continue_after(&entries).map_err(|source| place.io(source))?;
                let mut done = vec![entries.complete; tensors];
                for tensor in entries.tensors {
                    if let Some(done) = done.get_mut(tensor) {
                        *done = true;
                    }
                }
                let mut output = new(place, file, journal, draft, done);
                (output.continued, output.kept, output.named) = (true, true, named);
                return Ok((output, false));
            }
        }

        drop(part);
        let gone = remove_if_there(&place.part()).and_then(|()| journal.remove());
        gone.map_err(|source| place.io(source))?;
        let file = place.create()?;
        let locked = try_lock(&file);
        let output = new(place, file, journal, draft, vec![false; tensors]);
        match locked.map_err(|source| output.io(source))? {
            true => Ok((output, removed)),
            false => Err(Error::Busy { path: output.path().to_owned() }),
        }
    }

    /// Writes the header and sets the full length, so that tensors can be written at their offsets
    /// in any order.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        if self.named {
            return Ok(());
        }
        let header = self.draft.header();
        match &self.medium {
            Medium::Disk(disk) => write_all_at(&disk.file, &header, 0)
                .and_then(|()| disk.file.set_len(self.bytes()))
                .map_err(|source| self.io(source)),
            Medium::Remote(remote) => {
                remote.upload.write(0, &header).map_err(|source| self.io(source))
            }
        }
    }

    /// Returns the path that the file gets when it is complete, as it was given.
    pub(crate) fn path(&self) -> &Path {
        match &self.medium {
            Medium::Disk(disk) => &disk.place.path,
            Medium::Remote(remote) => &remote.path,
        }
    }

    /// Returns the place of the file, if it is on a disk.
    pub(crate) fn place(&self) -> Option<&Place> {
        match &self.medium {
            Medium::Disk(disk) => Some(&disk.place),
            Medium::Remote(_) => None,
        }
    }

    /// Returns the tensor at an index of the draft.
    pub(crate) fn tensor(&self, index: usize) -> &TensorInfo {
        &self.draft.tensors()[index]
    }

    /// Returns the header.
    pub(crate) fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Returns whether an earlier run has completed the tensor at an index of the draft.
    pub(crate) fn is_done(&self, tensor: usize) -> bool {
        self.done[tensor]
    }

    /// Returns whether this run continues an earlier one.
    pub(crate) const fn is_continued(&self) -> bool {
        self.continued
    }

    /// Returns the length of the file in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.data_offset + self.draft.data_bytes()
    }

    /// Returns the number of bytes that are still to be written.
    pub(crate) fn missing_bytes(&self) -> u64 {
        if self.named {
            return 0;
        }
        let tensors = self.draft.tensors().iter().zip(&self.done);
        let done = tensors.filter(|(_, done)| **done).filter_map(|(tensor, _)| tensor.bytes());
        self.bytes().saturating_sub(done.sum())
    }

    /// Writes bytes of a tensor's data, starting at byte `start` of the tensor.
    pub(crate) fn write(&self, tensor: usize, start: u64, bytes: &[u8]) -> Result<(), Error> {
        let start = self.data_offset + self.tensor(tensor).offset + start;
        match &self.medium {
            Medium::Disk(disk) => write_all_at(&disk.file, bytes, start),
            Medium::Remote(remote) => remote.upload.write(start, bytes),
        }
        .map_err(|source| self.io(source))
    }

    /// Reads a row of a tensor back, in little-endian byte order. What is uploaded cannot be read.
    pub(crate) fn read_row(&self, tensor: usize, row: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        let Medium::Disk(disk) = &self.medium else {
            return Err(self.io(io::ErrorKind::Unsupported.into()));
        };
        let info = self.tensor(tensor);
        let TensorType::Known(ty) = info.ty else { unreachable!("a draft has known types") };
        let bytes = ty.row_bytes(info.shape.row()).unwrap_or(0);
        out.resize(bytes as usize, 0);
        let start = self.data_offset + info.offset + row * bytes;
        ReadAt::read_exact_at(&disk.file, out, start).map_err(|source| self.io(source))?;
        if self.draft.endian() == Endian::Big {
            ty.swap_bytes(out);
        }
        Ok(())
    }

    /// Returns whether the file has the expected header and length.
    pub(crate) fn has_header(&self) -> bool {
        match &self.medium {
            Medium::Disk(disk) => begins_with(&disk.file, &self.draft.header(), self.bytes()),
            Medium::Remote(_) => true,
        }
    }

    /// Flushes the data to the disk, then records in the journal that tensors are complete. Of an
    /// upload, what is stored is recorded.
    pub(crate) fn note(&self, tensors: &[usize]) -> Result<(), Error> {
        match &self.medium {
            Medium::Disk(disk) => {
                let flushed = disk.file.sync_data();
                flushed.and_then(|()| disk.journal().add(tensors)).map_err(|e| self.io(e))
            }
            Medium::Remote(remote) => remote.record(false).map(|_| ()),
        }
    }

    /// Flushes the file to the disk.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        match &self.medium {
            _ if self.named => Ok(()),
            Medium::Disk(disk) => disk.file.sync_all().map_err(|source| self.io(source)),
            Medium::Remote(remote) => remote.upload.flush().map_err(|source| self.io(source)),
        }
    }

    /// Records that the file is complete and on the disk. If the run is killed after this, the file
    /// need not be written again, even if it already has its final name.
    pub(crate) fn note_complete(&self) -> Result<(), Error> {
        match &self.medium {
            _ if self.named => Ok(()),
            Medium::Disk(disk) => disk.journal().complete().map_err(|e| self.io(e)),
            Medium::Remote(remote) => remote.record(true).map(|_| ()),
        }
    }

    /// Gives the file its final name.
    pub(crate) fn publish(&mut self) -> Result<(), Error> {
        if self.named {
            return Ok(());
        }
        match &self.medium {
            Medium::Disk(disk) => {
                disk.place.publish(&disk.file)?;
                self.named = true;
                sync_folder(disk.place.folder()).map_err(|source| self.io(source))
            }
            Medium::Remote(remote) => {
                remote.record(true)?;
                let published = remote.upload.publish().map_err(|source| self.io(source));
                // whether it has its name is not known, so another run has to find out
                self.kept |= published.is_err();
                self.named = published.is_ok();
                published
            }
        }
    }

    /// Removes the journal of a file that has its final name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match &self.medium {
            Medium::Disk(disk) => disk.journal().remove(),
            Medium::Remote(remote) => remote.upload.finish(),
        }
        .map_err(|source| self.io(source))
    }

    /// Keeps what is written for another run if that could continue it. Returns whether it is kept.
    pub(crate) fn keep(&mut self) -> bool {
        self.kept = match &self.medium {
            Medium::Disk(_) => true,
            Medium::Remote(remote) => remote.record(true).unwrap_or(false),
        };
        self.kept && !self.has_nothing()
    }

    /// Discards the file, which is known to be wrong.
    pub(crate) const fn discard(&mut self) {
        self.kept = false;
    }

    /// Whether nothing is recorded that another run could continue.
    fn has_nothing(&self) -> bool {
        match &self.medium {
            Medium::Disk(disk) => disk.journal().is_empty(),
            Medium::Remote(_) => false,
        }
    }

    fn io(&self, source: io::Error) -> Error {
        match &self.medium {
            Medium::Disk(disk) => disk.place.io(source),
            Medium::Remote(remote) => remote.io(source),
        }
    }
}

impl Disk {
    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let is_lost = !self.named && (!self.kept || self.has_nothing());
        // ignored: an error is already being reported
        match &self.medium {
            Medium::Disk(disk) => {
                if is_lost {
                    let _ = remove_if_there(&disk.place.part());
                }
                if is_lost || self.named && !self.kept {
                    let _ = disk.journal().remove();
                }
            }
            Medium::Remote(remote) if is_lost => remote.upload.discard(),
            Medium::Remote(_) => {}
        }
    }
}

/// Opens and locks the file that an earlier run has left; `None` if there is none.
fn lock_leftover(place: &Place) -> Result<Option<File>, Error> {
    let part = place.part();
    if !not_in_the_way(place, &part)? {
        return Ok(None);
    }
    let file = OpenOptions::new().read(true).write(true).open(part);
    let file = file.map_err(|source| place.io(source))?;
    if try_lock(&file).map_err(|source| place.io(source))? {
        Ok(Some(file))
    } else {
        Err(Error::Busy { path: place.path.clone() })
    }
}

/// Checks that a hidden name is unused or belongs to a regular file, which a run may have left.
/// Returns whether the file exists.
fn not_in_the_way(place: &Place, hidden: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(hidden) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(place.io(error)),
        Ok(about) if about.is_file() => Ok(true),
        Ok(_) => Err(Error::InTheWay { path: place.path.clone(), part: hidden.to_owned() }),
    }
}

/// Locks a file for this run. Returns `false` if another run holds the lock. On file systems
/// without locks it does nothing.
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(false),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(true),
    }
}

/// Returns whether a file has this header and this length.
fn begins_with(file: &File, header: &[u8], bytes: u64) -> bool {
    let mut found = vec![0; header.len()];
    file.metadata().is_ok_and(|about| about.len() == bytes)
        && file.read_exact_at(&mut found, 0).is_ok()
        && found == header
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Returns a hidden name in the same folder.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(extension);
    path.with_file_name(name)
}

/// Syncs the folder, so that the new name survives a power failure.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Does nothing: Windows has no such call for folders.
#[cfg(windows)]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
