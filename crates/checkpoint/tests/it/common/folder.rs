//! Copies of fixture checkpoints that a test may change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use granule_checkpoint::{Checkpoint, CheckpointOptions, Error};
use granule_format::Metadata;
use granule_reader::{Source, SourceTensor};
use half::{bf16, f16};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A checkpoint of five files with an index.
pub(crate) const SHARDED: &str = "Tiny-Llama2-SPM-110K-chat-v1.1";
/// A checkpoint of one file.
pub(crate) const SINGLE: &str = "llama2-spm-256";

pub(crate) const FILE: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// A tensor of a safetensors file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) ty: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) data: Vec<u8>,
}

impl Stored {
    pub(crate) fn new(ty: &str, shape: &[u64], data: Vec<u8>) -> Self {
        Self { ty: ty.to_owned(), shape: shape.to_vec(), data }
    }

    pub(crate) fn f32(shape: &[u64], values: &[f32]) -> Self {
        Self::new("F32", shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Returns the values of a tensor with 16-bit or 32-bit numbers.
    pub(crate) fn values(&self) -> Vec<f32> {
        let pairs = self.data.as_chunks::<2>().0.iter();
        match &*self.ty {
            "F16" => pairs.map(|pair| f16::from_le_bytes(*pair).to_f32()).collect(),
            "BF16" => pairs.map(|pair| bf16::from_le_bytes(*pair).to_f32()).collect(),
            _ => self.data.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
        }
    }
}

pub(crate) type Tensors = BTreeMap<String, Stored>;

/// Reads the tensors of a safetensors file.
pub(crate) fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Map<String, Value> = serde_json::from_slice(header).unwrap();
    let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__");
    tensors
        .map(|(name, about)| {
            let numbers = |key: &str| -> Vec<u64> {
                about[key].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
            };
            let range = numbers("data_offsets");
            let data = data[range[0] as usize..range[1] as usize].to_vec();
            (name, Stored::new(about["dtype"].as_str().unwrap(), &numbers("shape"), data))
        })
        .collect()
}

/// Writes a safetensors file.
pub(crate) fn write(path: &Path, tensors: &Tensors) {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, Stored { ty, shape, data: bytes }) in tensors {
        let range = [data.len(), data.len() + bytes.len()];
        header.insert(name.clone(), json!({"dtype": ty, "shape": shape, "data_offsets": range}));
        data.extend_from_slice(bytes);
    }
    let header = Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    fs::write(path, [&length, header.as_bytes(), &data].concat()).unwrap();
}

/// A copy of a checkpoint in a folder of the same name.
pub(crate) struct Copy {
    root: TempDir,
    pub(crate) folder: PathBuf,
}

impl Copy {
    pub(crate) fn of(name: &str) -> Self {
        let from =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints").join(name);
        let root = TempDir::new().unwrap();
        let folder = root.path().join(name);
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
            }
        }
        Self { root, folder }
    }

    /// Returns the folder of the copy.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub(crate) fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn json(&self, file: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut json = serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap();
        change(&mut json);
        self.write(file, Value::Object(json).to_string());
    }

    /// Sets the quantization entry of `config.json`.
    pub(crate) fn quantization(&self, entry: Value) {
        self.json("config.json", |config| {
            config.insert("quantization_config".to_owned(), entry);
        });
    }

    /// Changes the tensors of the only file.
    pub(crate) fn tensors(&self, change: impl FnOnce(&mut Tensors)) {
        let path = self.path(FILE);
        let mut tensors = read(&path);
        change(&mut tensors);
        write(&path, &tensors);
    }

    pub(crate) fn open(&self) -> Result<Checkpoint, Error> {
        Checkpoint::open(&self.folder, &CheckpointOptions::default())
    }

    /// Reads the whole checkpoint and its warnings.
    #[track_caller]
    pub(crate) fn content(&self) -> (Content, Vec<String>) {
        content(&self.open().unwrap_or_else(|error| panic!("{error}")))
    }

    /// Checks that opening fails with an error that contains all of these strings.
    #[track_caller]
    pub(crate) fn refused(&self, texts: &[&str]) {
        refused(&self.folder, texts);
    }
}

/// The metadata and the tensors.
pub(crate) type Content = (Metadata, Vec<(SourceTensor, Vec<u8>)>);

/// Reads a whole checkpoint and its warnings.
pub(crate) fn content(checkpoint: &Checkpoint) -> (Content, Vec<String>) {
    let tensors = checkpoint.tensors().iter().enumerate().map(|(index, tensor)| {
        let mut bytes = Vec::new();
        let rows = tensor.shape.rows().unwrap();
        checkpoint.read_rows(index, 0..rows, &mut bytes).unwrap();
        (tensor.clone(), bytes)
    });
    let content = (checkpoint.metadata().clone(), tensors.collect());
    (content, checkpoint.warnings().to_vec())
}

/// Checks that opening the path fails with an error that contains all of these strings.
#[track_caller]
pub(crate) fn refused(path: &Path, texts: &[&str]) {
    match Checkpoint::open(path, &CheckpointOptions::default()) {
        Ok(_) => panic!("opened, expected an error with {texts:?}"),
        Err(error) => {
            let error = error.to_string();
            for text in texts {
                assert!(error.contains(text), "{error:?} lacks {text:?}");
            }
            assert!(error.lines().count() == 1, "{error}");
        }
    }
}
