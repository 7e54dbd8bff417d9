//! The target of an output path, determined before anything is opened or created.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use granule_reader::file::{SpecialFile, UNDO};

use super::journal::remove_if_there;
use super::{beside, folder, not_in_the_way, permissions};
use crate::Error;

/// Largest number of symbolic links that are followed in a row, as in operating systems.
const MOST_LINKS: usize = 40;

/// Extensions of the temporary file and of the journal.
const PART: &str = "part";
const JOURNAL: &str = "resume";

/// Extensions of all files that a run can have next to its output.
const HIDDEN: [&str; 5] = [PART, JOURNAL, "joining", "join", UNDO];

/// The place of an output: an unused path, a regular file, or the end of symbolic links to either.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The path as given.
    pub(super) path: PathBuf,
    /// The file to create or replace: `path`, or the target of its links.
    pub(super) file: PathBuf,
    /// Metadata of the file to replace, if there is one.
    pub(super) old: Option<Metadata>,
}

impl Place {
    /// Finds the target of a path, without opening it.
    ///
    /// # Errors
    /// If the target is something that a file cannot replace, or its folder does not exist.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        if path.as_os_str().is_empty() {
            return Err(Error::NoPath);
        }
        if path == Path::new("-") {
            return Err(Error::StandardOutput);
        }
        let place = |file, old| Ok(Self { path: path.to_owned(), file, old });
        let mut file = path.to_owned();
        for _ in 0..=MOST_LINKS {
            let about = match fs::symlink_metadata(&file) {
                Err(error) if is_absent(&error) => {
                    // some links in /proc have targets without a path: only the system can follow
                    // them
                    if let Ok(about) = fs::metadata(path) {
                        not_special(path, &file, &about)?;
                    }
                    exists(path, parent(&file))?;
                    return place(file, None);
                }
                other => other.map_err(Error::io(path))?,
            };
            if !about.is_symlink() {
                not_special(path, &file, &about)?;
                return place(file, Some(about));
            }
            let target = fs::read_link(&file).map_err(Error::io(path))?;
            file = file.with_file_name(target);
        }
        Err(Error::LinkLoop { path: path.to_owned() })
    }

    /// Returns the path as it was given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of the file.
    pub(crate) fn folder(&self) -> &Path {
        folder(&self.file)
    }

    /// Returns the temporary name.
    pub(super) fn part(&self) -> PathBuf {
        beside(&self.file, PART)
    }

    /// Returns the name of the journal.
    pub(super) fn journal(&self) -> PathBuf {
        beside(&self.file, JOURNAL)
    }

    /// Creates the temporary file. Only those who may read the replaced file may read it.
    pub(super) fn create(&self) -> Result<File, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        if let Some(old) = &self.old {
            permissions::narrow(&mut options, old);
        }
        options.open(self.part()).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                let (path, folder) = (self.path.clone(), self.folder().to_owned());
                Error::NotWritable { path, folder, source }
            }
            _ => self.io(source),
        })
    }

    /// Gives the temporary file the permissions of the file that it replaces, and its final name.
    pub(super) fn publish(&self, part: &File) -> Result<(), Error> {
        self.publish_from(&self.part(), part)
    }

    /// Does the same for a file with another temporary name.
    pub(super) fn publish_from(&self, name: &Path, part: &File) -> Result<(), Error> {
        // the target of the path may have changed since
        let now = Self::of(&self.path)?;
        if now.file != self.file {
            return Err(Error::OutputMoved { path: self.path.clone() });
        }
        if let Some(old) = &now.old {
            permissions::keep(part, old).map_err(|source| self.io(source))?;
        }
        fs::rename(name, &self.file).map_err(|source| self.io(source))?;
        // it was of the file that is gone
        remove_if_there(&beside(&self.file, UNDO)).map_err(|source| self.io(source))
    }

    /// Wraps an operating system error about this output.
    pub(super) fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

/// Checks that a path can be an output: unused, a regular file, or a symbolic link to either, in a
/// folder that exists. Nothing is opened.
///
/// # Errors
/// If it cannot. The error names the target of the path.
pub fn check_output(path: &Path) -> Result<(), Error> {
    Place::of(path).map(|_| ())
}

/// Checks that a path can be a folder for outputs: it is a folder, or one can be created there.
pub(crate) fn check_folder(path: &Path) -> Result<(), Error> {
    if path.as_os_str().is_empty() {
        return Err(Error::NoPath);
    }
    let found = path.ancestors().find(|path| fs::symlink_metadata(path).is_ok());
    match found {
        Some(found) => exists(path, found),
        None => Ok(()),
    }
}

/// Returns the places of all outputs of a run. No output may be an input, or the file or temporary
/// file of another output.
pub(crate) fn places(paths: &[&Path], inputs: &[&Path]) -> Result<Vec<Place>, Error> {
    let inputs: Vec<_> = inputs.iter().map(|path| Known::of(path)).collect();
    let mut places: Vec<Place> = Vec::new();
    let mut outputs: Vec<Known> = Vec::new();
    for path in paths {
        let place = Place::of(path)?;
        let own = Known { path: real(&place.file), about: place.old.clone() };
        if inputs.iter().any(|input| input.is(&own)) {
            return Err(Error::OutputIsInput { path: place.path });
        }
        if outputs.iter().any(|other| other.is(&own)) {
            return Err(Error::OutputTwice { path: place.path });
        }
        let blocks = |other: &&Known| own.hides(other) || other.hides(&own);
        let input = inputs.iter().find(|input| own.hides(input));
        if let Some(other) = input.or_else(|| outputs.iter().find(blocks)) {
            return Err(Error::InTheWay { path: place.path, part: other.path.clone() });
        }
        not_in_the_way(&place, &place.part())?;
        not_in_the_way(&place, &place.journal())?;
        places.push(place);
        outputs.push(own);
    }
    Ok(places)
}

/// A file: its path without links, and its metadata if it exists.
struct Known {
    path: PathBuf,
    about: Option<Metadata>,
}

impl Known {
    fn of(path: &Path) -> Self {
        let path = fs::canonicalize(path).unwrap_or_else(|_| real(path));
        Self { about: fs::metadata(&path).ok(), path }
    }

    /// Returns whether both are the same file, perhaps under two names.
    fn is(&self, other: &Self) -> bool {
        self.path == other.path
            || self.about.as_ref().zip(other.about.as_ref()).is_some_and(|(own, theirs)| {
                own.is_file() && theirs.is_file() && same((&self.path, own), (&other.path, theirs))
            })
    }

    /// Returns whether the other has a name that a run for this one writes to.
    fn hides(&self, other: &Self) -> bool {
        HIDDEN.iter().any(|end| beside(&self.path, end) == other.path)
    }
}

#[cfg(unix)]
fn same((_, own): (&Path, &Metadata), (_, theirs): (&Path, &Metadata)) -> bool {
    use std::os::unix::fs::MetadataExt;
    (own.dev(), own.ino()) == (theirs.dev(), theirs.ino())
}

#[cfg(not(unix))]
fn same((own, _): (&Path, &Metadata), (theirs, _): (&Path, &Metadata)) -> bool {
    same_file::is_same_file(own, theirs).unwrap_or(false)
}

/// Returns the path with the links in its folder resolved. The last name may be absent or a link.
fn real(path: &Path) -> PathBuf {
    match (fs::canonicalize(folder(path)), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Returns the folder that must exist for a path that does not.
fn parent(path: &Path) -> &Path {
    let bytes = path.as_os_str().as_encoded_bytes();
    let names_a_folder =
        bytes.last().is_some_and(|byte| std::path::is_separator(char::from(*byte)));
    if names_a_folder { path } else { folder(path) }
}

/// Checks that a folder exists and is a folder.
fn exists(path: &Path, folder: &Path) -> Result<(), Error> {
    // without a trailing separator, which would give a different error for a file
    let folder: PathBuf = folder.components().collect();
    let kind = match fs::metadata(&folder) {
        Ok(about) if about.is_dir() => return Ok(()),
        Ok(about) => SpecialFile::of(about.file_type()),
        Err(_) if fs::symlink_metadata(&folder).is_ok() => Some(SpecialFile::Link),
        Err(error) if is_absent(&error) => {
            return Err(Error::NoFolder { path: path.to_owned(), folder });
        }
        Err(error) => return Err(Error::io(path)(error)),
    };
    Err(Error::NotAFolder { path: path.to_owned(), folder, kind })
}

fn not_special(path: &Path, file: &Path, about: &Metadata) -> Result<(), Error> {
    let Some(kind) = SpecialFile::of(about.file_type()) else { return Ok(()) };
    let link = (file != path).then(|| file.to_owned());
    Err(Error::OutputIsSpecial { path: path.to_owned(), link, kind })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    /// Creates a folder with one of each kind, and links to them.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("file"), "old").unwrap();
        fs::write(path("other"), "old").unwrap();
        fs::hard_link(path("file"), path("hard")).unwrap();
        assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        drop(UnixListener::bind(path("socket")).unwrap());
        for (link, target) in [
            ("to file", "file"),
            ("to link", "to file"),
            ("to fifo", "fifo"),
            ("to folder", "folder"),
            ("to nothing", "folder/new"),
            ("to nowhere", "nowhere/new"),
            ("round", "and round"),
            ("and round", "round"),
        ] {
            symlink(target, path(link)).unwrap();
        }
        folder
    }

    #[test]
    fn every_kind_of_path_is_told() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        let of = |name: &str| Place::of(&path(name)).map(|place| (place.file, place.old.is_some()));
        for (name, file, old) in [
            ("file", "file", true),
            ("new", "new", false),
            ("to file", "file", true),
            ("to link", "file", true),
            ("to nothing", "folder/new", false),
            ("to folder/new", "to folder/new", false),
        ] {
            assert_eq!(of(name).unwrap(), (path(file), old), "{name}");
        }
        for (name, message) in [
            ("folder", "folder: this is a directory; give the name of a file"),
            ("folder/", "folder/: this is a directory; give the name of a file"),
            ("fifo", "fifo: this is a FIFO (pipe), which a file cannot replace"),
            ("socket", "socket: this is a socket, which a file cannot replace"),
            ("to fifo", "fifo, a FIFO (pipe), which a file cannot replace; give another name"),
            ("to folder", "folder, a directory; give the name of a file"),
            ("round", "round: the symbolic links form a loop"),
            ("to nowhere", "nowhere does not exist"),
            ("absent/new", "absent does not exist; create it first"),
            ("absent/", "absent does not exist; create it first"),
            ("file/new", "file is a file, not a folder"),
            ("fifo/new", "fifo is a FIFO (pipe), not a folder"),
            ("file/", "file is a file, not a folder"),
        ] {
            let found = of(name).unwrap_err().to_string();
            assert!(found.contains(message), "{name}: {found}");
        }
        let message = Place::of(Path::new("-")).unwrap_err().to_string();
        assert!(message.contains("standard output") && message.contains("./-"), "{message}");
        assert!(Place::of(Path::new("./-")).is_ok());
        assert!(matches!(Place::of(Path::new("")), Err(Error::NoPath)));
        // still there, with the same kind
        assert!(!fs::symlink_metadata(path("fifo")).unwrap().is_file());
    }

    #[test]
    fn folders_of_outputs() {
        let folder = folder();
        let of = |name: &str| check_folder(&folder.path().join(name));
        for name in ["folder", "folder/", "to folder", "new", "new/in/new", "to folder/new"] {
            assert!(of(name).is_ok(), "{name}");
        }
        for (name, message) in [
            ("file", "file is a file, not a folder"),
            ("file/in/file", "file is a file, not a folder"),
            ("fifo", "fifo is a FIFO (pipe), not a folder"),
            ("to nothing", "to nothing is a symbolic link that leads nowhere"),
        ] {
            let found = of(name).unwrap_err().to_string();
            assert!(found.contains(message), "{name}: {found}");
        }
    }

    #[test]
    fn outputs_must_not_meet_each_other_or_an_input() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        let of = |outputs: &[&str], inputs: &[&str]| {
            let [outputs, inputs] =
                [outputs, inputs].map(|all| all.iter().map(|name| path(name)).collect::<Vec<_>>());
            let [outputs, inputs] =
                [&outputs, &inputs].map(|all| all.iter().map(PathBuf::as_path).collect::<Vec<_>>());
            places(&outputs, &inputs).map(|places| places.len())
        };
        assert_eq!(of(&["file", "other", "new", "to nothing"], &["folder", "fifo"]).unwrap(), 4);
        for output in ["file", "hard", "to file", "to link", "folder/../file"] {
            for input in ["file", "hard", "to file", "to folder/../file"] {
                let found = of(&["new", output], &["other", input]).unwrap_err();
                assert!(matches!(found, Error::OutputIsInput { .. }), "{output} {input}: {found}");
                let found = of(&[output, "new", input], &[]).unwrap_err();
                assert!(matches!(found, Error::OutputTwice { .. }), "{output} {input}: {found}");
            }
        }
        for pair in [["to nothing", "folder/new"], ["new", "folder/../new"]] {
            assert!(matches!(of(&pair, &[]), Err(Error::OutputTwice { .. })), "{pair:?}");
        }
        for hidden in [".file.part", ".file.resume"] {
            assert!(matches!(of(&["to file"], &[hidden]), Err(Error::InTheWay { .. })));
            assert!(matches!(of(&["file", hidden], &[]), Err(Error::InTheWay { .. })));
            assert!(matches!(of(&[hidden, "file"], &[]), Err(Error::InTheWay { .. })));
        }
    }
}
