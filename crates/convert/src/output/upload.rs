//! Outputs that are on no disk of this machine.

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granule_format::Draft;

use super::journal::{self, Found};
use crate::Error;
use crate::run::Identity;

/// A store that takes files in parts. A file is there when all of its parts are, and not before.
///
/// The library knows no store: the caller gives one with [`RunOptions`](crate::run::RunOptions).
pub trait Uploads: Debug + Send + Sync {
    /// Whether a path names a file there.
    fn owns(&self, path: &Path) -> bool;

    /// The record that an interrupted run has left for a file: what it gave to
    /// [`Upload::record`], and what the upload has added.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn find(&self, path: &Path) -> io::Result<Option<String>>;

    /// Removes what an interrupted run has left, given its record.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn remove(&self, path: &Path, record: &str) -> io::Result<()>;

    /// Begins the upload of a file of `bytes` bytes, or continues that of a `record`. Nothing is
    /// written to `gaps`, which are zeros and in order.
    ///
    /// # Errors
    /// If the store cannot be written, or the record cannot be read.
    fn begin(
        &self,
        path: &Path,
        bytes: u64,
        gaps: Vec<Range<u64>>,
        record: Option<&str>,
    ) -> io::Result<Box<dyn Upload>>;
}

/// A file that is being uploaded. Many threads write to it at once.
pub trait Upload: Debug + Send + Sync {
    /// Writes bytes, each of them once. What an earlier run has stored is left as it is. Waits if
    /// much is on its way.
    ///
    /// # Errors
    /// If something cannot be stored, now or earlier.
    fn write(&self, start: u64, bytes: &[u8]) -> io::Result<()>;

    /// Whether a range is stored.
    fn is_stored(&self, range: Range<u64>) -> bool;

    /// Records what is stored after the line `head`, if it is time for that; in any case if it
    /// `must` be. Returns whether anything is stored.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn record(&self, head: &str, must: bool) -> io::Result<bool>;

    /// Waits until everything is stored.
    ///
    /// # Errors
    /// If something cannot be stored.
    fn flush(&self) -> io::Result<()>;

    /// Makes the file of its parts. Does nothing if an earlier run has done that.
    ///
    /// # Errors
    /// If the store cannot do it, or the file has another length then.
    fn publish(&self) -> io::Result<()>;

    /// Removes the record of a file that is complete.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn finish(&self) -> io::Result<()>;

    /// Removes everything that was stored, and the record.
    fn discard(&self);
}

/// An output that is uploaded.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) path: PathBuf,
    pub(super) upload: Box<dyn Upload>,
    /// The first line of its record.
    head: String,
}

/// What an earlier run has left for such an output.
#[derive(Debug)]
pub(crate) struct Left {
    pub(super) path: PathBuf,
    store: Arc<dyn Uploads>,
    head: String,
    /// The record, and whether it belongs to this run.
    record: Option<(String, bool)>,
}

impl Left {
    /// Looks for it, without changing anything.
    pub(super) fn find(
        path: &Path,
        store: &Arc<dyn Uploads>,
        identity: &Identity,
        restart: bool,
    ) -> Result<Self, Error> {
        let record = store.find(path).map_err(Error::io(path))?;
        let record = match record {
            None => None,
            Some(record) => Some(match journal::first_line_of(&record, identity) {
                Found::OtherRun(differs) if !restart => {
                    let (path, part) = (path.to_owned(), path.to_owned());
                    return Err(Error::OtherRun { path, part, differs });
                }
                Found::Entries(_) if !restart => (record, true),
                _ => (record, false),
            }),
        };
        let (path, head) = (path.to_owned(), journal::first_line(identity));
        Ok(Self { path, store: store.clone(), head, record })
    }

    /// Continues the upload, or begins it. The second value is whether something was removed.
    pub(super) fn open(self, draft: &Draft, header: &[u8]) -> Result<(Remote, bool, bool), Error> {
        let Self { path, store, head, record } = self;
        let io = |source| Error::Io { path: path.clone(), source };
        let own = record.as_ref().filter(|(_, is_own)| *is_own).map(|(record, _)| record.as_str());
        let other = record.as_ref().filter(|(_, is_own)| !is_own);
        if let Some((record, _)) = other {
            store.remove(&path, record).map_err(io)?;
        }
        let begin = header.len() as u64;
        let upload = store.begin(&path, begin + draft.data_bytes(), gaps(draft, begin), own);
        let upload = upload.map_err(io)?;
        upload.record(&head, true).map_err(io)?;
        let (continued, removed) = (own.is_some(), other.is_some());
        Ok((Remote { path, upload, head }, continued, removed))
    }
}

impl Remote {
    pub(super) fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }

    /// Records what is stored. Returns whether anything is.
    pub(super) fn record(&self, must: bool) -> Result<bool, Error> {
        self.upload.record(&self.head, must).map_err(|source| self.io(source))
    }
}

/// The bytes between tensors and after the last one.
fn gaps(draft: &Draft, begin: u64) -> Vec<Range<u64>> {
    let mut gaps = Vec::new();
    let mut at = 0;
    let ends = draft.tensors().iter().map(|tensor| (tensor.offset, tensor.bytes().unwrap_or(0)));
    for (offset, bytes) in ends.chain([(draft.data_bytes(), 0)]) {
        if at < offset {
            gaps.push(begin + at..begin + offset);
        }
        at = offset + bytes;
    }
    gaps
}

#[cfg(test)]
mod tests {
    use granule_format::{BlockType, Endian, Metadata, Shape, TensorType};

    use super::*;

    #[test]
    fn padding_is_a_gap() {
        let mut draft = Draft::new(Metadata::new(), Endian::Little).expect("a draft");
        for (name, values) in [("a", 8), ("b", 9), ("c", 1)] {
            let shape = Shape::new(&[values]).expect("a shape");
            draft.add(name, shape, TensorType::Known(BlockType::F32)).expect("a tensor");
        }
        assert_eq!(gaps(&draft, 100), [168..196, 200..228]);
    }
}
