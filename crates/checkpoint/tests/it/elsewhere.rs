//! A checkpoint whose folder is not on a disk.
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use granule_checkpoint::{Checkpoint, CheckpointOptions, Folder};
use granule_reader::{ReadAt, Source};

/// Files in memory.
#[derive(Debug)]
struct Memory {
    path: &'static str,
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Memory {
    fn of(path: &'static str, folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                files.insert(entry.file_name().into_string().unwrap(), bytes.into());
            }
        }
        Self { path, files }
    }

    fn file(&self, name: &str) -> io::Result<Arc<[u8]>> {
        self.files.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Folder for Memory {
    fn path(&self) -> &Path {
        Path::new(self.path)
    }

    fn name(&self) -> io::Result<String> {
        Ok(self.path.rsplit('/').next().unwrap_or_default().to_owned())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        match folder {
            "" => Ok(self.files.keys().cloned().collect()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn exists(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.file(name)?.to_vec())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(self.file(name)?))
    }
}

#[test]
fn the_same_is_read_from_anywhere() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints");
    let options = CheckpointOptions::default();
    for name in ["llama2-spm-256", "Tiny-Llama2-SPM-110K-chat-v1.1"] {
        let local = Checkpoint::open(&fixtures.join(name), &options).unwrap();
        let path: &'static str = format!("store://models/{name}").leak();
        let memory = Memory::of(path, &fixtures.join(name));
        let remote = Checkpoint::open_folder(&memory, &options).unwrap();
        assert_eq!(remote.metadata(), local.metadata());
        assert_eq!(remote.tensors(), local.tensors());
        assert_eq!(remote.warnings(), local.warnings());
        for (index, tensor) in local.tensors().iter().enumerate() {
            let rows = 0..tensor.shape.rows().unwrap();
            let (mut here, mut there) = (Vec::new(), Vec::new());
            local.read_rows(index, rows.clone(), &mut here).unwrap();
            remote.read_rows(index, rows, &mut there).unwrap();
            assert_eq!(here, there, "{}", tensor.name);
        }
        assert!(remote.inputs().iter().all(|path| path.starts_with("store://models")));
    }
}

#[test]
fn errors_name_the_file_where_it_is() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints");
    let mut memory = Memory::of("store://a", &fixtures.join("llama2-spm-256"));
    let options = CheckpointOptions::default();
    memory.files.remove("model.safetensors");
    let error = Checkpoint::open_folder(&memory, &options).unwrap_err().to_string();
    assert!(error.starts_with("store://a"), "{error}");
    memory.files.remove("config.json");
    let error = Checkpoint::open_folder(&memory, &options).unwrap_err().to_string();
    assert!(error.contains("store://a/config.json"), "{error}");
}
