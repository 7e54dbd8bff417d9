use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use granule_format::container::{SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS, ShardName};
use granule_format::{ErrorKind, Header, HeaderParser, Limits, Metadata};

use crate::storage::Storage;
use crate::{Error, FileMap, Tensor};

/// An open GGUF file, or all files of a split set.
///
/// ```no_run
/// let model = granule_reader::Model::open("model.gguf")?;
/// let tensor = model.tensor("token_embd.weight").expect("a language model");
/// let mut row = vec![0.0; tensor.row_values()];
/// tensor.decode_rows(7..8, &mut row)?;
/// # Ok::<(), granule_reader::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    shards: Vec<Shard>,
    /// Shard and index of every tensor, in the order of the files.
    tensors: Vec<(usize, usize)>,
    by_name: HashMap<String, usize>,
}

/// One file of a model.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    header: Header,
    pub(crate) storage: Storage,
}

/// How the bytes of an open file are got at.
type Store = dyn Fn(File) -> io::Result<Storage>;

impl Model {
    /// Open a file for reading at positions: only what is asked for is ever in memory.
    ///
    /// If the file is one of a split set, by its metadata and its name, the others are opened too.
    ///
    /// # Errors
    /// If a file cannot be read or is no GGUF file, or the shards do not fit together.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_set(path.as_ref(), &|file| Ok(Storage::File(file)))
    }

    /// Open this file only, even if it is one of a split set: the tensors are those that it has.
    ///
    /// # Errors
    /// If the file cannot be read or is no GGUF file.
    pub fn open_alone(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::assemble(vec![Shard::open(path.as_ref(), &|file| Ok(Storage::File(file)))?])
    }

    /// Map a file, and the others of its split set: tensor data is used where it lies, without a
    /// copy.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Safety
    /// The files must not be changed or cut short while the model exists, by this process or
    /// another. A changed file can make data differ between two looks at it, and reading behind
    /// the end of a shortened one kills the process (SIGBUS). Where that cannot be promised, use
    /// [`open`](Self::open).
    #[allow(unsafe_code, reason = "the caller promises what the map needs")]
    pub unsafe fn map(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_set(path.as_ref(), &|file| {
            // SAFETY: the caller of this function promises that the file stays as it is.
            unsafe { FileMap::of(&file) }.map(Storage::Map)
        })
    }

    /// Take a file that is in memory. It cannot be one of a split set of several.
    ///
    /// # Errors
    /// If the bytes are no GGUF file, or only a part of a set.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let shard = Shard::new(Path::new(""), Storage::Bytes(bytes))?;
        let count = shard.number(SHARD_COUNT)?.unwrap_or(0);
        if count > 1 {
            return Err(shard.misfit("number of files given", 1, count));
        }
        Self::assemble(vec![shard])
    }

    fn open_set(path: &Path, store: &Store) -> Result<Self, Error> {
        let named = Shard::open(path, store)?;
        let count = named.number(SHARD_COUNT)?.unwrap_or(0);
        if count <= 1 {
            return Self::assemble(vec![named]);
        }
        let name = path.file_name().and_then(|name| name.to_str()).and_then(ShardName::parse);
        let Some(name) = name else {
            return Err(named.misfit("number of files that its name says", 1, count));
        };
        let mut shards = Vec::new();
        for (i, file) in name.all().enumerate() {
            let shard = if i as u32 + 1 == name.number {
                Shard::open(path, store)?
            } else {
                Shard::open(&path.with_file_name(file), store)?
            };
            shard.expect(SHARD_COUNT, "split.count", u64::from(name.count))?;
            shard.expect(SHARD_NUMBER, "split.no", i as u64)?;
            shards.push(shard);
        }
        let model = Self::assemble(shards)?;
        for shard in &model.shards {
            shard.expect(SHARD_TENSORS, "split.tensors.count", model.tensors.len() as u64)?;
        }
        Ok(model)
    }

    fn assemble(shards: Vec<Shard>) -> Result<Self, Error> {
        let mut model = Self { shards, tensors: Vec::new(), by_name: HashMap::new() };
        for (s, shard) in model.shards.iter().enumerate() {
            for (t, tensor) in shard.header.tensors().iter().enumerate() {
                let name = tensor.name.clone();
                if model.by_name.insert(name, model.tensors.len()).is_some() {
                    let (path, name) = (shard.path.clone(), tensor.name.clone());
                    return Err(Error::TensorInTwoShards { path, name });
                }
                model.tensors.push((s, t));
            }
        }
        Ok(model)
    }

    /// The metadata; of a split set, that of its first file.
    pub fn metadata(&self) -> &Metadata {
        self.shards[0].header.metadata()
    }

    /// The header of the first or only file.
    pub fn header(&self) -> &Header {
        &self.shards[0].header
    }

    /// The files, in the order of the set.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The tensor with this name.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        self.by_name.get(name).map(|index| self.tensor_at(*index))
    }

    /// The tensors in the order of the files.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> {
        (0..self.tensors.len()).map(|index| self.tensor_at(index))
    }

    /// The tensor at an index in the order of the files.
    ///
    /// # Panics
    /// If there are fewer tensors.
    pub fn tensor_at(&self, index: usize) -> Tensor<'_> {
        let (shard, tensor) = self.tensors[index];
        let shard = &self.shards[shard];
        Tensor::new(shard, &shard.header.tensors()[tensor])
    }
}

impl Shard {
    fn open(path: &Path, store: &Store) -> Result<Self, Error> {
        let io = |source: io::Error| Error::Io { path: path.to_owned(), source };
        let file = crate::file::open(path).map_err(io)?;
        Self::new(path, store(file).map_err(io)?)
    }

    fn new(path: &Path, storage: Storage) -> Result<Self, Error> {
        let header = match &storage {
            Storage::File(file) => Self::read_header(path, file)?,
            Storage::Map(_) | Storage::Bytes(_) => {
                Header::parse(storage.bytes().unwrap_or_default())
                    .map_err(|source| format_error(path, source))?
            }
        };
        Ok(Self { path: path.to_owned(), header, storage })
    }

    /// Read the header, and little more of the file.
    fn read_header(path: &Path, mut file: &File) -> Result<Header, Error> {
        /// What stays in the processor's cache from reading to parsing.
        const PIECE: u64 = 64 << 10;
        let io = |source: io::Error| Error::Io { path: path.to_owned(), source };
        let file_bytes = file.metadata().map_err(io)?.len();
        let mut parser = HeaderParser::new(file_bytes, &Limits::DEFAULT);
        let (mut piece, mut filled, mut start) = (Vec::new(), 0, 0);
        loop {
            // a piece that brings nothing is to double
            let end = PIECE.max(2 * filled as u64).min(file_bytes - start) as usize;
            piece.resize(piece.len().max(end), 0);
            file.read_exact(&mut piece[filled..end]).map_err(io)?;
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

    /// Where the file is; empty for bytes in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's own header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All bytes of the file, if they are mapped or in memory.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.storage.bytes()
    }

    fn number(&self, key: &str) -> Result<Option<u64>, Error> {
        self.header
            .metadata()
            .integer(key)
            .map_err(|source| Error::Metadata { path: self.path.clone(), source })
    }

    fn expect(&self, key: &str, what: &'static str, expected: u64) -> Result<(), Error> {
        match self.number(key)? {
            Some(found) if found != expected => Err(self.misfit(what, found, expected)),
            _ => Ok(()),
        }
    }

    fn misfit(&self, what: &'static str, found: u64, expected: u64) -> Error {
        Error::Shard { path: self.path.clone(), what, found, expected }
    }
}

fn format_error(path: &Path, source: granule_format::Error) -> Error {
    Error::Format { path: path.to_owned(), source: Box::new(source) }
}
