//! `config.json`, `tokenizer.json` and `tokenizer_config.json` of a checkpoint.

use granule_checkpoint::{Checkpoint, CheckpointOptions, OutType};
use granule_convert::run::CHUNK_VALUES;
use granule_reader::Source;
use tempfile::TempDir;

use crate::parts::{number, parts};
use crate::{folder, write};

pub(super) fn run(input: &[u8]) {
    let ([choice], input) = number(input);
    let [config, tokenizer, tokenizer_config] = parts(input);
    let folder = folder();
    write(&folder, "config.json", config);
    for (name, bytes) in
        [("tokenizer.json", tokenizer), ("tokenizer_config.json", tokenizer_config)]
    {
        if !bytes.is_empty() {
            write(&folder, name, bytes);
        }
    }
    if choice % 4 == 0 {
        write(&folder, "model.safetensors", b"\x02\0\0\0\0\0\0\0{}");
    }
    open(&folder, choice % 4 != 0);
}

/// Open the checkpoint in a folder and read it all: an error, or data.
pub(super) fn open(folder: &TempDir, vocabulary_only: bool) {
    open_as(folder, vocabulary_only, OutType::Auto);
}

/// The same, converted to a type.
pub(super) fn open_as(folder: &TempDir, vocabulary_only: bool, out_type: OutType) {
    open_with(folder, &CheckpointOptions { vocabulary_only, out_type, ..Default::default() });
}

/// The same with options.
pub(super) fn open_with(folder: &TempDir, options: &CheckpointOptions) {
    if let Ok(checkpoint) = Checkpoint::open(folder.path(), options) {
        read(&checkpoint);
    }
}

/// Read all data of a checkpoint.
pub(super) fn read(checkpoint: &Checkpoint) {
    let mut out = Vec::new();
    for (index, tensor) in checkpoint.tensors().iter().enumerate() {
        let row = tensor.shape.row().max(1);
        let rows = tensor.shape.rows().unwrap_or(0).min(CHUNK_VALUES / row);
        if checkpoint.read_rows(index, 0..rows, &mut out).is_ok() {
            let ty = tensor.ty.known().expect("checkpoints only become known types");
            assert_eq!(Some(out.len() as u64), ty.row_bytes(tensor.shape.row()).map(|b| b * rows));
        }
    }
}
