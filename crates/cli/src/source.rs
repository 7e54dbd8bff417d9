//! What models are read from: a GGUF file or the folder of a checkpoint.

use std::path::Path;

use granule_checkpoint::{Checkpoint, CheckpointOptions, OutType};
use granule_convert::encode_blocks;
use granule_reader::{GgufSource, Source};

/// Open a model as a file: a checkpoint is the one that it would be converted to.
pub(crate) fn open_as_file(path: &Path) -> anyhow::Result<Box<dyn Source>> {
    if !path.is_dir() && !Checkpoint::has_file(path) {
        return Ok(Box::new(GgufSource::open(path)?));
    }
    let options =
        CheckpointOptions { encoder: Some(encode_blocks), ..CheckpointOptions::default() };
    Ok(Box::new(Checkpoint::open(path, &options)?))
}

/// Open a model to compute with: the values of a checkpoint are not rounded.
pub(crate) fn open(path: &Path) -> anyhow::Result<Box<dyn Source>> {
    if !path.is_dir() && !Checkpoint::has_file(path) {
        return Ok(Box::new(GgufSource::open(path)?));
    }
    let options = CheckpointOptions {
        out_type: OutType::from_name("f32").expect("a type of checkpoints"),
        encoder: Some(encode_blocks),
        ..CheckpointOptions::default()
    };
    Ok(Box::new(Checkpoint::open(path, &options)?))
}
