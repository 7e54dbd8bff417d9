//! Results that go to an object store: uploads in parts.
//!
//! A file is cut into parts of equal length. A part is sent when all of its bytes are there, and
//! forgotten when the store has it. Next to the file, `.NAME.resume` records the upload and its
//! parts, so any machine can continue it. The store makes the file of its parts in one step.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use granule_convert::run::{Upload, Uploads};

use crate::address::{Address, Place};
use crate::client::Client;
use crate::fault::Fault;
use crate::transport::{Object, runtime};

/// Most bytes of a record.
const MOST_RECORD: u64 = 16 << 20;
/// Fewest bytes of a part but the last, and most parts of a file. Stores take 10,000.
const PART: u64 = 8 << 20;
const MOST_PARTS: u64 = 8000;
/// Parts of a file on their way.
const FLYING: usize = 6;
/// The least time between two records.
const RECORD_EVERY: Duration = Duration::from_secs(2);

/// The words that lines of a record begin with.
const UPLOAD: &str = "upload";
const BEFORE: &str = "before ";
const STORED: &str = "part";
const COMPLETE: &str = "complete";

/// The uploads of a client: files at `s3://`, `gs://` and `az://`.
#[derive(Clone, Debug)]
pub struct RemoteUploads(Client);

impl RemoteUploads {
    /// Uploads through this client.
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    /// Checks that a result can go to an address: it is that of a file in an object store.
    ///
    /// # Errors
    /// With a [`Fault`], if not.
    pub fn check(address: &Address) -> io::Result<()> {
        match &address.place {
            Place::Store { key, .. } if !key.is_empty() && !key.ends_with('/') => Ok(()),
            Place::Store { .. } => Err(Fault::NoName.into()),
            _ => Err(Fault::NoUpload.into()),
        }
    }

    /// The file at a path and its record.
    fn objects(&self, path: &FilePath) -> io::Result<[Object; 2]> {
        // a path of Windows may have got other separators
        let text = path.to_string_lossy().replace('\\', "/");
        let address = Address::parse(&text).map_err(|why| Fault::Settings(why.to_string()))?;
        Self::check(&address)?;
        let record = address.with_file_name(&format!(".{}.resume", address.file_name()));
        Ok([self.0.object(&address)?, self.0.object(&record)?])
    }
}

impl Uploads for RemoteUploads {
    fn owns(&self, path: &FilePath) -> bool {
        path.to_str().is_some_and(Address::is_url)
    }

    fn find(&self, path: &FilePath) -> io::Result<Option<String>> {
        let [_, record] = self.objects(path)?;
        match runtime()?.block_on(record.get_whole(MOST_RECORD)) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    fn remove(&self, path: &FilePath, record: &str) -> io::Result<()> {
        let [file, record_file] = self.objects(path)?;
        runtime()?.block_on(async {
            if let Some(left) = Left::parse(record) {
                file.abort_upload(&left.id).await;
            }
            record_file.delete().await
        })?;
        Ok(())
    }

    fn begin(
        &self,
        path: &FilePath,
        bytes: u64,
        gaps: Vec<Range<u64>>,
        record: Option<&str>,
    ) -> io::Result<Box<dyn Upload>> {
        let [file, record_file] = self.objects(path)?;
        Ok(Box::new(RemoteUpload::begin([file, record_file], bytes, gaps, record)?))
    }
}

impl RemoteUpload {
    /// Begins or continues the upload of a file with its record.
    fn begin(
        [file, record_file]: [Object; 2],
        bytes: u64,
        gaps: Vec<Range<u64>>,
        record: Option<&str>,
    ) -> io::Result<Self> {
        let left = match record {
            Some(record) => Left::parse(record)
                .ok_or_else(|| Fault::Settings("its record cannot be read".to_owned()))?,
            None => Left {
                before: runtime()?.block_on(file.stamp())?,
                id: runtime()?.block_on(file.begin_upload())?,
                part: PART.max(bytes.div_ceil(MOST_PARTS).next_multiple_of(1 << 20)),
                stored: BTreeMap::new(),
                complete: false,
            },
        };
        let Left { before, id, part, stored, complete } = left;
        let state = State { recorded: stored.len(), stored, ..State::default() };
        let record = record_file;
        let fixed = Fixed { file, record, before, id, bytes, part, gaps, complete };
        let (state, changed) = (state.into(), Condvar::new());
        Ok(Self(Arc::new(Shared { fixed, state, changed })))
    }
}

/// What a record says.
#[derive(Debug, PartialEq)]
struct Left {
    /// The [`stamp`](Object::stamp) of the file that the upload replaces.
    before: Option<String>,
    id: String,
    part: u64,
    stored: BTreeMap<u64, String>,
    complete: bool,
}

impl Left {
    /// Reads the lines after the first one.
    fn parse(record: &str) -> Option<Self> {
        let mut lines = record.lines().skip(1);
        let mut words = lines.next()?.split(' ');
        let (Some(UPLOAD), Some(part), Some(id)) = (words.next(), words.next(), words.next())
        else {
            return None;
        };
        let part = part.parse().ok().filter(|part| *part >= PART)?;
        let (mut before, mut stored, mut complete) = (None, BTreeMap::new(), false);
        for line in lines {
            if let Some(stamp) = line.strip_prefix(BEFORE) {
                before = Some(stamp.to_owned());
                continue;
            }
            match line.split(' ').collect::<Vec<_>>()[..] {
                [STORED, number, tag] => _ = stored.insert(number.parse().ok()?, tag.to_owned()),
                [COMPLETE] => complete = true,
                _ => return None,
            }
        }
        Some(Self { before, id: id.to_owned(), part, stored, complete })
    }
}

/// A file that is being uploaded.
struct RemoteUpload(Arc<Shared>);

struct Shared {
    fixed: Fixed,
    state: Mutex<State>,
    changed: Condvar,
}

struct Fixed {
    file: Object,
    record: Object,
    /// The stamp of the file that is replaced.
    before: Option<String>,
    id: String,
    /// Bytes of the file, and of a part.
    bytes: u64,
    part: u64,
    /// Where nothing is written.
    gaps: Vec<Range<u64>>,
    /// Whether an earlier run has had everything stored.
    complete: bool,
}

#[derive(Default)]
struct State {
    /// Parts that are not whole.
    open: BTreeMap<u64, Part>,
    /// What the store calls the parts that it has.
    stored: BTreeMap<u64, String>,
    flying: usize,
    failed: Option<Fault>,
    /// How many parts the record has, and since when.
    recorded: usize,
    recorded_at: Option<Instant>,
}

struct Part {
    content: Vec<u8>,
    /// Bytes that are not there.
    missing: u64,
}

impl Fixed {
    fn parts(&self) -> u64 {
        self.bytes.div_ceil(self.part)
    }

    /// The bytes of the file that a part has.
    fn range(&self, number: u64) -> Range<u64> {
        number * self.part..((number + 1) * self.part).min(self.bytes)
    }

    /// A part without content.
    fn open(&self, number: u64) -> Part {
        let range = self.range(number);
        let first = self.gaps.partition_point(|gap| gap.end <= range.start);
        let inside = self.gaps[first..].iter().take_while(|gap| gap.start < range.end);
        let empty = inside.map(|gap| gap.end.min(range.end) - gap.start.max(range.start));
        let length = range.end - range.start;
        Part { content: vec![0; length as usize], missing: length - empty.sum::<u64>() }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(|poison| poison.into_inner())
    }

    /// Sends a part when there are few on their way.
    fn send(self: &Arc<Self>, number: u64, content: Vec<u8>) -> io::Result<()> {
        let mut state = self.lock();
        while state.flying >= FLYING && state.failed.is_none() {
            state = self.wait(state);
        }
        if let Some(fault) = &state.failed {
            return Err(fault.clone().into());
        }
        state.flying += 1;
        drop(state);
        let shared = self.clone();
        runtime()?.spawn(async move {
            let sent = shared.fixed.file.put_part(&shared.fixed.id, number, content).await;
            let mut state = shared.lock();
            state.flying -= 1;
            match sent {
                Ok(tag) => _ = state.stored.insert(number, tag),
                Err(fault) => _ = state.failed.get_or_insert(fault),
            }
            drop(state);
            shared.changed.notify_all();
        });
        Ok(())
    }

    fn record(&self, head: &str, state: &State) -> String {
        let Fixed { before, id, part, .. } = &self.fixed;
        let mut text = format!("{head}{UPLOAD} {part} {id}\n");
        if let Some(stamp) = before {
            text += &format!("{BEFORE}{stamp}\n");
        }
        for (number, tag) in &state.stored {
            text += &format!("{STORED} {number} {tag}\n");
        }
        if state.stored.len() as u64 == self.fixed.parts() {
            text += COMPLETE;
            text.push('\n');
        }
        text
    }
}

impl Upload for RemoteUpload {
    fn write(&self, start: u64, bytes: &[u8]) -> io::Result<()> {
        let Self(shared) = self;
        let fixed = &shared.fixed;
        let (mut at, end) = (start, start + bytes.len() as u64);
        while at < end {
            let number = at / fixed.part;
            let range = fixed.range(number);
            let here = end.min(range.end) - at;
            let from = &bytes[(at - start) as usize..][..here as usize];
            let mut state = shared.lock();
            if !state.stored.contains_key(&number) {
                let part = state.open.entry(number).or_insert_with(|| fixed.open(number));
                let to = (at - range.start) as usize;
                part.content[to..to + from.len()].copy_from_slice(from);
                part.missing = part.missing.saturating_sub(here);
                let whole = match part.missing {
                    0 => state.open.remove(&number),
                    _ => None,
                };
                drop(state);
                if let Some(part) = whole {
                    shared.send(number, part.content)?;
                }
            }
            at += here;
        }
        Ok(())
    }

    fn is_stored(&self, range: Range<u64>) -> bool {
        let state = self.0.lock();
        let part = self.0.fixed.part;
        let mut parts = range.start / part..range.end.div_ceil(part).max(range.start / part);
        parts.all(|number| state.stored.contains_key(&number))
    }

    fn record(&self, head: &str, must: bool) -> io::Result<bool> {
        let Self(shared) = self;
        let mut state = shared.lock();
        let is_new = state.stored.len() > state.recorded || state.recorded_at.is_none();
        let is_time = state.recorded_at.is_none_or(|at| at.elapsed() >= RECORD_EVERY);
        let any = !state.stored.is_empty();
        if !is_new || !(is_time || must) {
            return Ok(any);
        }
        (state.recorded, state.recorded_at) = (state.stored.len(), Some(Instant::now()));
        let text = shared.record(head, &state);
        drop(state);
        runtime()?.block_on(shared.fixed.record.put(text.into_bytes()))?;
        Ok(any)
    }

    fn flush(&self) -> io::Result<()> {
        let Self(shared) = self;
        let mut state = shared.lock();
        while state.flying > 0 && state.failed.is_none() {
            state = shared.wait(state);
        }
        match &state.failed {
            Some(fault) => Err(fault.clone().into()),
            None if state.stored.len() as u64 == shared.fixed.parts() => Ok(()),
            None => Err(io::Error::other("bytes of the file were not written")),
        }
    }

    fn publish(&self) -> io::Result<()> {
        let fixed = &self.0.fixed;
        let tags: Vec<String> = self.0.lock().stored.values().cloned().collect();
        runtime()?.block_on(async {
            let done = fixed.file.complete_upload(&fixed.id, &tags).await;
            if let Err(fault) = done {
                // the earlier run, or a request whose response was lost, may have done it; if the
                // file is still the one before, it has not
                let may_be = fixed.complete || fault.may_pass() || fault == Fault::UploadGone;
                if !may_be || fixed.file.stamp().await? == fixed.before {
                    return Err(fault);
                }
            }
            match fixed.file.head().await {
                Ok(about) if about.bytes == fixed.bytes => Ok(()),
                Ok(about) => Err(Fault::Length { expected: fixed.bytes, found: about.bytes }),
                Err(fault) => Err(fault),
            }
        })?;
        Ok(())
    }

    fn finish(&self) -> io::Result<()> {
        Ok(runtime()?.block_on(self.0.fixed.record.delete())?)
    }

    fn discard(&self) {
        let Self(shared) = self;
        // nothing is sent after it is discarded
        let mut state = shared.lock();
        while state.flying > 0 {
            state = shared.wait(state);
        }
        drop(state);
        if let Ok(runtime) = runtime() {
            runtime.block_on(async {
                shared.fixed.file.abort_upload(&shared.fixed.id).await;
                // ignored: an error is already being reported
                let _ = shared.fixed.record.delete().await;
            });
        }
    }
}

impl fmt::Debug for RemoteUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteUpload").field("file", &self.0.fixed.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "upload_test.rs"]
mod tests;
