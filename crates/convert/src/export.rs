//! The writer of a checkpoint that was [planned](granule_checkpoint::export).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};

use granule_checkpoint::export::{Export, ExportOptions};
use granule_reader::Model;
use rayon::ThreadPoolBuilder;

use crate::Error;
use crate::output::{Part, Place, check_folder, check_space, places};

/// Plans how to turn a GGUF file, or the split set that it belongs to, into a checkpoint in a
/// folder.
///
/// # Errors
/// Same as [`Export::plan`]. Also if `folder` cannot be a folder, or an input file would be
/// replaced.
pub fn plan(file: &Path, folder: &Path, options: &ExportOptions) -> Result<Export, Error> {
    check_folder(folder)?;
    finish(Export::plan(file, folder, options)?, folder)
}

/// Plans the same for a file that is open, which need not be on a disk.
///
/// # Errors
/// As [`plan`].
pub fn plan_model(model: Model, folder: &Path, options: &ExportOptions) -> Result<Export, Error> {
    check_folder(folder)?;
    finish(Export::plan_model(model, folder, options)?, folder)
}

fn finish(export: Export, folder: &Path) -> Result<Export, Error> {
    if folder.exists() {
        destinations(&export)?;
    }
    Ok(export)
}

/// Writes the checkpoint. Creates its folder if it does not exist. Files get their final names when
/// all are complete. All threads call `progress` with the number of values written.
///
/// # Errors
/// If the disk has too little space, a value does not fit its type, or reading or writing fails.
pub fn run(
    export: &Export,
    threads: Option<usize>,
    stop: Option<&AtomicBool>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Error> {
    fs::create_dir_all(export.folder()).map_err(Error::io(export.folder()))?;
    export.check_folder()?;
    let places = destinations(export)?;
    let sizes = export.files().map(|(_, bytes)| bytes);
    check_space(places.iter().zip(sizes))?;
    let pool = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(Error::Threads)?;
    let done = AtomicU64::new(0);
    let mut places = places.into_iter();
    let mut parts = Vec::new();
    for ((index, (_, bytes)), place) in export.files().enumerate().zip(&mut places) {
        let part = Part::create(place)?;
        part.set_bytes(bytes)?;
        let write = |start: u64, bytes: &[u8]| -> io::Result<()> { part.write_at(start, bytes) };
        pool.install(|| export.write_file(index, &write, (&done, stop), progress))?;
        part.flush()?;
        parts.push(part);
    }
    for ((_, text), place) in export.texts().into_iter().zip(places) {
        let part = Part::create(place)?;
        part.write(0, text.as_bytes())?;
        part.flush()?;
        parts.push(part);
    }
    parts.into_iter().try_for_each(Part::publish)
}

/// Returns the places of the files: first those with tensors, then the others.
fn destinations(export: &Export) -> Result<Vec<Place>, Error> {
    let texts = export.texts().into_iter().map(|(name, _)| export.folder().join(name));
    let outputs: Vec<PathBuf> = export.files().map(|(path, _)| path).chain(texts).collect();
    let outputs: Vec<&Path> = outputs.iter().map(PathBuf::as_path).collect();
    places(&outputs, &export.inputs())
}
