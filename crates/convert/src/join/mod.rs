//! Joining the files of a split set to one, as `llama-gguf-split --merge` does.

mod consume;

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use granule_format::container::{SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS, ShardName};
use granule_format::{Draft, Metadata};
use granule_reader::{Model, SetFault, file};

use crate::Error;
use crate::output::{Copying, Joining, Part, check_space, places};
use crate::split::SplitError;

pub use consume::{Consumed, consume};

/// How parts are joined.
#[derive(Clone, Copy, Debug, Default)]
pub struct JoinOptions {
    /// Whether the result lacks the keys of a split set (`split.*`), which the reference keeps with
    /// a count of 0.
    pub without_split_keys: bool,
}

/// The parts of a set and the file that they become.
#[derive(Debug)]
pub struct Join {
    parts: Vec<JoinPart>,
    draft: Draft,
    header: Vec<u8>,
}

/// A part, whose file is not kept open: a set can have more files than a process may open.
#[derive(Debug)]
struct JoinPart {
    path: PathBuf,
    bytes: u64,
    /// First byte and length of the data of each tensor.
    tensors: Vec<(u64, u64)>,
}

/// The name of the result of joining a set, unless another is given: that of the set, next to it.
///
/// # Errors
/// If the file is not named as one of a set.
pub fn default_output(part: &Path) -> Result<PathBuf, Error> {
    let name = shard_name(part)?;
    Ok(part.with_file_name(name.stem + ".gguf"))
}

impl Join {
    /// Reads the headers of all parts of the set that a file is named as one of.
    ///
    /// # Errors
    /// If one is missing or no GGUF file, or they do not fit together.
    pub fn plan(part: &Path, options: &JoinOptions) -> Result<Self, Error> {
        let name = shard_name(part)?;
        let mut parts = Vec::new();
        let mut draft: Option<Draft> = None;
        let mut names = HashSet::new();
        // the number of tensors that the first part states
        let mut stated = None;
        for (number, file) in (0_u64..).zip(name.all()) {
            let path = part.with_file_name(file);
            let model = Model::open_alone(&path)?;
            let header = model.header();
            let metadata = header.metadata();
            expect(&path, metadata, SHARD_COUNT, name.count.into(), |found, expected| {
                SetFault::Count { found, expected }
            })?;
            expect(&path, metadata, SHARD_NUMBER, number, |found, expected| SetFault::Number {
                found,
                expected,
            })?;
            if number == 0 {
                stated = metadata.integer::<u64>(SHARD_TENSORS).ok().flatten();
            }
            let draft = match &mut draft {
                Some(draft) => draft,
                None => draft.insert(Draft::new(joined(metadata, options), header.endian())?),
            };
            if draft.endian() != header.endian() {
                return Err(SplitError::ByteOrder { path }.into());
            }
            let mut tensors = Vec::new();
            for tensor in header.tensors() {
                let Some(bytes) = tensor.bytes() else {
                    let (tensor, id) = (tensor.name.clone(), tensor.ty.id());
                    return Err(Error::UnknownType { tensor, id });
                };
                if !names.insert(tensor.name.clone()) {
                    let fault = SetFault::SameTensor { name: tensor.name.clone() };
                    return Err(granule_reader::Error::Set { path: Some(path), fault }.into());
                }
                draft.add(&tensor.name, tensor.shape, tensor.ty)?;
                tensors.push((header.data_offset() + tensor.offset, bytes));
            }
            parts.push(JoinPart { path, bytes: header.file_bytes(), tensors });
        }
        let draft = draft.expect("a set has at least one file");
        let tensors = draft.tensors().len() as u64;
        if let Some(found) = stated.filter(|found| *found != tensors) {
            let fault = SetFault::Tensors { found, expected: tensors };
            let path = Some(parts[0].path.clone());
            return Err(granule_reader::Error::Set { path, fault }.into());
        }
        let header = draft.header();
        Ok(Self { parts, draft, header })
    }

    /// Paths and sizes of the parts.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (&Path, u64)> {
        self.parts.iter().map(|part| (part.path.as_path(), part.bytes))
    }

    /// Bytes of the result.
    pub fn bytes(&self) -> u64 {
        self.header.len() as u64 + self.draft.data_bytes()
    }

    /// The number of tensors.
    pub fn tensors(&self) -> usize {
        self.draft.tensors().len()
    }

    /// Bytes of the tensors, which `progress` counts.
    pub fn data_bytes(&self) -> u64 {
        self.parts.iter().flat_map(|part| &part.tensors).map(|(_, bytes)| bytes).sum()
    }

    /// Writes the result. It gets its name when it is complete.
    ///
    /// # Errors
    /// If it would replace a part, an interrupted [`consume`] has left something there, the disk
    /// has too little space, reading or writing fails, or the caller stops the work.
    pub fn write(
        &self,
        output: &Path,
        stop: Option<&AtomicBool>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let inputs: Vec<&Path> = self.parts.iter().map(|part| part.path.as_path()).collect();
        let place = places(&[output], &inputs)?.pop().expect("a place for the path");
        Joining::refuse(&place)?;
        check_space([(&place, self.bytes())].into_iter())?;
        let part = Part::create(place)?;
        part.write(0, &self.header)?;
        part.set_bytes(self.bytes())?;
        let copying = Copying::new(stop, progress);
        let mut targets = self.draft.tensors().iter();
        for from in &self.parts {
            let source = file::open(&from.path).map_err(Error::io(&from.path))?;
            for ((start, bytes), target) in from.tensors.iter().zip(targets.by_ref()) {
                let to = self.header.len() as u64 + target.offset;
                let target = (part.file(), part.path(), to);
                copying.range((&source, &from.path, *start), target, *bytes)?;
            }
        }
        part.flush()?;
        part.publish()
    }

    /// Writes the result to a stream, such as a pipe.
    ///
    /// # Errors
    /// If reading or writing fails, or the caller stops the work. The error of a stream that was
    /// closed has the kind [`io::ErrorKind::BrokenPipe`].
    pub fn stream(
        &self,
        out: &mut impl Write,
        stop: Option<&AtomicBool>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let stream = Path::new("standard output");
        let copying = Copying::new(stop, progress);
        out.write_all(&self.header).map_err(Error::io(stream))?;
        let alignment = self.draft.alignment();
        for part in &self.parts {
            let mut source = file::open(&part.path).map_err(Error::io(&part.path))?;
            for (start, bytes) in &part.tensors {
                source.seek(SeekFrom::Start(*start)).map_err(Error::io(&part.path))?;
                let mut left = *bytes;
                while left > 0 {
                    let step = left.min(1 << 20);
                    let copied = io::copy(&mut (&source).take(step), out);
                    if copied.map_err(Error::io(stream))? < step {
                        return Err(Error::io(&part.path)(io::ErrorKind::UnexpectedEof.into()));
                    }
                    left -= step;
                    copying.count(step)?;
                }
                let padding = bytes.next_multiple_of(alignment) - bytes;
                io::copy(&mut io::repeat(0).take(padding), out).map_err(Error::io(stream))?;
            }
        }
        out.flush().map_err(Error::io(stream))
    }
}

fn shard_name(part: &Path) -> Result<ShardName, Error> {
    let name = part.file_name().and_then(|name| name.to_str()).and_then(ShardName::parse);
    name.ok_or_else(|| SplitError::NotOfASet { path: part.to_owned() }.into())
}

/// The metadata of the result, from that of the first part.
fn joined(metadata: &Metadata, options: &JoinOptions) -> Metadata {
    let mut metadata = metadata.clone();
    if options.without_split_keys {
        for key in [SHARD_NUMBER, SHARD_COUNT, SHARD_TENSORS] {
            metadata.remove(key);
        }
    } else {
        // so that the result is not taken for a part
        metadata.set_last(SHARD_COUNT, 0_u16);
    }
    metadata
}

/// Compares a number of a part's metadata with what it should be.
fn expect(
    path: &Path,
    metadata: &Metadata,
    key: &'static str,
    expected: u64,
    fault: impl Fn(u64, u64) -> SetFault,
) -> Result<(), Error> {
    let path = || Some(path.to_owned());
    let found = metadata.integer(key);
    let found = found.map_err(|source| granule_reader::Error::Metadata { path: path(), source })?;
    match found {
        Some(found) if found == expected => Ok(()),
        Some(found) => {
            let fault = fault(found, expected);
            Err(granule_reader::Error::Set { path: path(), fault }.into())
        }
        None => Err(SplitError::NoKeys { path: path().unwrap_or_default(), key }.into()),
    }
}

/// The first bytes of a file.
fn header_bytes(path: &Path, bytes: u64) -> Result<Vec<u8>, Error> {
    let mut header = Vec::new();
    let file = file::open(path).map_err(Error::io(path))?;
    file.take(bytes).read_to_end(&mut header).map_err(Error::io(path))?;
    Ok(header)
}
