#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "fixtures are well formed")]
//! Sources without data, for tests of plans.

pub(crate) mod memory;

use std::hash::Hasher;
use std::ops::Range;
use std::path::Path;

use granule_encode::Importance;
use granule_format::{Array, BlockType, Metadata, Shape, Value};
use granule_reader::{Source, SourceTensor};
use serde_json::Value as Json;

/// A model of names and shapes only.
#[derive(Debug, Default)]
pub(crate) struct Paper {
    pub(crate) metadata: Metadata,
    pub(crate) tensors: Vec<SourceTensor>,
    /// Number of files that the tensors are spread over evenly; 0 means one.
    pub(crate) shards: u32,
    /// Whether this is no file yet.
    pub(crate) new: bool,
}

impl Paper {
    /// Reads a model of `fixtures/type-choice/`.
    pub(crate) fn read(json: &Json) -> Self {
        let mut paper = Self::default();
        for entry in json["metadata"].as_array().unwrap() {
            let numbers = |json: &Json| json.as_u64().map(|number| number as u32);
            let value = match entry[1].as_str().unwrap() {
                "str" => Value::from(entry[2].as_str().unwrap()),
                "u32" => Value::U32(numbers(&entry[2]).unwrap()),
                "f32" => Value::F32(entry[2].as_f64().unwrap() as f32),
                "bool" => Value::Bool(entry[2].as_bool().unwrap()),
                "arr_u32" => {
                    let items = entry[2].as_array().unwrap().iter().filter_map(numbers);
                    Value::Array(Array::U32(items.collect()))
                }
                other => panic!("unknown type {other}"),
            };
            paper.metadata.set(entry[0].as_str().unwrap(), value);
        }
        for tensor in json["tensors"].as_array().unwrap() {
            let dimensions = tensor[1].as_array().unwrap().iter().map(|n| n.as_u64().unwrap());
            let ty = BlockType::from_name(tensor[2].as_str().unwrap()).unwrap();
            paper = paper.with(tensor[0].as_str().unwrap(), &dimensions.collect::<Vec<_>>(), ty);
        }
        paper
    }

    /// Returns the model with one more tensor.
    pub(crate) fn with(mut self, name: &str, dimensions: &[u64], ty: BlockType) -> Self {
        let shape = Shape::new(dimensions).unwrap();
        self.tensors.push(SourceTensor { name: name.to_owned(), shape, ty: ty.into() });
        self
    }

    /// The same, as a source that is no file yet.
    pub(crate) fn unwritten(self) -> Self {
        Self { new: true, ..self }
    }
}

impl Source for Paper {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn tensors(&self) -> &[SourceTensor] {
        &self.tensors
    }

    fn files(&self) -> Vec<&Path> {
        Vec::new()
    }

    fn fingerprint(&self, _: usize, _: &mut dyn Hasher) {}

    fn read_rows(
        &self,
        _: usize,
        _: Range<u64>,
        _: &mut Vec<u8>,
    ) -> Result<(), granule_reader::Error> {
        panic!("a plan reads no data")
    }

    fn is_new(&self) -> bool {
        self.new
    }

    fn shards(&self) -> u32 {
        self.shards.max(1)
    }

    fn shard(&self, index: usize) -> u32 {
        (index * self.shards as usize / self.tensors.len()) as u32
    }
}

/// Returns an importance matrix with an entry for every tensor of two dimensions or more.
pub(crate) fn matrix_of(source: &Paper) -> Importance {
    let entries = source.tensors.iter().filter(|tensor| tensor.shape.dimensions().len() > 1);
    let entries = entries.map(|tensor| {
        let matrices = tensor.shape.dimensions().get(2).copied().unwrap_or(1);
        (tensor.name.as_str(), (tensor.shape.row() * matrices) as usize)
    });
    matrix(&entries.collect::<Vec<_>>())
}

/// Returns an importance matrix with the given number of equal weights for each name.
pub(crate) fn matrix(entries: &[(&str, usize)]) -> Importance {
    let mut bytes = (entries.len() as i32).to_le_bytes().to_vec();
    for (name, values) in entries {
        bytes.extend((name.len() as i32).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(1_i32.to_le_bytes());
        bytes.extend((*values as i32).to_le_bytes());
        bytes.extend(1_f32.to_le_bytes().repeat(*values));
    }
    bytes.extend(9_i32.to_le_bytes());
    bytes.extend(5_i32.to_le_bytes());
    bytes.extend(b"a.txt");
    Importance::parse(&bytes, "matrix.dat").unwrap()
}
