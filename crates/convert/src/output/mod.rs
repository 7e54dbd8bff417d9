//! Files that appear under their name only when they are complete.
//!
//! `model.gguf` is written as `.model.gguf.part`, in the folder of the file that a link leads to. A run that fails
//! removes it; a run that is killed cannot, so it stays with a journal `.model.gguf.resume` next to it, and the next run
//! for the same output continues it.

mod journal;
mod part;
mod permissions;
mod place;
mod space;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use granule_format::{Draft, Endian, TensorInfo, TensorType};
use granule_reader::ReadAt;

use crate::Error;
use crate::run::Identity;
use journal::{Entries, Found, Journal, remove_if_there};

pub(crate) use part::Part;
use part::write_all_at;
pub use place::check_output;
pub(crate) use place::{Place, check_folder, places};
pub(crate) use space::check_space;

/// A file that is being written, under a temporary name in the folder where it is going to be.
///
/// Dropping it removes the temporary file, unless it is to be [kept](Self::keep); a file that was at the path before
/// stays as it was.
#[derive(Debug)]
pub(crate) struct Output {
    place: Place,
    file: File,
    draft: Draft,
    data_offset: u64,
    journal: std::sync::Mutex<Journal>,
    /// For each tensor whether an earlier run has completed it.
    done: Vec<bool>,
    /// This run goes on with what an earlier one has left.
    continued: bool,
    /// The file has its name.
    named: bool,
    /// What is complete is to be left for another run.
    kept: bool,
}

/// What an earlier run has left of an output, locked for this run.
#[derive(Debug)]
pub(crate) struct Leftover {
    place: Place,
    journal: Journal,
    /// The temporary file.
    part: Option<File>,
    /// What the journal of this very run says.
    entries: Option<Entries>,
}

impl Leftover {
    /// Look for what was left, and change nothing. With `restart` it does not matter of which run it is.
    ///
    /// # Errors
    /// If another run is writing there, what is left is of another run, and the operating system's.
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
        Ok(Self { place, journal, part, entries })
    }
}

impl Output {
    /// Continue what an earlier run has left, or begin anew and remove it; whether something was removed.
    ///
    /// # Errors
    /// If another run has begun to write there, and the operating system's.
    pub(crate) fn open(leftover: Leftover, draft: Draft) -> Result<(Self, bool), Error> {
        let Leftover { place, mut journal, mut part, entries } = leftover;
        let header = draft.header();
        let (data_offset, tensors) = (header.len() as u64, draft.tensors().len());
        let bytes = data_offset + draft.data_bytes();
        let new = |place, file, journal: Journal, draft, done| Self {
            place,
            file,
            draft,
            data_offset,
            journal: journal.into(),
            done,
            continued: false,
            named: false,
            kept: false,
        };
        let removed = part.is_some();
        if let Some(entries) = entries {
            // killed after it got its name?
            let named = part.is_none() && entries.complete;
            let file = if named { File::open(&place.file).ok() } else { part.take() };
            if let Some(file) = file.filter(|file| begins_with(file, &header, bytes)) {
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
        let output = new(place, file, journal, draft, vec![false; tensors]);
        if try_lock(&output.file).map_err(|source| output.io(source))? {
            Ok((output, removed))
        } else {
            Err(Error::Busy { path: output.place.path.clone() })
        }
    }

    /// Write the header and the full length, so that every tensor can be written at its place in any order.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        if self.named {
            return Ok(());
        }
        write_all_at(&self.file, &self.draft.header(), 0).map_err(|source| self.io(source))?;
        self.file.set_len(self.bytes()).map_err(|source| self.io(source))
    }

    /// Where it appears when it is complete, as the path was given.
    pub(crate) fn path(&self) -> &Path {
        &self.place.path
    }

    /// Where it is made.
    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// The tensor at an index of the draft.
    pub(crate) fn tensor(&self, index: usize) -> &TensorInfo {
        &self.draft.tensors()[index]
    }

    /// The header that is written.
    pub(crate) fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Whether an earlier run has completed the tensor at an index of the draft.
    pub(crate) fn is_done(&self, tensor: usize) -> bool {
        self.done[tensor]
    }

    /// Whether this run goes on with what an earlier one has left.
    pub(crate) const fn is_continued(&self) -> bool {
        self.continued
    }

    /// Length of the file in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.data_offset + self.draft.data_bytes()
    }

    /// Bytes that the disk has yet to take.
    pub(crate) fn missing_bytes(&self) -> u64 {
        if self.named {
            return 0;
        }
        let tensors = self.draft.tensors().iter().zip(&self.done);
        let done = tensors.filter(|(_, done)| **done).filter_map(|(tensor, _)| tensor.bytes());
        self.bytes().saturating_sub(done.sum())
    }

    /// Write bytes of a tensor's data, from byte `start` of it on.
    pub(crate) fn write(&self, tensor: usize, start: u64, bytes: &[u8]) -> Result<(), Error> {
        let start = self.data_offset + self.tensor(tensor).offset + start;
        write_all_at(&self.file, bytes, start).map_err(|source| self.io(source))
    }

    /// Read a row of a tensor back, little-endian.
    pub(crate) fn read_row(&self, tensor: usize, row: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        let info = self.tensor(tensor);
        let TensorType::Known(ty) = info.ty else { unreachable!("a draft has known types") };
        let bytes = ty.row_bytes(info.shape.row()).unwrap_or(0);
        out.resize(bytes as usize, 0);
        let start = self.data_offset + info.offset + row * bytes;
        ReadAt::read_exact_at(&self.file, out, start).map_err(|source| self.io(source))?;
        if self.draft.endian() == Endian::Big {
            ty.swap_bytes(out);
        }
        Ok(())
    }

    /// Whether the file has the header and the length that it is to have.
    pub(crate) fn has_header(&self) -> bool {
        begins_with(&self.file, &self.draft.header(), self.bytes())
    }

    /// Note that tensors are complete, once they are on the disk.
    pub(crate) fn note(&self, tensors: &[usize]) -> Result<(), Error> {
        self.file.sync_data().and_then(|()| self.journal().add(tensors)).map_err(|e| self.io(e))
    }

    /// Bring the file to the disk.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        if self.named { Ok(()) } else { self.file.sync_all().map_err(|source| self.io(source)) }
    }

    /// Note that the file is complete and on the disk: a run that is killed from now on need not write it again, even
    /// if it has its name by then.
    pub(crate) fn note_complete(&self) -> Result<(), Error> {
        if self.named { Ok(()) } else { self.journal().complete().map_err(|e| self.io(e)) }
    }

    /// Give the file its name.
    pub(crate) fn publish(&mut self) -> Result<(), Error> {
        if self.named {
            return Ok(());
        }
        self.place.publish(&self.file)?;
        self.named = true;
        sync_folder(self.place.folder()).map_err(|source| self.io(source))
    }

    /// Remove the journal of a file that has its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.journal().remove().map_err(|source| self.io(source))
    }

    /// Leave the temporary file for another run, if there is anything that it could take over; whether there is.
    pub(crate) fn keep(&mut self) -> bool {
        self.kept = true;
        !self.journal().is_empty()
    }

    /// Leave nothing: the file is known to be wrong.
    pub(crate) const fn discard(&mut self) {
        self.kept = false;
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn io(&self, source: io::Error) -> Error {
        self.place.io(source)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // an error is being reported already, if these fail
        if self.named {
            if !self.kept {
                let _ = self.journal().remove();
            }
        } else if !self.kept || self.journal().is_empty() {
            let _ = remove_if_there(&self.place.part());
            let _ = self.journal().remove();
        }
    }
}

/// Open and lock what an earlier run has left; `None` if there is nothing.
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

/// That under a hidden name there is a regular file, which a run may have left, or nothing; whether there is one.
fn not_in_the_way(place: &Place, hidden: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(hidden) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(place.io(error)),
        Ok(about) if about.is_file() => Ok(true),
        Ok(_) => Err(Error::InTheWay { path: place.path.clone(), part: hidden.to_owned() }),
    }
}

/// Lock a file for this run; `false` if another run has it. File systems without locks do without.
fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(false),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(true),
    }
}

/// Whether a file has this header and this length.
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

/// A hidden name in the same folder.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(extension);
    path.with_file_name(name)
}

/// Make the new name itself survive a power failure.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows has no such call for folders.
#[cfg(windows)]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
