//! Files that appear under their name only when they are complete.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use granule_format::{Draft, TensorInfo};
use granule_reader::positioned::write_all_at;
use tempfile::NamedTempFile;

use crate::Error;

/// A file that is being written, under a temporary name in the folder of its path.
///
/// Dropping it removes the temporary file; a file that was at the path before stays as it was.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    temporary: NamedTempFile,
    draft: Draft,
    data_offset: u64,
}

impl Output {
    /// Begin a file: its header and its full length are written, so every tensor can be written at its place
    /// in any order.
    pub(crate) fn create(path: &Path, draft: Draft) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let header = draft.header();
        let data_offset = header.len() as u64;
        let temporary = new_temporary(path).map_err(io)?;
        write_all_at(temporary.as_file(), &header, 0).map_err(io)?;
        temporary.as_file().set_len(data_offset + draft.data_bytes()).map_err(io)?;
        Ok(Self { path: path.to_owned(), temporary, draft, data_offset })
    }

    /// The tensor at an index of the draft.
    pub(crate) fn tensor(&self, index: usize) -> &TensorInfo {
        &self.draft.tensors()[index]
    }

    /// The header that was written.
    pub(crate) fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Length of the file in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.data_offset + self.draft.data_bytes()
    }

    /// Write bytes of a tensor's data, `start` bytes behind its begin.
    pub(crate) fn write(&self, tensor: usize, start: u64, bytes: &[u8]) -> Result<(), Error> {
        let start = self.data_offset + self.tensor(tensor).offset + start;
        write_all_at(self.temporary.as_file(), bytes, start).map_err(|source| self.io(source))
    }

    /// Flush the file and give it its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.temporary.as_file().sync_all().map_err(|source| self.io(source))?;
        let Self { path, temporary, .. } = self;
        temporary
            .persist(&path)
            .map_err(|error| Error::Io { path: path.clone(), source: error.error })?;
        sync_folder(folder(&path)).map_err(|source| Error::Io { path, source })
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

/// Everything about the outputs that can be known to go wrong before any work is done: a missing folder, a
/// path that is an input or a folder, too little space.
pub(crate) fn check(outputs: &[(&Path, u64)], inputs: &[&Path]) -> Result<(), Error> {
    let mut needed: Vec<(&Path, u64)> = Vec::new();
    for (path, bytes) in outputs {
        let folder = folder(path);
        if !folder.is_dir() {
            return Err(Error::NoFolder { path: path.to_path_buf(), folder: folder.to_owned() });
        }
        if path.is_dir() {
            return Err(Error::OutputIsFolder { path: path.to_path_buf() });
        }
        for input in inputs {
            if same_file::is_same_file(path, input).unwrap_or(false) {
                return Err(Error::OutputIsInput { path: path.to_path_buf() });
            }
        }
        match needed.iter_mut().find(|(other, _)| *other == folder) {
            Some((_, sum)) => *sum = sum.saturating_add(*bytes),
            None => needed.push((folder, *bytes)),
        }
    }
    for (folder, needed) in needed {
        // a file system that cannot say how much is free is not a reason to refuse
        let free = fs4::available_space(folder).unwrap_or(u64::MAX);
        if free < needed {
            return Err(Error::Space { folder: folder.to_owned(), needed, free });
        }
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn new_temporary(path: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".part");
    // the usual permissions of a new file, not the private ones of a temporary file
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
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
