//! Splitting a file into several, as `llama-gguf-split` does.
//!
//! The first file has the metadata; the others only say which part of the set they are. Tensors
//! keep their order and their bytes.

mod assign;
mod error;

use std::fs::File;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use granule_format::container::{SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS, ShardName};
use granule_format::{Draft, Metadata};
use granule_reader::{Model, file};
use rayon::prelude::*;

use crate::Error;
use crate::output::{Copying, Part, check_space, places};
pub use error::SplitError;

/// The largest number of files that the keys of a split set can count.
pub const MOST_FILES: u64 = 65_535;

/// Where a new file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After this many tensors of the whole set.
    Tensors(NonZeroU64),
    /// When the data of the tensors, padded to 32 bytes each, would be more than this many bytes.
    Bytes(NonZeroU64),
    /// After this many layers. A layer (`blk.N`) is never in two files.
    Layers(NonZeroU64),
}

/// How a file is split.
#[derive(Clone, Copy, Debug)]
pub struct SplitOptions {
    /// Where a new file begins.
    pub limit: Limit,
    /// Whether the first file has no tensors.
    pub no_tensor_first: bool,
}

/// What becomes of a file: decided before anything is written.
#[derive(Debug)]
pub struct Split {
    model: Model,
    files: Vec<SplitFile>,
}

/// A file of the set.
#[derive(Debug)]
pub struct SplitFile {
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its tensors, by their place in the source.
    pub tensors: Vec<usize>,
    draft: Draft,
}

impl Split {
    /// Plans how to split a file, or to split a set anew. The files are named
    /// `<prefix>-00001-of-00003.gguf`.
    ///
    /// # Errors
    /// If the file cannot be read, has a tensor of unknown type, or there would be too many files.
    pub fn plan(source: &Path, prefix: &Path, options: &SplitOptions) -> Result<Self, Error> {
        let model = Model::open(source)?;
        let mut tensors = model.tensors();
        if let Some(tensor) = tensors.find(|tensor| tensor.ty().known().is_none()) {
            let (tensor, id) = (tensor.name().to_owned(), tensor.ty().id());
            return Err(Error::UnknownType { tensor, id });
        }
        let sets = assign::assign(&model, options)?;
        let count = u16::try_from(sets.len());
        let count = count.map_err(|_| SplitError::TooManyFiles { files: sets.len() as u64 })?;
        let stem = stem(prefix)?;
        let name = ShardName { stem, number: 1, count: count.into() };
        let names = name.all();
        let mut files = Vec::new();
        for ((number, tensors), name) in sets.into_iter().enumerate().zip(names) {
            let metadata = if number == 0 { model.metadata().clone() } else { Metadata::new() };
            let all = i32::try_from(model.tensors().len()).unwrap_or(i32::MAX);
            // the order that the reference gives them
            let metadata = with_keys(metadata, number as u16, all, count);
            let mut draft = Draft::new(metadata, model.header().endian())?;
            for index in &tensors {
                let tensor = model.tensor_at(*index);
                draft.add(tensor.name(), tensor.shape(), tensor.ty())?;
            }
            let bytes = draft.header().len() as u64 + draft.data_bytes();
            files.push(SplitFile { path: prefix.with_file_name(name), bytes, tensors, draft });
        }
        Ok(Self { model, files })
    }

    /// The files in their order.
    pub fn files(&self) -> &[SplitFile] {
        &self.files
    }

    /// The tensors of a file that has more bytes of data than the limit: a single tensor is not
    /// divided.
    pub fn too_large(&self, limit: Limit) -> impl Iterator<Item = &SplitFile> {
        let most = match limit {
            Limit::Bytes(bytes) => bytes.get(),
            _ => u64::MAX,
        };
        self.files.iter().filter(move |file| file.draft.data_bytes() > most)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Writes the files. They get their names when all are complete.
    ///
    /// `progress` is called with the number of bytes written.
    ///
    /// # Errors
    /// If a file would replace one of the source, the disk has too little space, reading or writing
    /// fails, or the caller stops the work.
    pub fn run(
        &self,
        threads: Option<usize>,
        stop: Option<&AtomicBool>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Error> {
        let inputs: Vec<&Path> = self.model.shards().iter().filter_map(|it| it.path()).collect();
        let outputs: Vec<&Path> = self.files.iter().map(|file| file.path.as_path()).collect();
        let places = places(&outputs, &inputs)?;
        check_space(places.iter().zip(self.files.iter().map(|file| file.bytes)))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
        let pool = pool.map_err(Error::Threads)?;
        let copying = Copying::new(stop, progress);
        let parts: Vec<Part> = pool.install(|| {
            let files = self.files.par_iter().zip(places).with_max_len(1);
            files
                .map(|(file, place)| self.write(file, Part::create(place)?, &copying))
                .collect::<Result<_, Error>>()
        })?;
        parts.into_iter().try_for_each(Part::publish)
    }

    fn write(&self, file: &SplitFile, part: Part, copying: &Copying<'_>) -> Result<Part, Error> {
        let header = file.draft.header();
        part.write(0, &header)?;
        part.set_bytes(file.bytes)?;
        let mut open: Option<(&Path, File)> = None;
        for (index, target) in file.tensors.iter().zip(file.draft.tensors()) {
            let shard = self.model.tensor_at(*index).shard();
            let path = shard.path().expect("it was opened by a path");
            let source = match open.take().filter(|(known, _)| *known == path) {
                Some((_, source)) => source,
                None => file::open(path).map_err(Error::io(path))?,
            };
            let from = shard.header().data_offset() + self.model.tensor_at(*index).info().offset;
            let to = header.len() as u64 + target.offset;
            let bytes = target.bytes().unwrap_or(0);
            copying.range((&source, path, from), (part.file(), part.path(), to), bytes)?;
            open = Some((path, source));
        }
        part.flush()?;
        Ok(part)
    }
}

/// Sets the keys of a file of a set, at the end, in the order that the reference gives them.
fn with_keys(mut metadata: Metadata, number: u16, tensors: i32, count: u16) -> Metadata {
    metadata.remove(SHARD_COUNT);
    metadata.set_last(SHARD_NUMBER, number);
    metadata.set_last(SHARD_TENSORS, tensors);
    metadata.set_last(SHARD_COUNT, count);
    metadata
}

/// The name that those of the files begin with.
fn stem(prefix: &Path) -> Result<String, Error> {
    let name = prefix.file_name().ok_or(Error::NoPath)?;
    let name = name.to_str().ok_or_else(|| SplitError::Name { path: prefix.to_owned() })?;
    Ok(match ShardName::parse(name) {
        // a set is split anew
        Some(set) => set.stem,
        None => name.strip_suffix(".gguf").unwrap_or(name).to_owned(),
    })
}
