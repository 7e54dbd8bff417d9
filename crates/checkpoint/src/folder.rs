//! Where the files of a checkpoint are.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use granule_reader::ReadAt;

/// The files of a checkpoint: a folder on a disk, or anything else that has named files.
///
/// Names are relative to the folder and use slashes. [`Directory`] is a folder on a disk.
pub trait Folder: Debug + Send + Sync {
    /// The path of the folder, for messages. Paths of files are this path joined with their names.
    fn path(&self) -> &Path;

    /// The last component of the folder's path, which may be the model's name; empty if it has
    /// none.
    ///
    /// # Errors
    /// If the path cannot be resolved.
    fn name(&self) -> io::Result<String>;

    /// [`name`](Self::name) after symbolic links are resolved.
    fn real_name(&self) -> String {
        self.name().unwrap_or_default()
    }

    /// Returns the names of the files in `folder`, or in the whole if that is empty. Leaves out
    /// folders, and names that are not UTF-8.
    ///
    /// # Errors
    /// If there is no such folder, or it cannot be read.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Whether a file or folder has this name.
    fn exists(&self, name: &str) -> bool;

    /// Reads a whole file.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be read.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Opens a file to read it at any position.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>>;

    /// The target of `name`, if that is a symbolic link whose target does not exist.
    fn broken_link(&self, name: &str) -> Option<PathBuf> {
        let _ = name;
        None
    }

    /// The path of the folder, if it is on a disk of this machine.
    fn on_disk(&self) -> Option<&Path> {
        None
    }
}

/// A folder on a disk.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// The folder at a path, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl Folder for Directory {
    fn path(&self) -> &Path {
        &self.0
    }

    /// That of the path as it was given, or of the real path if that ends in dots.
    fn name(&self) -> io::Result<String> {
        let real;
        let name = match self.0.file_name() {
            Some(name) => name,
            None => {
                real = self.0.canonicalize()?;
                real.file_name().unwrap_or_default()
            }
        };
        Ok(name.to_string_lossy().into_owned())
    }

    fn real_name(&self) -> String {
        let real = self.0.canonicalize().unwrap_or_else(|_| self.0.clone());
        real.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.0.join(folder))? {
            let entry = entry?;
            if !entry.path().is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    fn exists(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        granule_reader::file::read(&self.0.join(name))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(granule_reader::file::open(&self.0.join(name))?))
    }

    fn broken_link(&self, name: &str) -> Option<PathBuf> {
        let path = self.0.join(name);
        fs::read_link(&path).ok().filter(|_| !path.exists())
    }

    fn on_disk(&self) -> Option<&Path> {
        Some(&self.0)
    }
}

/// A folder without files.
#[derive(Debug)]
pub(crate) struct Nowhere;

impl Folder for Nowhere {
    fn path(&self) -> &Path {
        Path::new("")
    }

    fn name(&self) -> io::Result<String> {
        Ok(String::new())
    }

    fn list(&self, _: &str) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn exists(&self, _: &str) -> bool {
        false
    }

    fn read(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn open(&self, _: &str) -> io::Result<Box<dyn ReadAt>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

impl dyn Folder + '_ {
    /// The file of this name, which need not exist.
    pub(crate) fn at(&self, name: impl Into<String>) -> Named<'_> {
        let name = name.into();
        Named { folder: self, path: self.path().join(&name), name }
    }
}

/// A file of a folder, by its name.
#[derive(Clone, Debug)]
pub(crate) struct Named<'f> {
    folder: &'f dyn Folder,
    name: String,
    path: PathBuf,
}

impl Named<'_> {
    /// Its name in the folder.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The path of the file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn exists(&self) -> bool {
        self.folder.exists(&self.name)
    }

    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        self.folder.read(&self.name)
    }

    pub(crate) fn open(&self) -> io::Result<Box<dyn ReadAt>> {
        self.folder.open(&self.name)
    }
}

/// A file on a disk, whose path must be UTF-8.
#[cfg(test)]
pub(crate) fn at(path: &Path) -> Named<'static> {
    let folder: &'static Directory = Box::leak(Box::new(Directory::new("")));
    (folder as &dyn Folder).at(path.to_str().expect("the path is UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_on_a_disk() {
        let temporary = tempfile::tempdir().expect("a folder");
        fs::create_dir(temporary.path().join("below")).expect("another");
        for (name, text) in [("a.txt", "one"), ("below/b.txt", "two")] {
            fs::write(temporary.path().join(name), text).expect("a file");
        }
        let folder = Directory::new(temporary.path());
        assert_eq!(folder.list("").expect("names"), ["a.txt"]);
        assert_eq!(folder.list("below").expect("names"), ["b.txt"]);
        assert!(folder.list("none").is_err());
        assert!(folder.exists("below/b.txt") && !folder.exists("b.txt"));
        assert_eq!(folder.read("below/b.txt").expect("content"), b"two");
        let mut out = [0; 2];
        folder.open("a.txt").expect("a file").read_exact_at(&mut out, 1).expect("two bytes");
        assert_eq!(&out, b"ne");
        let name = temporary.path().file_name().expect("a name").to_string_lossy();
        assert_eq!(folder.name().expect("a name"), name);
        assert_eq!(Directory::new(temporary.path().join("below/..")).name().expect("a name"), name);
    }
}
