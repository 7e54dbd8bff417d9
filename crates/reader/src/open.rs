use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use granule_format::container::{MAGIC, SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS, ShardName};
use granule_format::{ErrorKind, Header, HeaderParser, Limits};

use crate::model::Shard;
use crate::storage::Storage;
use crate::{Error, FileMap, Model};

/// How files are opened.
///
/// ```
/// use granule_reader::{Model, format::Limits};
/// # use granule_reader::format::Draft;
/// # let file = Draft::new(Default::default(), Default::default())?.header();
/// // names of tensors up to 256 bytes, as some programs write them
/// let limits = Limits::DEFAULT.with_tensor_name_bytes(256);
/// let model = Model::options().limits(limits).from_bytes(file)?;
/// # assert_eq!(model.tensors().len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "options open nothing by themselves"]
pub struct OpenOptions {
    limits: Limits,
    alone: bool,
}

/// Turns an opened file into its storage.
type Store = dyn Fn(File) -> io::Result<Storage>;

impl OpenOptions {
    /// The limits of the GGUF specification; a file of a split set stands for all of them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limits on what a header may ask for.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets whether only the file itself is opened, even if it is one of a split set.
    pub fn alone(self, alone: bool) -> Self {
        Self { alone, ..self }
    }

    /// Opens a file for reading at positions: only the data that is asked for is ever in memory.
    ///
    /// If the file is one of a split set, by its metadata and its name, the others are opened too,
    /// unless it is to be opened [`alone`](Self::alone).
    ///
    /// # Errors
    /// If a file cannot be read or is no GGUF file, or the shards do not fit together.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Model, Error> {
        self.open_with(path.as_ref(), &|file| Ok(Storage::File(file)))
    }

    /// Maps a file, and the others of its split set: tensor data is used where it lies, without a
    /// copy.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Safety
    /// The files must not be changed or cut short while the model exists, by this process or
    /// another. A changed file can make data differ between two reads, and reading past the end of
    /// a shortened one kills the process (SIGBUS). Where that cannot be promised, use
    /// [`open`](Self::open).
    #[allow(unsafe_code, reason = "the caller promises what the map needs")]
    pub unsafe fn map(self, path: impl AsRef<Path>) -> Result<Model, Error> {
        self.open_with(path.as_ref(), &|file| {
            // SAFETY: the caller of this function promises that the file stays as it is.
            unsafe { FileMap::of(&file) }.map(Storage::Map)
        })
    }

    /// Opens a file that is in memory, such as a `Vec<u8>`, an `Arc<[u8]>` or the result of
    /// `include_bytes!`.
    ///
    /// It cannot be one of a split set of several, unless it is opened [`alone`](Self::alone).
    ///
    /// # Errors
    /// If the bytes are no GGUF file, or only a part of a set.
    pub fn from_bytes(
        self,
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Model, Error> {
        let header = self.parse(None, bytes.as_ref())?;
        let shard = Shard::new(None, header, Storage::Bytes(Box::new(bytes)));
        let count = number(&shard, SHARD_COUNT)?.unwrap_or(0);
        if count > 1 && !self.alone {
            return Err(misfit(&shard, "number of files given", 1, count));
        }
        Model::assemble(vec![shard])
    }

    fn open_with(self, path: &Path, store: &Store) -> Result<Model, Error> {
        let named = self.shard(path, store)?;
        let count = if self.alone { 0 } else { number(&named, SHARD_COUNT)?.unwrap_or(0) };
        if count <= 1 {
            return Model::assemble(vec![named]);
        }
        let name = path.file_name().and_then(|name| name.to_str()).and_then(ShardName::parse);
        let Some(name) = name else {
            return Err(lone(&named, count)?);
        };
        let mut shards = Vec::new();
        for (i, file) in name.all().enumerate() {
            let shard = if i as u32 + 1 == name.number {
                self.shard(path, store)?
            } else {
                self.shard(&path.with_file_name(file), store)?
            };
            expect(&shard, SHARD_COUNT, "split.count", u64::from(name.count))?;
            expect(&shard, SHARD_NUMBER, "split.no", i as u64)?;
            shards.push(shard);
        }
        let model = Model::assemble(shards)?;
        for shard in model.shards() {
            expect(shard, SHARD_TENSORS, "split.tensors.count", model.tensors().len() as u64)?;
        }
        Ok(model)
    }

    fn shard(self, path: &Path, store: &Store) -> Result<Shard, Error> {
        let io = Error::io(Some(path));
        let file = crate::file::open(path).map_err(&io)?;
        let storage = store(file).map_err(&io)?;
        let header = match &storage {
            Storage::File(file) => self.read_header(path, file)?,
            Storage::Map(map) => self.parse(Some(path), map)?,
            Storage::Bytes(bytes) => self.parse(Some(path), (**bytes).as_ref())?,
        };
        Ok(Shard::new(Some(path.to_owned()), header, storage))
    }

    fn parse(self, path: Option<&Path>, file: &[u8]) -> Result<Header, Error> {
        Header::parse_prefix(file, file.len() as u64, &self.limits)
            .map_err(|source| format_error(path, source))
    }

    /// Read the header, and little more of the file.
    fn read_header(self, path: &Path, mut file: &File) -> Result<Header, Error> {
        /// What stays in the processor's cache from reading to parsing.
        const PIECE: u64 = 64 << 10;
        let io = Error::io(Some(path));
        let file_bytes = file.metadata().map_err(&io)?.len();
        let mut parser = HeaderParser::new(file_bytes, &self.limits);
        let (mut piece, mut filled, mut start) = (Vec::new(), 0, 0);
        loop {
            // a piece that brings nothing is to double
            let end = PIECE.max(2 * filled as u64).min(file_bytes - start) as usize;
            piece.resize(piece.len().max(end), 0);
            file.read_exact(&mut piece[filled..end]).map_err(&io)?;
            match parser.parse(&piece[..end]) {
                Ok(header) => return Ok(header),
                Err(error) if matches!(error.kind, ErrorKind::PrefixTooShort { .. }) => {
                    let done = (parser.position() - start) as usize;
                    piece.copy_within(done..end, 0);
                    (filled, start) = (end - done, parser.position());
                }
                Err(error) => return Err(format_error(Some(path), error)),
            }
        }
    }
}

fn number(shard: &Shard, key: &str) -> Result<Option<u64>, Error> {
    let number = shard.header().metadata().integer(key);
    number.map_err(|source| Error::Metadata { path: shard.path().map(Path::to_owned), source })
}

fn expect(shard: &Shard, key: &str, what: &'static str, expected: u64) -> Result<(), Error> {
    match number(shard, key)? {
        Some(found) if found != expected => Err(misfit(shard, what, found, expected)),
        _ => Ok(()),
    }
}

/// The error that the file is one of `count`, and its name does not tell where the others are.
fn lone(shard: &Shard, count: u64) -> Result<Error, Error> {
    let number = number(shard, SHARD_NUMBER)?.unwrap_or(0).saturating_add(1);
    let end = shard.header().data_end();
    let magic = end.and_then(|end| shard.storage.read(end, MAGIC.len()).ok());
    let joined = magic.is_some_and(|magic| *magic == MAGIC);
    Ok(Error::LoneShard { path: shard.path().map(Path::to_owned), number, count, joined })
}

fn misfit(shard: &Shard, what: &'static str, found: u64, expected: u64) -> Error {
    Error::Shard { path: shard.path().map(Path::to_owned), what, found, expected }
}

fn format_error(path: Option<&Path>, source: granule_format::Error) -> Error {
    Error::Format { path: path.map(Path::to_owned), source: Box::new(source) }
}
