use std::path::{Path, PathBuf};

use granule_format::container::{MAGIC, SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS, ShardName};
use granule_format::{ErrorKind, Header, HeaderParser, Limits};

use crate::error::{SetFault, Unsupported};
use crate::model::Shard;
use crate::read_at::InMemory;
use crate::storage::Storage;
use crate::{Error, Model, ReadAt};

/// How files are opened: limits, and what to do with a file of a split set.
///
/// | call | data | a split set |
/// |---|---|---|
/// | [`open`](Self::open) | a path, read at positions | is found by the names of its files |
/// | `map` (feature `mmap`) | a path, mapped into memory | is found by the names of its files |
/// | [`bytes`](Self::bytes) | bytes in memory, of any owner | needs [`shards`](Self::shards) |
/// | [`storage`](Self::storage) | anything with [`ReadAt`] | needs [`shards`](Self::shards) |
/// | [`shards`](Self::shards) | several of these | is given whole |
///
/// ```
/// use granule_reader::{Model, format::Limits};
/// # use granule_reader::format::Draft;
/// # let file = Draft::new(Default::default(), Default::default())?.header();
/// // names of tensors up to 256 bytes, as some programs write them
/// let limits = Limits::DEFAULT.with_tensor_name_bytes(256);
/// let model = Model::options().limits(limits).bytes(file)?;
/// # assert_eq!(model.tensors().len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "options open nothing by themselves"]
pub struct OpenOptions {
    limits: Limits,
    alone: bool,
}

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
    /// If metadata and name say that the file is one of a split set, the others are opened too,
    /// unless [`alone`](Self::alone) is set.
    ///
    /// # Errors
    /// If a file cannot be read or is not a GGUF file, or the files do not fit together.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Model, Error> {
        self.open_paths(path.as_ref(), &|path| crate::file::open(path).map(Storage::new))
    }

    /// Opens a file that need not be on a disk, and the others of its split set like
    /// [`open`](Self::open). `open_file` opens files by their names, next to each other; `path` is
    /// that of the named file in messages.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use granule_reader::{Model, ReadAt, format::Draft};
    ///
    /// let file = Draft::new(Default::default(), Default::default())?.header();
    /// let store = HashMap::from([("a.gguf", file)]);
    /// let model = Model::options().open_with("store:a.gguf", "a.gguf", &|name| {
    ///     let file = store.get(name).ok_or(std::io::ErrorKind::NotFound)?;
    ///     Ok(Box::new(file.clone()))
    /// })?;
    /// # assert_eq!(model.tensors().len(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        self,
        path: impl AsRef<Path>,
        name: &str,
        open_file: &dyn Fn(&str) -> std::io::Result<Box<dyn ReadAt>>,
    ) -> Result<Model, Error> {
        let path = path.as_ref();
        // the path need not be one of this system, so its folder is what stands before the name
        let folder = path.to_str().and_then(|path| path.strip_suffix(name));
        let open = |file: &str| {
            let path = match folder {
                Some(folder) => PathBuf::from(format!("{folder}{file}")),
                None => path.with_file_name(file),
            };
            let storage = open_file(file).map_err(Error::io(Some(&path)))?;
            self.shard(Some(&path), Storage::new(storage))
        };
        self.with_others(name, &open)
    }

    /// Maps a file, and the others of its split set, into memory: tensor data is used where it
    /// lies, without a copy.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Safety
    /// The files must not be changed or cut short while the model exists, by this process or
    /// another. A changed file can make data differ between two reads, and reading past the end of
    /// a shortened one kills the process (SIGBUS). Where that cannot be promised, use
    /// [`open`](Self::open).
    #[cfg(feature = "mmap")]
    #[allow(unsafe_code, reason = "the caller promises what the map needs")]
    pub unsafe fn map(self, path: impl AsRef<Path>) -> Result<Model, Error> {
        self.open_paths(path.as_ref(), &|path| {
            let file = crate::file::open(path)?;
            // SAFETY: the caller of this function promises that the file stays as it is.
            unsafe { crate::FileMap::of(&file) }.map(Storage::new)
        })
    }

    /// Opens a file in memory: a `Vec<u8>`, an `Arc<[u8]>`, the result of `include_bytes!`, or any
    /// other owner of bytes.
    ///
    /// # Errors
    /// If the bytes are not a GGUF file, or are one of several files of a split set, unless
    /// [`alone`](Self::alone) is set.
    pub fn bytes(self, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Model, Error> {
        self.single(Storage::new(InMemory(bytes)))
    }

    /// Opens a file from anything that can be read at positions. If it lends its
    /// [bytes](ReadAt::bytes), tensor data is used without a copy.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes); if the storage cannot be read.
    pub fn storage(self, storage: impl ReadAt + 'static) -> Result<Model, Error> {
        self.single(Storage::new(storage))
    }

    /// Opens all files of a split set, given in their order. [`alone`](Self::alone) has no effect.
    ///
    /// # Errors
    /// If one cannot be read or is not a GGUF file, or they do not fit together.
    ///
    /// # Panics
    /// If no file is given.
    pub fn shards<S: ReadAt + 'static>(
        self,
        files: impl IntoIterator<Item = S>,
    ) -> Result<Model, Error> {
        let parse = |storage| self.shard(None, Storage::new(storage));
        let shards: Vec<_> = files.into_iter().map(parse).collect::<Result<_, _>>()?;
        assert!(!shards.is_empty(), "a split set has at least one file");
        for (place, shard) in shards.iter().enumerate() {
            check_place(shard, shards.len() as u64, place as u64)?;
        }
        join(shards)
    }

    /// One file, which must not be one of several unless it is opened alone.
    fn single(self, storage: Storage) -> Result<Model, Error> {
        let shard = self.shard(None, storage)?;
        match number(&shard, SHARD_COUNT)? {
            Some(count) if count > 1 && !self.alone => {
                Err(Error::set(None, SetFault::OnlyOne { count }))
            }
            _ => Model::assemble(vec![shard]),
        }
    }

    /// The file at a path and the others of its set, each turned into its storage by `store`.
    fn open_paths(
        self,
        path: &Path,
        store: &dyn Fn(&Path) -> std::io::Result<Storage>,
    ) -> Result<Model, Error> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let open = |file: &str| {
            let path = if file == name { path.to_owned() } else { path.with_file_name(file) };
            crate::file::check_edited(&path)?;
            let storage = store(&path).map_err(Error::io(Some(&path)))?;
            self.shard(Some(&path), storage)
        };
        self.with_others(name, &open)
    }

    /// The file of this name and the others of its set.
    fn with_others(
        self,
        name: &str,
        open: &dyn Fn(&str) -> Result<Shard, Error>,
    ) -> Result<Model, Error> {
        let named = open(name)?;
        let count = if self.alone { 0 } else { number(&named, SHARD_COUNT)?.unwrap_or(0) };
        if count <= 1 {
            return Model::assemble(vec![named]);
        }
        let Some(name) = ShardName::parse(name) else {
            return Err(unnamed(&named, count)?);
        };
        let mut named = Some(named);
        let mut shards = Vec::new();
        for (i, file) in name.all().enumerate() {
            let is_named = i as u32 + 1 == name.number;
            let shard = match named.take_if(|_| is_named) {
                Some(shard) => shard,
                None => open(&file)?,
            };
            check_place(&shard, u64::from(name.count), i as u64)?;
            shards.push(shard);
        }
        join(shards)
    }

    /// Parses a file's header and checks what can be checked once for all calls.
    fn shard(self, path: Option<&Path>, storage: Storage) -> Result<Shard, Error> {
        let header = match storage.bytes() {
            Some(bytes) => Header::parse_prefix(bytes, bytes.len() as u64, &self.limits)
                .map_err(|source| format_error(path, source))?,
            None => self.read_header(path, &storage)?,
        };
        for tensor in header.tensors() {
            let rows = tensor.shape.rows().and_then(|rows| usize::try_from(rows).ok());
            if rows.is_none() || usize::try_from(tensor.shape.row()).is_err() {
                return Err(Error::unsupported(&tensor.name, Unsupported::TooLarge));
            }
        }
        Ok(Shard::new(path.map(Path::to_owned), header, storage))
    }

    /// Reads the header, and little more of the file.
    fn read_header(self, path: Option<&Path>, storage: &Storage) -> Result<Header, Error> {
        /// Bytes that stay in the CPU's cache from reading to parsing.
        const PIECE: u64 = 64 << 10;
        let io = Error::io(path);
        let file_bytes = storage.len().map_err(&io)?;
        let mut parser = HeaderParser::new(file_bytes, &self.limits);
        let (mut piece, mut filled, mut start) = (Vec::new(), 0, 0);
        loop {
            // double a piece in which nothing could be parsed
            let end = PIECE.max(2 * filled as u64).min(file_bytes - start) as usize;
            piece.resize(piece.len().max(end), 0);
            storage.read_into(start + filled as u64, &mut piece[filled..end]).map_err(&io)?;
            match parser.parse(&piece[..end]) {
                Ok(header) => return Ok(header),
                Err(error) if matches!(error.kind, ErrorKind::PrefixTooShort { .. }) => {
                    let done = (parser.position() - start) as usize;
                    piece.copy_within(done..end, 0);
                    (filled, start) = (end - done, parser.position());
                }
                Err(error) => return Err(format_error(path, error)),
            }
        }
    }
}

/// Compares what a file says about the set with the number of files and its place, from 0.
fn check_place(shard: &Shard, count: u64, place: u64) -> Result<(), Error> {
    expect(shard, SHARD_COUNT, count, |found, expected| SetFault::Count { found, expected })?;
    expect(shard, SHARD_NUMBER, place, |found, expected| SetFault::Number { found, expected })
}

/// The model of all files of a set.
fn join(shards: Vec<Shard>) -> Result<Model, Error> {
    let model = Model::assemble(shards)?;
    let tensors = model.tensors().len() as u64;
    for shard in model.shards() {
        expect(shard, SHARD_TENSORS, tensors, |found, expected| SetFault::Tensors {
            found,
            expected,
        })?;
    }
    Ok(model)
}

fn number(shard: &Shard, key: &str) -> Result<Option<u64>, Error> {
    let number = shard.header().metadata().integer(key);
    number.map_err(|source| Error::Metadata { path: shard.path().map(Path::to_owned), source })
}

/// Compares a number of a file's metadata, if it is there, with what it should be.
fn expect(
    shard: &Shard,
    key: &str,
    expected: u64,
    fault: impl Fn(u64, u64) -> SetFault,
) -> Result<(), Error> {
    match number(shard, key)? {
        Some(found) if found != expected => Err(Error::set(shard.path(), fault(found, expected))),
        _ => Ok(()),
    }
}

/// The error that the file is one of `count`, and its name does not say where the others are.
fn unnamed(shard: &Shard, count: u64) -> Result<Error, Error> {
    let number = number(shard, SHARD_NUMBER)?.unwrap_or(0).saturating_add(1);
    let end = shard.header().data_end();
    let magic = end.and_then(|end| shard.storage.read(end, MAGIC.len()).ok());
    let joined = magic.is_some_and(|magic| *magic == MAGIC);
    Ok(Error::set(shard.path(), SetFault::Unnamed { number, count, joined }))
}

fn format_error(path: Option<&Path>, source: granule_format::Error) -> Error {
    Error::Format { path: path.map(Path::to_owned), source: Box::new(source) }
}
