use std::path::Path;

use super::Place;
use crate::Error;

/// Checks that the disks have room for the missing bytes of each output.
pub(crate) fn check_space<'p>(
    outputs: impl Iterator<Item = (&'p Place, u64)>,
) -> Result<(), Error> {
    let mut needed: Vec<(&Path, u64)> = Vec::new();
    for (place, bytes) in outputs {
        let folder = place.folder();
        match needed.iter_mut().find(|(other, _)| on_one_disk(other, folder)) {
            Some((_, sum)) => *sum = sum.saturating_add(bytes),
            None => needed.push((folder, bytes)),
        }
    }
    for (folder, needed) in needed {
        // if a file system cannot report its free space, that is no reason to refuse
        let free = fs4::available_space(folder).unwrap_or(u64::MAX);
        if free < needed {
            return Err(Error::Space { folder: folder.to_owned(), needed, free });
        }
    }
    Ok(())
}

#[cfg(unix)]
fn on_one_disk(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let disk = |folder: &Path| folder.metadata().ok().map(|about| about.dev());
    a == b || disk(a).is_some_and(|number| disk(b) == Some(number))
}

#[cfg(not(unix))]
fn on_one_disk(a: &Path, b: &Path) -> bool {
    a == b
}
