use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use super::place::places;
use super::{permissions, sync_folder};
use crate::Error;

/// A file that gets its name only when it is complete, and that no later run continues.
///
/// An existing file at the path stays unchanged until then. Dropping it removes what was written.
#[derive(Debug)]
pub struct WholeFile {
    place: super::Place,
    out: BufWriter<tempfile::NamedTempFile>,
}

impl WholeFile {
    /// Begins a file for this path. None of `inputs` may be replaced.
    ///
    /// # Errors
    /// If the path cannot be an output, is that of an input, or its folder cannot be written to.
    pub fn create(path: &Path, inputs: &[&Path]) -> Result<Self, Error> {
        let place = places(&[path], inputs)?.pop().expect("a place for the path");
        let folder = place.folder();
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // those of any new file, from which the system takes what the user does not want
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.prefix(".granule-").tempfile_in(folder).map_err(|source| {
            let (path, folder) = (path.to_owned(), folder.to_owned());
            Error::NotWritable { path, folder, source }
        })?;
        if let Some(old) = &place.old {
            permissions::narrow_file(file.as_file(), old).map_err(|source| place.io(source))?;
        }
        Ok(Self { place, out: BufWriter::new(file) })
    }

    /// Flushes the file to the disk and gives it its name.
    ///
    /// # Errors
    /// If the operating system reports an error.
    pub fn finish(mut self) -> Result<(), Error> {
        let place = self.place;
        let io = |source| place.io(source);
        self.out.flush().map_err(io)?;
        let file = self.out.into_inner().map_err(|error| io(error.into_error()))?;
        if let Some(old) = &place.old {
            permissions::keep(file.as_file(), old).map_err(io)?;
        }
        file.as_file().sync_all().map_err(io)?;
        file.persist(&place.file).map_err(|error| io(error.error))?;
        sync_folder(place.folder()).map_err(io)
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Seek for WholeFile {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.out.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_seen_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gguf");
        fs::write(&path, "old").unwrap();
        let mut file = WholeFile::create(&path, &[]).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let mut file = WholeFile::create(&path, &[]).unwrap();
        file.write_all(b"new").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = WholeFile::create(&path, &[&path]).unwrap_err();
        assert!(matches!(error, Error::OutputIsInput { .. }), "{error}");
        let other = folder.path().join("b.gguf");
        WholeFile::create(&other, &[&path]).unwrap().finish().unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&other).unwrap().permissions().mode();
            let plain = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, plain & 0o777, "as any new file");
        }
    }
}
