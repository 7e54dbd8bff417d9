//! The outputs of a run, and what earlier runs have left for them.

use std::path::{Path, PathBuf};

use granule_reader::Source;

use super::identity::{self, Stamps};
use super::{Event, OutputFile, RunOptions, Target};
use crate::Error;
use crate::output::{self, Leftover, Output};

/// Opens the outputs and looks for files of earlier runs. Nothing is changed before all have been
/// checked.
pub(super) fn open(
    source: &dyn Source,
    stamps: &Stamps,
    files: Vec<OutputFile>,
    targets: &[Target<'_>],
    options: &RunOptions,
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Vec<Output>, Error> {
    let inputs = [source.inputs(), options.inputs.clone()].concat();
    let inputs: Vec<_> = inputs.iter().map(PathBuf::as_path).collect();
    let store = |path: &Path| options.uploads.as_ref().filter(|store| store.owns(path));
    let paths: Vec<_> = files.iter().map(|file| file.path.as_path()).collect();
    check_uploads(
        source,
        &paths.iter().copied().filter(|it| store(it).is_some()).collect::<Vec<_>>(),
    )?;
    let on_disk: Vec<_> = paths.iter().copied().filter(|path| store(path).is_none()).collect();
    if on_disk.len() < paths.len() && (options.verify || targets.iter().any(|it| it.calibrated)) {
        return Err(Error::NotOnDisk { path: paths[0].to_owned() });
    }
    let mut places = output::places(&on_disk, &inputs)?.into_iter();
    let identities = identity::identities(source, stamps, &files, targets, options);
    let mut leftovers = Vec::with_capacity(files.len());
    for (path, identity) in paths.into_iter().zip(identities) {
        leftovers.push(match store(path) {
            Some(store) => Leftover::find_upload(path, store, &identity, options.restart)?,
            None => {
                let place = places.next().expect("a place for each path");
                Leftover::find(place, identity, options.restart)?
            }
        });
    }
    let mut outputs = Vec::with_capacity(files.len());
    for (file, leftover) in files.into_iter().zip(leftovers) {
        let (output, removed) = Output::open(leftover, file.draft)?;
        if removed {
            on(Event::LeftoverRemoved { path: output.path() });
        }
        outputs.push(output);
    }
    Ok(outputs)
}

/// Refuses uploads to one name, and to what is read.
fn check_uploads(source: &dyn Source, paths: &[&Path]) -> Result<(), Error> {
    for (number, path) in paths.iter().enumerate() {
        let own = || path.to_path_buf();
        if paths[..number].contains(path) {
            return Err(Error::OutputTwice { path: own() });
        }
        if source.objects().iter().any(|(object, _)| object == path) {
            return Err(Error::OutputIsInput { path: own() });
        }
    }
    Ok(())
}
