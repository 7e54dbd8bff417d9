use std::path::Path;

use super::folder;
use crate::Error;

/// What is wrong with the paths of outputs, before anything is touched: a missing folder, a path that is an input or a
/// folder, the same path twice.
pub(crate) fn paths(outputs: &[&Path], inputs: &[&Path]) -> Result<(), Error> {
    for (index, path) in outputs.iter().enumerate() {
        let folder = folder(path);
        if !folder.is_dir() {
            return Err(Error::NoFolder { path: path.to_path_buf(), folder: folder.to_owned() });
        }
        if path.is_dir() {
            return Err(Error::OutputIsFolder { path: path.to_path_buf() });
        }
        for input in inputs {
            if same_file::is_same_file(path, input).unwrap_or(false) {
                return Err(Error::OutputIsInput { path: path.to_path_buf() });
            }
        }
        if outputs[..index].contains(path) {
            return Err(Error::OutputTwice { path: path.to_path_buf() });
        }
    }
    Ok(())
}

/// Whether the bytes that are missing in each output fit the disk.
pub(crate) fn space<'p>(outputs: impl Iterator<Item = (&'p Path, u64)>) -> Result<(), Error> {
    let mut needed: Vec<(&Path, u64)> = Vec::new();
    for (path, bytes) in outputs {
        let folder = folder(path);
        match needed.iter_mut().find(|(other, _)| *other == folder) {
            Some((_, sum)) => *sum = sum.saturating_add(bytes),
            None => needed.push((folder, bytes)),
        }
    }
    for (folder, needed) in needed {
        // a file system that cannot say how much is free is not a reason to refuse
        let free = fs4::available_space(folder).unwrap_or(u64::MAX);
        if free < needed {
            return Err(Error::Space { folder: folder.to_owned(), needed, free });
        }
    }
    Ok(())
}
