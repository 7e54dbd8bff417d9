//! Advice on errors that only say what is wrong. It never suggests the command that failed.

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use granule_format::ErrorKind;
use granule_format::check::FileKind;

/// A line of advice on an error of `command`, if there is any.
pub(crate) fn on(error: &(dyn Error + 'static), command: &str) -> Option<String> {
    if let Some(error) = error.downcast_ref::<granule_convert::Error>() {
        return match error {
            granule_convert::Error::Io { path, source } => on_io(path, source),
            granule_convert::Error::Read(error) => on(error, command),
            granule_convert::Error::Checkpoint(error) => on(error, command),
            _ => None,
        };
    }
    if let Some(error) = error.downcast_ref::<granule_checkpoint::Error>() {
        return match error {
            granule_checkpoint::Error::Io { path, source } => on_io(path, source),
            granule_checkpoint::Error::Read(error) => on(error, command),
            _ => None,
        };
    }
    match error.downcast_ref::<granule_reader::Error>()? {
        granule_reader::Error::Io { path: Some(path), source, .. } => on_io(path, source),
        granule_reader::Error::Format { path: Some(path), source } => match source.kind {
            ErrorKind::Magic(_) | ErrorKind::Truncated { .. } => on_kind(path, command),
            _ => None,
        },
        _ => None,
    }
}

fn on_io(path: &Path, error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::IsADirectory => Some(on_folder(path)),
        io::ErrorKind::StorageFull => Some("Free some space, or write elsewhere.".to_owned()),
        _ => None,
    }
}

/// Advice on a folder that was named in place of a GGUF file.
fn on_folder(folder: &Path) -> String {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    if let Some(name) = names.iter().find(|name| name.ends_with(".gguf")) {
        return format!("Name a GGUF file in the folder, such as {}.", folder.join(name).display());
    }
    let is_checkpoint = |name: &String| {
        name == "config.json" || name.ends_with(".safetensors") || name.starts_with("pytorch_model")
    };
    if names.iter().any(is_checkpoint) {
        let folder = folder.display();
        return format!(
            "A checkpoint: make a GGUF file of it first with `granule convert {folder}`."
        );
    }
    "There is no GGUF file in the folder.".to_owned()
}

/// Advice on a file that is not a GGUF file.
fn on_kind(path: &Path, command: &str) -> Option<String> {
    let mut first = Vec::new();
    granule_reader::file::open(path).ok()?.take(4096).read_to_end(&mut first).ok()?;
    match FileKind::of(&first) {
        FileKind::Gguf | FileKind::Unknown => None,
        FileKind::Safetensors | FileKind::Json | FileKind::Zip | FileKind::Pickle
            if command == "convert" =>
        {
            Some(
                "If it is a file of a checkpoint, name the folder, with config.json in it."
                    .to_owned(),
            )
        }
        kind => Some(kind.advice().to_owned()),
    }
}
