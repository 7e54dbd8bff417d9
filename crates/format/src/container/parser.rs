use super::counts::Counts;
use super::cursor::Cursor;
use super::entries::EntryStart;
use super::walk::Walk;
use super::{Array, Header};
use crate::{Error, Limits};

/// Reads a header piece by piece. Nothing is read twice, and pieces need not be kept.
///
/// ```
/// use granule_format::{Error, ErrorKind, Header, HeaderParser, Limits};
///
/// fn open(file: &[u8]) -> Result<Header, Error> {
///     let mut parser = HeaderParser::new(file.len() as u64, &Limits::DEFAULT);
///     let mut end = file.len().min(4096);
///     loop {
///         match parser.parse(&file[parser.position() as usize..end]) {
///             Err(Error { kind: ErrorKind::PrefixTooShort { need }, .. }) => end = need as usize,
///             result => return result,
///         }
///     }
/// }
/// # use granule_format::{Draft, Endian, Metadata};
/// # let file = Draft::new(Metadata::new(), Endian::Little).unwrap().header();
/// # assert_eq!(open(&file), Header::parse(&file));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a parser does nothing before `parse` is called"]
pub struct HeaderParser {
    at: Cursor<'static>,
    limits: Limits,
    begun: Option<(Header, Counts)>,
    /// The metadata entry whose value begins or continues at the position.
    entry: Option<EntryStart>,
    /// The part of that value that was read, if it is an array, and the number of missing elements.
    array: Option<(Array, u64)>,
}

impl HeaderParser {
    /// Starts reading a file of `file_bytes` bytes.
    pub fn new(file_bytes: u64, limits: &Limits) -> Self {
        let at = Cursor::new(&[], file_bytes);
        Self { at, limits: *limits, begun: None, entry: None, array: None }
    }

    /// Returns where to continue, in bytes from the start of the file. Earlier bytes are no longer
    /// needed.
    pub const fn position(&self) -> u64 {
        self.at.position()
    }

    /// Continues with the bytes at [`position`](Self::position), and returns the header if they
    /// complete it. A call after that starts again.
    ///
    /// # Errors
    /// As [`Header::parse`]; [`ErrorKind::PrefixTooShort`](crate::ErrorKind::PrefixTooShort) if the
    /// header continues after `bytes`: call again with the bytes at the new position.
    pub fn parse(&mut self, bytes: &[u8]) -> Result<Header, Error> {
        let mut walk = Walk::new(self.at.over(bytes), &self.limits, None);
        walk.partial = self.array.take();
        let result = self.read(&mut walk);
        if walk.partial.is_some() {
            // the available elements are read
            self.at = walk.cursor.over(&[]);
        }
        self.array = walk.partial.take();
        result.map_err(|error| walk.placed(error))
    }

    fn read(&mut self, walk: &mut Walk<'_, '_>) -> Result<Header, Error> {
        let (header, counts) = match &mut self.begun {
            Some(begun) => begun,
            None => {
                let header = Header::start(walk)?;
                let counts = Counts::read(walk)?;
                self.at = walk.cursor.over(&[]);
                self.begun.insert((header, counts))
            }
        };
        let known = header.entry_spans().len() as u64;
        header.reserve_entries(walk, counts.entries - known);
        for index in known..counts.entries {
            let start = match &self.entry {
                Some(start) => start,
                None => self.entry.insert(EntryStart::read(walk, index)?),
            };
            self.at = walk.cursor.over(&[]);
            header.read_value(walk, start)?;
            self.entry = None;
            self.at = walk.cursor.over(&[]);
        }
        header.finish_entries(walk)?;
        let known = header.tensors().len() as u64;
        header.reserve_tensors(walk, counts.tensors - known);
        for index in known..counts.tensors {
            header.read_tensor(walk, index)?;
            self.at = walk.cursor.over(&[]);
        }
        header.finish_table(walk, true)?;
        let file_bytes = walk.cursor.file_bytes();
        let done = core::mem::replace(self, Self::new(file_bytes, &self.limits));
        Ok(done.begun.expect("it was begun").0)
    }
}

impl Header {
    /// Reads the header of a file from all of its bytes.
    ///
    /// If this succeeds, the data of every tensor of a known type lies inside the file. No memory
    /// is reserved for a count before it is compared with the remaining bytes.
    ///
    /// # Errors
    /// The first fault: truncation, unknown version or value type, duplicate names, sizes that do
    /// not fit.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        Self::parse_prefix(file, file.len() as u64, &Limits::DEFAULT)
    }

    /// Reads the header from the first bytes of a file of `file_bytes` bytes.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`ErrorKind::PrefixTooShort`](crate::ErrorKind::PrefixTooShort)
    /// if the header is longer than `prefix`.
    pub fn parse_prefix(prefix: &[u8], file_bytes: u64, limits: &Limits) -> Result<Self, Error> {
        HeaderParser::new(file_bytes, limits).parse(prefix)
    }
}
