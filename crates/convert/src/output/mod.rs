//! Files that appear under their name only when they are complete.
//!
//! `model.gguf` is written as `.model.gguf.part`. A run that fails removes it; a run that is killed cannot, so it stays with
//! a journal `.model.gguf.resume` beside it, and the next run for the same output either continues it or removes both.

mod check;
mod journal;
mod part;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use granule_format::{Draft, TensorInfo};
use granule_reader::positioned::{read_exact_at, write_all_at};

use crate::Error;
use journal::{Found, Journal, remove_if_there};

pub(crate) use check::{paths as check_paths, space as check_space};
pub(crate) use part::Part;

/// A file that is being written, under a temporary name in the folder of its path.
///
/// Dropping it removes the temporary file, unless it is to be [kept](Self::keep); a file that was at the path before
/// stays as it was.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    part: PathBuf,
    file: File,
    draft: Draft,
    data_offset: u64,
    journal: std::sync::Mutex<Journal>,
    /// For each tensor whether an earlier run has completed it.
    done: Vec<bool>,
    /// The file has its name.
    named: bool,
    /// What is complete is to be left for another run.
    kept: bool,
}

/// What a run leaves that was killed.
pub(crate) struct Leftover {
    /// There was one, and it was removed.
    pub(crate) removed: bool,
}

impl Output {
    /// Take the temporary name of `path`. With `resume` the tensors that an earlier run of the same `identity` has completed
    /// are taken over, and the file is [kept](Self::keep); else what is left of an earlier run is removed.
    ///
    /// # Errors
    /// If another run is writing there, what is left is of another run and `resume` wants to continue it, and
    /// the operating system's.
    pub(crate) fn open(
        path: &Path,
        draft: Draft,
        identity: &str,
        resume: bool,
    ) -> Result<(Self, Leftover), Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let part = beside(path, "part");
        let mut journal = Journal::new(beside(path, "resume"), identity);
        let header = draft.header();
        let bytes = header.len() as u64 + draft.data_bytes();
        let mut left = lock_leftover(path, &part)?;
        let removed = left.is_some();

        if resume {
            let found = journal.read().map_err(io)?;
            if found == Found::OtherRun {
                return Err(Error::OtherRun { path: path.to_owned(), part });
            }
            if let Found::Entries(entries) = found {
                // killed after it got its name?
                let named = left.is_none() && entries.complete;
                let file = if named { File::open(path).ok() } else { left.take() };
                if let Some(file) = file.filter(|file| begins_with(file, &header, bytes)) {
                    journal.continue_behind(&entries).map_err(io)?;
                    let mut done = vec![entries.complete; draft.tensors().len()];
                    for tensor in entries.tensors {
                        if let Some(done) = done.get_mut(tensor) {
                            *done = true;
                        }
                    }
                    let (path, journal) = (path.to_owned(), journal.into());
                    let data_offset = header.len() as u64;
                    let kept = true;
                    let output =
                        Self { path, part, file, draft, data_offset, journal, done, named, kept };
                    return Ok((output, Leftover { removed: false }));
                }
            }
        }

        drop(left);
        remove_if_there(&part).and_then(|()| journal.remove()).map_err(io)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&part);
        let file = file.map_err(io)?;
        let output = Self {
            path: path.to_owned(),
            part,
            file,
            data_offset: header.len() as u64,
            done: vec![false; draft.tensors().len()],
            draft,
            journal: journal.into(),
            named: false,
            kept: resume,
        };
        if try_lock(&output.file).map_err(io)? {
            Ok((output, Leftover { removed }))
        } else {
            Err(Error::Busy { path: path.to_owned() })
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

    /// Where it appears when it is complete.
    pub(crate) fn path(&self) -> &Path {
        &self.path
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

    /// Write bytes of a tensor's data, `start` bytes behind its begin.
    pub(crate) fn write(&self, tensor: usize, start: u64, bytes: &[u8]) -> Result<(), Error> {
        let start = self.data_offset + self.tensor(tensor).offset + start;
        write_all_at(&self.file, bytes, start).map_err(|source| self.io(source))
    }

    /// Note that tensors are complete, once they are on the disk.
    pub(crate) fn note(&self, tensors: &[usize]) -> Result<(), Error> {
        self.file.sync_data().and_then(|()| self.journal().add(tensors)).map_err(|e| self.io(e))
    }

    /// Bring the file to the disk. With `note` a run that is killed from now on need not write it again.
    pub(crate) fn flush(&self, note: bool) -> Result<(), Error> {
        if self.named {
            return Ok(());
        }
        self.file.sync_all().map_err(|source| self.io(source))?;
        if note { self.journal().complete().map_err(|source| self.io(source)) } else { Ok(()) }
    }

    /// Give the file its name.
    pub(crate) fn publish(&mut self) -> Result<(), Error> {
        if self.named {
            return Ok(());
        }
        fs::rename(&self.part, &self.path).map_err(|source| self.io(source))?;
        self.named = true;
        sync_folder(folder(&self.path)).map_err(|source| self.io(source))
    }

    /// Remove the journal of a file that has its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.journal().remove().map_err(|source| self.io(source))
    }

    /// Leave the temporary file for another run, if there is anything that it could take over.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
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
            let _ = remove_if_there(&self.part);
            let _ = self.journal().remove();
        }
    }
}

/// Open and lock what an earlier run has left; `None` if there is nothing.
fn lock_leftover(path: &Path, part: &Path) -> Result<Option<File>, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(part) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
        Ok(about) if !about.is_file() => {
            return Err(Error::InTheWay { path: path.to_owned(), part: part.to_owned() });
        }
        Ok(_) => {}
    }
    let file = OpenOptions::new().read(true).write(true).open(part).map_err(io)?;
    if try_lock(&file).map_err(io)? {
        Ok(Some(file))
    } else {
        Err(Error::Busy { path: path.to_owned() })
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
        && read_exact_at(file, &mut found, 0).is_ok()
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
