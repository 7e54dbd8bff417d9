//! The weights of a checkpoint: which files hold them, and every tensor in them.

use std::collections::HashMap;
use std::fs;
use std::mem;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value};

use super::data_type::DataType;
use super::file::DataFile;
use super::problem::Problem;
use super::quantized;
use super::safetensors;
use super::stored::Data;
use crate::Error;
use crate::json::read_json;

pub(crate) use super::stored::StoredTensor;

const INDEX: &str = "model.safetensors.index.json";

/// The open files and what is in them. Nothing of the data has been read.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    folder: PathBuf,
    files: Vec<DataFile>,
    tensors: Vec<StoredTensor>,
    half: Option<DataType>,
}

impl Weights {
    /// The files that are open.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(DataFile::path)
    }

    /// Find and open the files of a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let index = folder.join(INDEX);
        let map = if index.is_file() { Some(weight_map(&index)?) } else { None };
        let mut names: Vec<String> = match &map {
            Some(map) => map.values().cloned().collect(),
            None => parts(folder)?,
        };
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Err(Error::in_file(folder, Problem::NoWeights));
        }

        let mut weights = Self { folder: folder.to_owned(), ..Self::default() };
        let mut owner: HashMap<String, usize> = HashMap::new();
        for name in &names {
            let path = folder.join(name);
            if !path.is_file() {
                return Err(missing_shard(&index, name, map.as_ref()));
            }
            let file = DataFile::open(&path)?;
            for entry in safetensors::read_header(&file)? {
                let number = weights.files.len();
                if let Some(other) = owner.insert(entry.name.clone(), number) {
                    let problem = Problem::TwoShards { other: names[other].clone() };
                    return Err(Error::of_tensor(&path, &entry.name, problem));
                }
                if map.as_ref().is_some_and(|map| map.get(&entry.name) != Some(name)) {
                    let problem = Problem::NotInIndex { index: INDEX };
                    return Err(Error::of_tensor(&path, &entry.name, problem));
                }
                let safetensors::Entry { name, ty, shape, offset } = entry;
                let data = Data::Range(offset);
                weights.tensors.push(StoredTensor { name, ty, shape, file: number, data });
            }
            weights.files.push(file);
        }
        if let Some((tensor, shard)) = first_absent(map.as_ref(), &owner) {
            return Err(Error::of_tensor(
                &index,
                tensor,
                Problem::NotInShard { shard: shard.clone() },
            ));
        }
        let matrices = weights.tensors.iter().filter(|tensor| tensor.shape.len() >= 2);
        weights.half = matrices
            .map(|tensor| tensor.ty)
            .find(|ty| matches!(ty, DataType::BF16 | DataType::F16));
        Ok(weights)
    }

    /// Make one tensor of those that only together are one: small numbers and their scales become
    /// [`F32`](DataType::F32) under the name of the numbers, codes of MXFP4 and their scales
    /// [`Mxfp4`](DataType::Mxfp4) under the name of the codes (`.._blocks`). `config` is the whole `config.json`,
    /// at `path`.
    ///
    /// # Errors
    /// If tensors do not fit together, or the checkpoint is quantized in a way that is not read.
    pub(crate) fn join_quantized(
        &mut self,
        config: &Map<String, Value>,
        path: &Path,
    ) -> Result<(), Error> {
        let quantization = |config: &Map<String, Value>| {
            config.get("quantization_config").filter(|value| value.is_object()).cloned()
        };
        let of_text = config.get("text_config").and_then(Value::as_object);
        let quantization = of_text.and_then(quantization).or_else(|| quantization(config));
        let tensors = mem::take(&mut self.tensors);
        self.tensors =
            quantized::join(tensors, quantization.as_ref()).map_err(|fault| {
                match fault.tensor {
                    Some((file, name)) => {
                        Error::of_tensor(self.files[file].path(), &name, fault.problem)
                    }
                    None => Error::in_file(path, fault.problem),
                }
            })?;
        Ok(())
    }

    /// The 16-bit type of the first tensor with two or more dimensions that has one, in the order of the files
    /// and before [`join_quantized`](Self::join_quantized).
    pub(crate) const fn half(&self) -> Option<DataType> {
        self.half
    }

    /// The folder of the files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// All tensors: file after file, by name inside a file.
    pub(crate) fn tensors(&self) -> &[StoredTensor] {
        &self.tensors
    }

    /// The file that holds a tensor.
    pub(crate) fn path(&self, tensor: &StoredTensor) -> &Path {
        self.files[tensor.file].path()
    }

    /// Append `bytes` bytes of a tensor's data to `out`, beginning at byte `start` of it: values of its type in
    /// order, little-endian, whatever the file looks like. Both are multiples of [`DataType::bytes`].
    ///
    /// # Panics
    /// If they are not, or there are no such bytes.
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

/// The files by their names, where there is no index.
fn parts(folder: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        if let Ok(name) = entry.file_name().into_string()
            && name.starts_with("model")
            && name.ends_with(".safetensors")
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Which file holds which tensor, by the index.
fn weight_map(index: &Path) -> Result<HashMap<String, String>, Error> {
    let json = read_json(index)?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::in_file(index, Problem::NoWeightMap))?;
    map.iter()
        .map(|(tensor, file)| match file.as_str() {
            Some(file) if is_plain_name(file) => Ok((tensor.clone(), file.to_owned())),
            Some(file) => Err(Error::of_tensor(index, tensor, Problem::ShardPath(file.to_owned()))),
            None => Err(Error::in_file(index, Problem::NoWeightMap)),
        })
        .collect()
}

/// A name that cannot lead out of the folder, on any system.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        && !name.contains(['/', '\\', ':', '\0'])
}

fn missing_shard(index: &Path, shard: &str, map: Option<&HashMap<String, String>>) -> Error {
    let tensor = map.and_then(|map| {
        map.iter().filter(|(_, file)| *file == shard).map(|(name, _)| name.as_str()).min()
    });
    let problem = Problem::MissingShard { shard: shard.to_owned() };
    Error::of_tensor(index, tensor.unwrap_or_default(), problem)
}

/// The first tensor, by name, that the index lists and no file holds.
fn first_absent<'m>(
    map: Option<&'m HashMap<String, String>>,
    owner: &HashMap<String, usize>,
) -> Option<(&'m String, &'m String)> {
    map?.iter().filter(|(name, _)| !owner.contains_key(*name)).min()
}
