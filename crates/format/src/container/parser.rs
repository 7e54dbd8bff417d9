use super::Header;
use super::header::Counts;
use super::value::Walk;
use crate::cursor::Cursor;
use crate::{Error, Limits};

/// Reads a header of which the bytes come little by little: what was read once is not read again.
///
/// ```
/// use granule_format::{Error, ErrorKind, Header, HeaderParser, Limits};
///
/// fn open(file: &[u8]) -> Result<Header, Error> {
///     let mut parser = HeaderParser::new(file.len() as u64, &Limits::DEFAULT);
///     let mut length = file.len().min(4096);
///     loop {
///         match parser.parse(&file[..length]) {
///             Err(Error { kind: ErrorKind::PrefixTooShort { need }, .. }) => length = need as usize,
///             result => return result,
///         }
///     }
/// }
/// # let file = granule_format::Draft::new(Default::default(), Default::default()).unwrap().header();
/// # assert_eq!(open(&file), Header::parse(&file));
/// ```
#[derive(Clone, Debug)]
pub struct HeaderParser {
    /// Where the next entry of metadata or table begins.
    at: Cursor<'static>,
    limits: Limits,
    begun: Option<(Header, Counts)>,
}

impl HeaderParser {
    /// Begin with a file of `file_bytes` bytes.
    pub fn new(file_bytes: u64, limits: &Limits) -> Self {
        Self { at: Cursor::new(&[], file_bytes), limits: *limits, begun: None }
    }

    /// Read on in the first bytes of the file, and return the header if they are enough.
    ///
    /// # Errors
    /// As [`Header::parse`]; [`ErrorKind::PrefixTooShort`](crate::ErrorKind::PrefixTooShort) if the
    /// header goes on behind `prefix`: then call again with more of the same file.
    pub fn parse(&mut self, prefix: &[u8]) -> Result<Header, Error> {
        let mut walk = Walk::new(self.at.over(prefix), &self.limits, None);
        self.read(&mut walk).map_err(|error| walk.placed(error))
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
            header.read_entry(walk, index)?;
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
        let done = std::mem::replace(self, Self::new(file_bytes, &self.limits));
        Ok(done.begun.expect("it was begun").0)
    }
}
