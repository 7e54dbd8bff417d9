//! The weights of a checkpoint: the files that hold them, and the tensors in these files.

use std::collections::HashMap;
use std::mem;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::data_type::DataType;
use super::file::DataFile;
use super::problem::Problem;
use super::quantized::{self, Fault, How};
use super::safetensors;
use super::stored::Entry;
pub(crate) use super::stored::StoredTensor;
use super::sum::Sum;
use super::torch;
use super::weight_files::{self, Files};
use super::wrapper;
use crate::{Error, Folder, Layout};

/// The open files and the descriptions of their tensors. No data has been read yet.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    folder: PathBuf,
    files: Vec<DataFile>,
    tensors: Vec<StoredTensor>,
    half: Option<DataType>,
    float8_as_q8: bool,
    shards: Option<u64>,
}

impl Weights {
    /// Returns the paths of the open files that are on a disk.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().filter(|file| file.version().is_none()).map(DataFile::path)
    }

    /// Returns the others with their versions.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().filter_map(|file| Some((file.path(), file.version()?)))
    }

    /// Says that the data of a tensor are going to be read soon.
    pub(crate) fn will_read(&self, tensor: &StoredTensor) {
        tensor.will_read(&self.files);
    }

    /// Finds and opens the weight files of a folder. Adds a warning for each other file with
    /// weights that is not read.
    ///
    /// # Errors
    /// If there are no weights, weights of two checkpoints, or files that do not match or are
    /// damaged.
    pub(crate) fn open(folder: &dyn Folder, warnings: &mut Vec<String>) -> Result<Self, Error> {
        Self::open_as(folder, Layout::HuggingFace, warnings)
    }

    /// The same for a folder of any layout.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_as(
        folder: &dyn Folder,
        layout: Layout,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let Files { kind, names, map } = weight_files::find(folder, layout, warnings)?;
        let mut weights = Self { folder: folder.path().to_owned(), ..Self::default() };
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut overlaid = None;
        for (number, name) in names.iter().enumerate() {
            let path = folder.path().join(name);
            let file = DataFile::open(&folder.at(name))?;
            for Entry { name: tensor, ty, shape, data } in (kind.read)(&file)? {
                let fail = |problem| Error::of_tensor(&path, &tensor, problem);
                let listed = map.as_ref().map(|map| map.get(&tensor));
                if listed == Some(None) {
                    return Err(fail(Problem::NotInIndex { index: kind.index }));
                }
                let stored = StoredTensor { name: tensor.clone(), ty, shape, file: number, data };
                let Some(place) = places.get(&tensor) else {
                    places.insert(tensor, weights.tensors.len());
                    weights.tensors.push(stored);
                    continue;
                };
                let before = &mut weights.tensors[*place];
                if listed.is_none() {
                    let other = names[before.file].clone();
                    return Err(fail(Problem::TwoShards { other }));
                }
                // The index decides. As in the reference, the tensor keeps the position of the
                // first.
                let other = names[before.file].clone();
                if listed == Some(Some(name)) {
                    *before = stored;
                }
                let said = || (tensor, other, name.clone());
                overlaid.get_or_insert_with(|| (0, said())).0 += 1;
            }
            weights.files.push(file);
        }
        if let Some((tensor, shard)) = first_elsewhere(map.as_ref(), &names, &places, &weights) {
            let problem = Problem::NotInShard { shard: shard.clone() };
            return Err(Error::of_tensor(&folder.path().join(kind.index), tensor, problem));
        }
        if let Some((count, (tensor, first, second))) = overlaid {
            let file = map.as_ref().and_then(|map| map.get(&tensor)).cloned().unwrap_or_default();
            let more = match count {
                1 => String::new(),
                2 => ", and another tensor is in two files".to_owned(),
                n => format!(", and {} other tensors are in two files", n - 1),
            };
            warnings.push(format!(
                "tensor {tensor:?} is in {first:?} and in {second:?}{more}: {:?} decides and \
                 names {file:?}",
                kind.index
            ));
        }
        wrapper::strip(&mut weights.tensors, warnings).map_err(|(index, problem)| {
            let tensor = &weights.tensors[index];
            Error::of_tensor(weights.path(tensor), &tensor.name, problem)
        })?;
        weights.half = first_half(&weights.tensors);
        Ok(weights)
    }

    /// Adds the tensors of another safetensors file under their names with a prefix, `name` and a
    /// dot. Returns the shape of the first matrix.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(crate) fn add(
        &mut self,
        folder: &dyn Folder,
        file: &str,
        name: &str,
    ) -> Result<Option<Vec<u64>>, Error> {
        let opened = DataFile::open(&folder.at(file))?;
        let number = self.files.len();
        let before = self.tensors.len();
        for Entry { name: tensor, ty, shape, data } in safetensors::read(&opened)? {
            let tensor = format!("{name}.{tensor}");
            self.tensors.push(StoredTensor { name: tensor, ty, shape, file: number, data });
        }
        self.files.push(opened);
        let shapes = self.tensors[before..].iter().map(|tensor| &tensor.shape);
        Ok(shapes.into_iter().find(|shape| shape.len() == 2).cloned())
    }

    /// Opens the files of others weights too, and returns the tensors in them. They are not among
    /// [`tensors`](Self::tensors).
    pub(crate) fn adopt(&mut self, others: Self) -> Vec<StoredTensor> {
        let before = self.files.len();
        self.files.extend(others.files);
        let moved = |tensor: StoredTensor| StoredTensor { file: tensor.file + before, ..tensor };
        others.tensors.into_iter().map(moved).collect()
    }

    /// Replaces a tensor.
    pub(crate) fn replace(&mut self, index: usize, with: StoredTensor) {
        self.tensors[index] = with;
    }

    /// Returns the open files, in which tensors are found by their numbers.
    pub(crate) fn data_files(&self) -> &[DataFile] {
        &self.files
    }

    /// Opens one file of weights, whose names stay as they are.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(crate) fn open_file(folder: &dyn Folder, name: &str) -> Result<Self, Error> {
        let file = DataFile::open(&folder.at(name))?;
        let read = if name.ends_with(".safetensors") { safetensors::read } else { torch::read };
        let stored =
            |Entry { name, ty, shape, data }| StoredTensor { name, ty, shape, file: 0, data };
        let tensors: Vec<_> = read(&file)?.into_iter().map(stored).collect();
        let half = first_half(&tensors);
        let folder = folder.path().to_owned();
        Ok(Self { folder, files: vec![file], tensors, half, ..Self::default() })
    }

    /// Joins tensors that together form one. Small numbers and their scales become
    /// [`F32`](DataType::F32) under the usual name of the weight. MXFP4 codes and their scales
    /// become [`Mxfp4`](DataType::Mxfp4) under the name of the weight, or of the codes
    /// (`.._blocks`). `config` is the whole `config.json`, at `path`. `exact` omits roundings to 16
    /// bits on the way to a value; `sharded` tells by its name whether the rows of a tensor may be
    /// those of several processors. Adds a warning for anything odd.
    ///
    /// # Errors
    /// If tensors do not match, or if the quantization method is not supported.
    pub(crate) fn join_quantized(
        &mut self,
        (config, path): (&Map<String, Value>, &Path),
        folder: &dyn Folder,
        (exact, sharded): (bool, &dyn Fn(&str) -> bool),
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let gptq = self.tensors.iter().any(|tensor| tensor.name.ends_with(".qweight"));
        let entry = quantized::Entry::find(config, path, folder, gptq)?;
        let tensors = mem::take(&mut self.tensors);
        let how = How { entry: entry.as_ref(), exact, sharded };
        let joined = quantized::join(tensors, how, &self.files, warnings);
        (self.tensors, self.shards) = joined.map_err(|fault| match fault {
            Fault::Entry(problem) => {
                Error::in_file(entry.as_ref().map_or(path, |entry| entry.path()), problem)
            }
            Fault::Tensor(file, name, problem) => {
                Error::of_tensor(self.files[file].path(), &name, problem)
            }
            Fault::Other(error) => error,
        })?;
        Ok(())
    }

    /// Returns the 16-bit type of the first 16-bit tensor with two or more dimensions. The order is
    /// that of the files, before [`join_quantized`](Self::join_quantized).
    pub(crate) const fn half(&self) -> Option<DataType> {
        self.half
    }

    /// Returns the number of processors whose rows are in some tensors, if there are several.
    pub(crate) const fn shards(&self) -> Option<u64> {
        self.shards
    }

    /// Makes tensors of 8-bit floating point numbers with scales Q8_0.
    pub(crate) fn set_float8_as_q8(&mut self) {
        self.float8_as_q8 = true;
    }

    /// Returns whether a tensor is to be Q8_0 because of the numbers that it consists of.
    pub(crate) fn is_q8(&self, tensor: &StoredTensor) -> bool {
        self.float8_as_q8 && tensor.is_float8()
    }

    /// Returns the folder of the files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns all tensors, file by file in the order of the file names. Inside a safetensors file
    /// they are sorted by name; inside a PyTorch file they keep the order of the pickle.
    pub(crate) fn tensors(&self) -> &[StoredTensor] {
        &self.tensors
    }

    /// Returns the path of the file that holds a tensor.
    pub(crate) fn path(&self, tensor: &StoredTensor) -> &Path {
        self.files[tensor.file].path()
    }

    /// Appends `bytes` bytes of a tensor's data, starting at byte `start` of it, to `out`. The data
    /// are values of the tensor's type in order and little-endian, whatever the layout of the file.
    /// Both numbers are multiples of [`DataType::bytes`].
    ///
    /// # Panics
    /// If they are not, or if the range extends past the end of the data.
    pub(crate) fn read(
        &self,
        tensor: &StoredTensor,
        start: u64,
        bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let filled = out.len();
        out.resize(filled + bytes, 0);
        tensor.read(&self.files, start, &mut out[filled..])
    }
}

impl Weights {
    /// Returns whether two tensors, given by their indices, have the same type, shape and bytes.
    pub(crate) fn same_values(&self, a: usize, b: usize) -> Result<bool, Error> {
        let (a, b) = (&self.tensors[a], &self.tensors[b]);
        if (a.ty, &a.shape) != (b.ty, &b.shape) {
            return Ok(false);
        }
        let all = a.values() / a.ty.values() * a.ty.bytes();
        let chunk = COMPARED * a.ty.bytes();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for start in (0..all).step_by(chunk as usize) {
            let bytes = chunk.min(all - start) as usize;
            left.clear();
            right.clear();
            self.read(a, start, bytes, &mut left)?;
            self.read(b, start, bytes, &mut right)?;
            if left != right {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads all values of a small tensor as JSON numbers.
    ///
    /// # Errors
    /// If there are more than `most`, or if one is not finite.
    pub(crate) fn numbers(&self, index: usize, most: u64) -> Result<Vec<Value>, Error> {
        let tensor = &self.tensors[index];
        let fail = |problem| Error::of_tensor(self.path(tensor), &tensor.name, problem);
        if tensor.values() > most {
            return Err(fail(Problem::TooLarge(tensor.shape.clone())));
        }
        let mut bytes = Vec::new();
        let all = tensor.values() / tensor.ty.values() * tensor.ty.bytes();
        self.read(tensor, 0, all as usize, &mut bytes)?;
        if tensor.ty == DataType::I64 {
            let words = bytes.as_chunks().0.iter();
            return Ok(words.map(|word| i64::from_le_bytes(*word).into()).collect());
        }
        let values = tensor.ty.widen(&bytes);
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(fail(Problem::NotFinite { index: at as u64, value: values[at] })),
            None => Ok(values.into_iter().map(Value::from).collect()),
        }
    }

    /// Reads all values of a small tensor.
    pub(crate) fn values(&self, index: usize) -> Result<Vec<f32>, Error> {
        let tensor = &self.tensors[index];
        let all = tensor.values() / tensor.ty.values() * tensor.ty.bytes();
        let mut bytes = Vec::new();
        self.read(tensor, 0, all as usize, &mut bytes)?;
        Ok(tensor.ty.widen(&bytes))
    }

    /// Returns the indices of the rows from `first` on that hold only zeros.
    ///
    /// # Errors
    /// If there are more than `most`.
    pub(crate) fn zero_rows(
        &self,
        index: usize,
        first: u64,
        most: u64,
    ) -> Result<Vec<Value>, Error> {
        let tensor = &self.tensors[index];
        let columns = tensor.shape.last().copied().unwrap_or(1);
        let rows = tensor.values().checked_div(columns).unwrap_or_default();
        let length = columns / tensor.ty.values() * tensor.ty.bytes();
        let (mut zeros, mut bytes) = (Vec::new(), Vec::new());
        for row in first..rows {
            bytes.clear();
            self.read(tensor, row * length, length as usize, &mut bytes)?;
            if tensor.ty.widen(&bytes).iter().all(|value| *value == 0.0) {
                zeros.push(row.into());
            }
            if zeros.len() as u64 > most {
                let problem = Problem::TooLarge(tensor.shape.clone());
                return Err(Error::of_tensor(self.path(tensor), &tensor.name, problem));
            }
        }
        Ok(zeros)
    }

    /// Returns the mean magnitude of the values of a tensor, at least 1e-5. All values are read.
    pub(crate) fn mean_magnitude(&self, index: usize) -> Result<f32, Error> {
        let tensor = &self.tensors[index];
        let all = tensor.values() / tensor.ty.values() * tensor.ty.bytes();
        let chunk = COMPARED * tensor.ty.bytes();
        let mut sum = Sum::of(tensor.values());
        let mut bytes = Vec::new();
        for start in (0..all).step_by(chunk as usize) {
            bytes.clear();
            self.read(tensor, start, chunk.min(all - start) as usize, &mut bytes)?;
            let magnitudes: Vec<_> = tensor.ty.widen(&bytes).into_iter().map(f32::abs).collect();
            sum.add(&magnitudes);
        }
        Ok(sum.mean().max(1e-5))
    }

    /// Returns whether all values of a tensor are zero.
    pub(crate) fn all_zero(&self, index: usize) -> Result<bool, Error> {
        let tensor = &self.tensors[index];
        let all = tensor.values() / tensor.ty.values() * tensor.ty.bytes();
        let chunk = COMPARED * tensor.ty.bytes();
        let mut bytes = Vec::new();
        for start in (0..all).step_by(chunk as usize) {
            bytes.clear();
            self.read(tensor, start, chunk.min(all - start) as usize, &mut bytes)?;
            if tensor.ty.widen(&bytes).iter().any(|value| *value != 0.0) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns the type of the first matrix of 16-bit numbers.
fn first_half(tensors: &[StoredTensor]) -> Option<DataType> {
    let matrices = tensors.iter().filter(|tensor| tensor.shape.len() >= 2);
    matrices.map(|tensor| tensor.ty).find(|ty| matches!(ty, DataType::BF16 | DataType::F16))
}

/// Values, or blocks, to compare at a time.
const COMPARED: u64 = 1 << 18;

/// Finds the first tensor, by name, that is missing from the file the index assigns it to.
fn first_elsewhere<'m>(
    map: Option<&'m HashMap<String, String>>,
    names: &[String],
    places: &HashMap<String, usize>,
    weights: &Weights,
) -> Option<(&'m String, &'m String)> {
    let is_there = |(tensor, shard): &(&String, &String)| {
        places.get(*tensor).is_some_and(|place| names[weights.tensors[*place].file] == **shard)
    };
    map?.iter().filter(|entry| !is_there(entry)).min()
}
