//! An object as a storage of bytes.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use granule_reader::ReadAt;

use crate::cache::Cache;
use crate::fault::Fault;
use crate::transport::{About, Object, runtime};

/// Bytes that are fetched when an object is opened. Small files of a checkpoint need no more.
const START: u64 = 64 << 10;
/// Objects that are opened at a time.
const AT_ONCE: usize = 16;

/// An object that many threads can read at any position.
#[derive(Debug)]
pub struct RemoteFile {
    cache: Arc<Cache>,
    number: u64,
    about: About,
}

impl RemoteFile {
    /// Opens an object, and fetches its start.
    pub(crate) fn open(object: Object, cache: &Arc<Cache>) -> io::Result<Self> {
        let mut opened = Self::open_all(vec![object], cache)?;
        Ok(opened.pop().expect("as many as there are objects")?)
    }

    /// Opens several objects, some at a time.
    pub(crate) fn open_all(
        objects: Vec<Object>,
        cache: &Arc<Cache>,
    ) -> io::Result<Vec<Result<Self, Fault>>> {
        let opening = stream::iter(objects).map(|object| async {
            let (start, about) = start(&object).await?;
            let number = cache.add(object.into(), about.clone(), start);
            Ok(Self { cache: cache.clone(), number, about })
        });
        Ok(runtime()?.block_on(opening.buffered(AT_ONCE).collect()))
    }
}

/// The start of an object, and what is known about it.
async fn start(object: &Object) -> Result<(Vec<u8>, About), Fault> {
    match object.get(0..START, None).await {
        // an empty object has no range
        Err(fault @ (Fault::Settings(_) | Fault::NoRanges | Fault::Connection(_))) => {
            match object.head().await {
                Ok(about) if about.bytes == 0 => Ok((Vec::new(), about)),
                _ => Err(fault),
            }
        }
        got => got,
    }
}

impl ReadAt for RemoteFile {
    fn read_exact_at(&self, out: &mut [u8], start: u64) -> io::Result<()> {
        let end = start.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.about.bytes) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.cache.read(self.number, start, out)?)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.about.bytes)
    }

    fn version(&self) -> Option<&str> {
        Some(&self.about.version)
    }

    fn will_read(&self, bytes: Range<u64>) {
        let end = bytes.end.min(self.about.bytes);
        self.cache.announce(self.number, bytes.start.min(end)..end);
    }
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        self.cache.remove(self.number);
    }
}
