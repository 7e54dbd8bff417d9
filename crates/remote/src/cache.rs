//! What has been fetched and not been read yet, of all objects together.
//!
//! Ranges that were announced are fetched in their order, several at a time, as long as there is
//! room; a range that somebody waits for is fetched at once. Nothing is fetched beyond the end of
//! an announced range. Where nothing was announced, reads that follow each other fetch ever more,
//! and others exactly what they read.
//!
//! What was read stays until its place is needed, because some data is read several times: the
//! scales of quantized weights are read again for each run of rows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::fault::Fault;
use crate::transport::{About, Object, runtime};

/// Most bytes of a request.
pub(crate) const PIECE: u64 = 4 << 20;
/// Fewest bytes of a request that follows another one.
pub(crate) const LEAST: u64 = 64 << 10;
/// Most bytes of a request that follows another one: what follows the header of a file is not read
/// by those who want the header alone.
const MOST: u64 = 2 << 20;
/// Bytes between two announced ranges that are fetched as one: data is aligned.
const GAP: u64 = 256;

/// Fetched pieces of objects.
#[derive(Debug)]
pub(crate) struct Cache {
    state: Mutex<State>,
    changed: Condvar,
    /// Most bytes of all pieces, but for those that somebody waits for.
    memory: u64,
    /// Most requests at a time, but for the same.
    requests: usize,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<u64, File>,
    /// Announced ranges that have not been asked for.
    announced: VecDeque<(u64, Range<u64>)>,
    bytes: u64,
    requests: usize,
    next_file: u64,
    clock: u64,
}

#[derive(Debug)]
struct File {
    object: Arc<Object>,
    about: Arc<About>,
    /// By their first byte; they do not overlap.
    pieces: BTreeMap<u64, Piece>,
    /// Where the last request without an announcement ended, and how long it was.
    last: (u64, u64),
}

#[derive(Debug)]
struct Piece {
    end: u64,
    content: Content,
    /// Bytes that nobody has read.
    unread: u64,
    /// When it was used last.
    used: u64,
}

#[derive(Clone, Debug)]
enum Content {
    Coming,
    Here(Arc<Vec<u8>>),
    Failed(Fault),
}

impl Cache {
    pub(crate) fn new(memory: u64, requests: usize) -> Self {
        let (state, changed) = Default::default();
        Self { state, changed, memory, requests: requests.max(1) }
    }

    /// Adds an object, with the bytes that it begins with. Returns its number.
    pub(crate) fn add(&self, object: Arc<Object>, about: About, start: Vec<u8>) -> u64 {
        let mut state = self.lock();
        let number = state.next_file;
        state.next_file += 1;
        let bytes = start.len() as u64;
        let mut file = File {
            object,
            about: about.into(),
            pieces: BTreeMap::new(),
            last: (bytes, bytes.max(LEAST)),
        };
        if bytes > 0 {
            let content = Content::Here(start.into());
            file.pieces.insert(0, Piece { end: bytes, content, unread: bytes, used: 0 });
        }
        state.files.insert(number, file);
        state.bytes += bytes;
        state.make_room(self.memory, false);
        number
    }

    /// Removes an object and everything of it.
    pub(crate) fn remove(&self, number: u64) {
        let mut state = self.lock();
        state.announced.retain(|(file, _)| *file != number);
        if let Some(file) = state.files.remove(&number) {
            state.bytes -= file.pieces.iter().map(|(start, piece)| piece.end - start).sum::<u64>();
        }
    }

    /// Announces a range.
    pub(crate) fn announce(self: &Arc<Self>, number: u64, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let mut state = self.lock();
        match state.announced.back_mut() {
            Some((file, last))
                if *file == number && (last.end..=last.end + GAP).contains(&range.start) =>
            {
                last.end = last.end.max(range.end);
            }
            _ => state.announced.push_back((number, range)),
        }
        self.fetch_ahead(&mut state);
    }

    /// Fills `out` with the bytes from `start` on, which the object has.
    pub(crate) fn read(
        self: &Arc<Self>,
        number: u64,
        start: u64,
        out: &mut [u8],
    ) -> Result<(), Fault> {
        let end = start + out.len() as u64;
        let mut at = start;
        let mut state = self.lock();
        while at < end {
            match state.piece(number, at) {
                Some((first, Content::Here(bytes))) => {
                    let from = (at - first) as usize;
                    let count = (bytes.len() - from).min((end - at) as usize);
                    // others may go on while the bytes are copied
                    drop(state);
                    let to = (at - start) as usize;
                    out[to..to + count].copy_from_slice(&bytes[from..from + count]);
                    at += count as u64;
                    state = self.lock();
                    state.has_read(number, first, count as u64);
                }
                Some((first, Content::Failed(fault))) => {
                    // the next one who wants it tries again
                    state.take(number, first);
                    return Err(fault);
                }
                Some((_, Content::Coming)) => {
                    state = self.changed.wait(state).unwrap_or_else(|poison| poison.into_inner());
                }
                None => self.fetch_now(&mut state, number, at..end),
            }
        }
        self.fetch_ahead(&mut state);
        Ok(())
    }

    /// Fetches the bytes that somebody waits for, at least from the start of `wanted` on.
    fn fetch_now(self: &Arc<Self>, state: &mut State, number: u64, wanted: Range<u64>) {
        let at = wanted.start;
        let mine = |(file, range): &(u64, Range<u64>)| *file == number && range.contains(&at);
        let next = state.next_piece(number, at);
        let range = match state.announced.iter().position(mine) {
            Some(place) => {
                let (_, range) = state.announced.remove(place).expect("it was found there");
                let end = range.end.min(at + PIECE).min(next);
                if range.start < at {
                    state.announced.insert(place, (number, range.start..at));
                }
                if end < range.end {
                    state.announced.push_front((number, end..range.end));
                }
                at..end
            }
            None => {
                let Some(file) = state.files.get_mut(&number) else { return };
                let (last, length) = file.last;
                let follows = (last..=last + GAP).contains(&at);
                let more = if follows { (2 * length).clamp(LEAST, MOST) } else { 0 };
                let end = wanted.end.min(at + 2 * PIECE).max(at + more).min(next);
                file.last = (end, end - at);
                at..end
            }
        };
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start + PIECE);
            self.fetch(state, number, start..end);
            start = end;
        }
        state.make_room(self.memory, true);
    }

    /// Fetches announced ranges while there is room.
    fn fetch_ahead(self: &Arc<Self>, state: &mut State) {
        while state.requests < self.requests {
            let Some((number, range)) = state.announced.front().cloned() else { return };
            // skip what is there already
            let (start, covered) =
                match state.files.get(&number).map(|file| file.cover(range.start)) {
                    None => (range.end, true),
                    Some(Some(end)) => (end, true),
                    Some(None) => (range.start, false),
                };
            let end = range.end.min(start + PIECE).min(state.next_piece(number, start));
            if !covered {
                let most = self.memory.saturating_sub(end - start);
                state.make_room(most, false);
                if state.bytes > most {
                    return;
                }
                self.fetch(state, number, start..end);
            }
            let left = if covered { start } else { end };
            state.announced.pop_front();
            if left < range.end {
                state.announced.push_front((number, left..range.end));
            }
        }
    }

    /// Begins a request.
    fn fetch(self: &Arc<Self>, state: &mut State, number: u64, range: Range<u64>) {
        state.clock += 1;
        let used = state.clock;
        let Some(file) = state.files.get_mut(&number) else { return };
        let (object, about) = (file.object.clone(), file.about.clone());
        let (start, length) = (range.start, range.end - range.start);
        let mut piece = Piece { end: range.end, content: Content::Coming, unread: length, used };
        let cache = self.clone();
        match runtime() {
            Ok(runtime) => {
                state.requests += 1;
                runtime.spawn(async move {
                    let got = object.get(range, Some(&about)).await;
                    cache.arrived(number, start, got.map(|(bytes, _)| bytes));
                });
            }
            Err(error) => piece.content = Content::Failed(Fault::Connection(error.to_string())),
        }
        file.pieces.insert(start, piece);
        state.bytes += length;
    }

    /// Puts in place what a request has fetched.
    fn arrived(self: &Arc<Self>, number: u64, start: u64, got: Result<Vec<u8>, Fault>) {
        let mut state = self.lock();
        state.requests -= 1;
        if let Some(piece) =
            state.files.get_mut(&number).and_then(|file| file.pieces.get_mut(&start))
        {
            piece.content = match got {
                Ok(bytes) => Content::Here(bytes.into()),
                Err(fault) => Content::Failed(fault),
            };
        }
        self.fetch_ahead(&mut state);
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl File {
    /// The end of the piece that holds a byte.
    fn cover(&self, at: u64) -> Option<u64> {
        let (_, piece) = self.pieces.range(..=at).next_back()?;
        (at < piece.end).then_some(piece.end)
    }
}

impl State {
    /// The piece that holds a byte, and where it begins.
    fn piece(&mut self, number: u64, at: u64) -> Option<(u64, Content)> {
        let file = self.files.get(&number)?;
        let (start, piece) = file.pieces.range(..=at).next_back()?;
        (at < piece.end).then(|| (*start, piece.content.clone()))
    }

    /// Where the next piece begins, or the object ends.
    fn next_piece(&self, number: u64, at: u64) -> u64 {
        let Some(file) = self.files.get(&number) else { return u64::MAX };
        file.pieces.range(at..).next().map_or(file.about.bytes, |(start, _)| *start)
    }

    fn has_read(&mut self, number: u64, start: u64, bytes: u64) {
        self.clock += 1;
        let used = self.clock;
        let file = self.files.get_mut(&number);
        if let Some(piece) = file.and_then(|file| file.pieces.get_mut(&start)) {
            piece.unread = piece.unread.saturating_sub(bytes);
            piece.used = used;
        }
    }

    fn take(&mut self, number: u64, start: u64) {
        let file = self.files.get_mut(&number);
        if let Some(piece) = file.and_then(|file| file.pieces.remove(&start)) {
            self.bytes -= piece.end - start;
        }
    }

    /// Removes pieces until there are at most `most` bytes: those that were read, the oldest first;
    /// if `any`, then also others that are here.
    fn make_room(&mut self, most: u64, any: bool) {
        if self.bytes <= most {
            return;
        }
        let mut here = Vec::new();
        // the order of the files does not matter: each use has a time of its own
        #[allow(clippy::iter_over_hash_type, reason = "sorted below")]
        for (number, file) in &self.files {
            for (start, piece) in &file.pieces {
                let is_read = piece.unread == 0;
                if !matches!(piece.content, Content::Coming) && (is_read || any) {
                    here.push((!is_read, piece.used, *number, *start));
                }
            }
        }
        here.sort_unstable();
        for (.., number, start) in here {
            if self.bytes <= most {
                return;
            }
            self.take(number, start);
        }
    }
}
