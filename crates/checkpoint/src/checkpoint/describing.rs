//! The files that describe a checkpoint. An output may replace none of them.

use std::io::Read;
use std::path::{Path, PathBuf};

use granule_format::container::MAGIC;

/// Lists every file in the folder of a checkpoint, and one level below, that is not a GGUF file.
/// Many files describe a model, and none of them may be an output.
pub(super) fn describing(folder: &Path, below: bool, files: &mut Vec<PathBuf>) {
    // The folder was read a moment ago.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if path.is_dir() {
            if below {
                describing(&path, false, files);
            }
        } else if !hidden && !is_gguf(&path) {
            files.push(path);
        }
    }
}

/// Returns whether a file is a GGUF file, by its first bytes.
fn is_gguf(path: &Path) -> bool {
    let mut first = [0; MAGIC.len()];
    granule_reader::file::open(path).is_ok_and(|mut file| file.read_exact(&mut first).is_ok())
        && first == MAGIC
}
