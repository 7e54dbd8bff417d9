//! Permissions of outputs: only those who could read the replaced file can read the new one.

use std::fs::{File, Metadata, OpenOptions};
use std::io;

/// Limits the permissions of a new file: nobody but the owner gets more rights than to the old one.
#[cfg(unix)]
pub(super) fn narrow(options: &mut OpenOptions, old: &Metadata) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(while_writing(old));
}

/// Does the same for an existing temporary file.
#[cfg(unix)]
pub(super) fn narrow_file(file: &File, old: &Metadata) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(Permissions::from_mode(while_writing(old)))
}

/// Gives a file the permissions of another and, where the system allows it, the owner and the
/// group.
#[cfg(unix)]
pub(super) fn keep(file: &File, old: &Metadata) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let new = file.metadata()?;
    let mut group = new.gid();
    if (new.uid(), group) != (old.uid(), old.gid()) {
        // only root may change the owner; members of a group may set that group
        let given = fchown(file, Some(old.uid()), Some(old.gid()));
        if given.or_else(|_| fchown(file, None, Some(old.gid()))).is_ok() {
            group = old.gid();
        }
    }
    let mut mode = old.mode() & 0o777;
    if group != old.gid() {
        // a different group gets no more rights than everybody
        mode &= !0o070 | (mode & 0o007) << 3;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

/// Returns the permissions of a temporary file. A run that continues this one must be able to write
/// to it.
#[cfg(unix)]
fn while_writing(old: &Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt;
    old.mode() & 0o777 | 0o600
}

/// Does nothing: on other systems the permissions come from the folder.
#[cfg(not(unix))]
pub(super) fn narrow(_: &mut OpenOptions, _: &Metadata) {}

#[cfg(not(unix))]
pub(super) fn narrow_file(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn keep(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}
