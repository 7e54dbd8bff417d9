//! Opening paths that must lead to regular files.
//!
//! Opening a FIFO can wait forever, and opening a device can have effects. So the kind of the file
//! is checked before it is opened.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::Path;

/// Extension of the file (`.NAME.undo`, next to NAME) that an edit in place has until it is
/// complete.
pub const UNDO: &str = "undo";

/// A kind of file that is not a regular file.
// systems have more kinds of files
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecialFile {
    /// A directory.
    Directory,
    /// A FIFO, or an anonymous pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A symbolic link that was not followed.
    Link,
    /// Something unknown to this version.
    Other,
}

impl SpecialFile {
    /// The kind of a file; `None` for a regular file.
    pub fn of(kind: FileType) -> Option<Self> {
        match kind {
            kind if kind.is_file() => None,
            kind if kind.is_dir() => Some(Self::Directory),
            kind if kind.is_symlink() => Some(Self::Link),
            kind => Some(of_system(kind)),
        }
    }
}

impl std::fmt::Display for SpecialFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::Fifo => "a FIFO (pipe)",
            Self::Socket => "a socket",
            Self::CharacterDevice => "a character device",
            Self::BlockDevice => "a block device",
            Self::Link => "a symbolic link",
            Self::Other => "something special",
        })
    }
}

/// The error, wrapped in an [`io::Error`], for a path that does not lead to a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is {0}, not a file")]
pub struct NotAFile(pub SpecialFile);

impl From<NotAFile> for io::Error {
    fn from(error: NotAFile) -> Self {
        let kind = match error.0 {
            SpecialFile::Directory => io::ErrorKind::IsADirectory,
            _ => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

/// Opens a regular file, or a link to one, for reading.
///
/// # Errors
/// [`NotAFile`] if the path leads to something else, which is then not opened; the operating
/// system's errors.
pub fn open(path: &Path) -> io::Result<File> {
    check(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    // the path may lead elsewhere by now
    check(&file.metadata()?)?;
    Ok(file)
}

/// Reads all bytes of a regular file, or of a link to one.
///
/// # Errors
/// As [`open`], and the operating system's.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file, or a link to one, as a string.
///
/// # Errors
/// As [`read`], and if the bytes are not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Returns whether an edit in place of a file is going on or was interrupted: the file may then
/// have a part of the new header and a part of the old one.
pub fn has_unfinished_edit(path: &Path) -> bool {
    // the undo file lies next to the file that links lead to
    let is_link = fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
    let file = if is_link { fs::canonicalize(path) } else { Ok(path.to_owned()) };
    let Ok(file) = file else { return false };
    let Some(name) = file.file_name() else { return false };
    let mut undo = std::ffi::OsString::from(".");
    undo.push(name);
    undo.push(".");
    undo.push(UNDO);
    fs::symlink_metadata(file.with_file_name(undo)).is_ok()
}

/// Refuses a file whose edit is not complete.
pub(crate) fn check_edited(path: &Path) -> Result<(), crate::Error> {
    match has_unfinished_edit(path) {
        true => Err(crate::Error::UnfinishedEdit { path: path.to_owned() }),
        false => Ok(()),
    }
}

fn check(about: &fs::Metadata) -> io::Result<()> {
    SpecialFile::of(about.file_type()).map_or(Ok(()), |kind| Err(NotAFile(kind).into()))
}

#[cfg(unix)]
fn of_system(kind: FileType) -> SpecialFile {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_fifo() => SpecialFile::Fifo,
        kind if kind.is_socket() => SpecialFile::Socket,
        kind if kind.is_char_device() => SpecialFile::CharacterDevice,
        kind if kind.is_block_device() => SpecialFile::BlockDevice,
        _ => SpecialFile::Other,
    }
}

#[cfg(not(unix))]
fn of_system(_: FileType) -> SpecialFile {
    SpecialFile::Other
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn edits_that_are_not_complete_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("disk")).unwrap();
        fs::write(path("disk/file"), "text").unwrap();
        symlink("disk/file", path("link")).unwrap();
        symlink("nowhere", path("nothing")).unwrap();
        for name in ["disk/file", "link", "nothing", "absent"] {
            assert!(!has_unfinished_edit(&path(name)), "{name}");
        }
        fs::write(path("disk/.file.undo"), "").unwrap();
        assert!(has_unfinished_edit(&path("disk/file")) && has_unfinished_edit(&path("link")));
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        let _socket = UnixListener::bind(path("socket")).unwrap();
        fs::write(path("file"), "text").unwrap();
        for name in ["fifo", "file"] {
            symlink(name, path(&format!("link to {name}"))).unwrap();
        }
        for (name, kind) in [
            ("fifo", SpecialFile::Fifo),
            ("link to fifo", SpecialFile::Fifo),
            ("socket", SpecialFile::Socket),
            (".", SpecialFile::Directory),
        ] {
            let error = read(&path(name)).unwrap_err();
            let found = error.get_ref().and_then(|error| error.downcast_ref::<NotAFile>());
            assert_eq!(found, Some(&NotAFile(kind)), "{name}: {error}");
        }
        for name in ["file", "link to file"] {
            assert_eq!(read_to_string(&path(name)).unwrap(), "text");
        }
        assert_eq!(open(&path("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
