//! The zip archives that PyTorch saves: uncompressed entries that can be read in place.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;

use rawzip::{
    CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipFileHeaderRecord,
    ZipLocator,
};

use super::super::file::DataFile;
use super::TorchProblem;
use crate::Error;
use crate::Problem;

/// The longest pickle accepted, in bytes. One of a model with 60000 tensors has 10 MB.
const PICKLE_LIMIT: u64 = 1 << 25;
/// The magic bytes of an archive.
const MAGIC: [u8; 4] = *b"PK\x03\x04";
/// The maximum length of an entry's name and extra field together, in bytes.
const LOCAL_NAME_AND_EXTRA: usize = 2 * 0xffff;
/// The magic bytes of files from PyTorch before version 1.6: a pickle of a magic number.
const OLD_MAGIC: [u8; 14] = *b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";

/// An archive whose entries have been checked.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) pickle: Vec<u8>,
    /// Whether the numbers are big-endian.
    pub(super) big_endian: bool,
    /// The byte ranges of the storages in the file.
    pub(super) storages: HashMap<String, Range<u64>>,
}

/// Reads the directory of an archive and its pickle.
pub(super) fn open(file: &DataFile) -> Result<Archive, Error> {
    let fail = |problem| Error::in_file(file.path(), problem);
    let damaged = |error: rawzip::Error| fail(TorchProblem::Zip(error.to_string()));
    check_magic(file)?;
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let zip = ZipLocator::new().locate_in_reader(Positions(file), &mut buffer, file.bytes());
    let zip = zip.map_err(|(_, error)| damaged(error))?;

    let mut archive = Archive { pickle: Vec::new(), big_endian: false, storages: HashMap::new() };
    let mut local = vec![0; LOCAL_NAME_AND_EXTRA];
    let mut folder = None;
    let mut seen = HashSet::new();
    let mut entries = zip.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        let wrong = |what| fail(TorchProblem::ZipEntry { entry: name.clone(), what });
        let rest = part_of_checkpoint(&name, &mut folder).map_err(wrong)?;
        if !seen.insert(name.clone()) {
            return Err(wrong("the archive has two entries of this name"));
        }
        let key = rest.strip_prefix("data/");
        if key.is_none() && !["data.pkl", "byteorder"].contains(&rest) {
            continue;
        }
        check_stored(&entry).map_err(wrong)?;
        let place = place(&zip, &entry, &mut local).map_err(damaged)?.map_err(wrong)?;
        let read = |most: u64| {
            let mut bytes = vec![0; (place.end - place.start).min(most) as usize];
            file.read_at(place.start, &mut bytes).map(|()| bytes)
        };
        if let Some(key) = key {
            archive.storages.insert(key.to_owned(), place);
        } else if rest == "byteorder" {
            archive.big_endian = match &read(8)?[..] {
                b"little" => false,
                b"big" => true,
                _ => return Err(wrong("it is neither \"little\" nor \"big\"")),
            };
        } else if entry.uncompressed_size_hint() > PICKLE_LIMIT {
            return Err(wrong("it is longer than the limit of 32 MiB"));
        } else {
            archive.pickle = read(PICKLE_LIMIT)?;
            if rawzip::crc32(&archive.pickle) != entry.crc32() {
                return Err(wrong("its checksum is wrong: the file is damaged"));
            }
        }
    }
    if archive.pickle.is_empty() {
        return Err(fail(TorchProblem::NoPickle));
    }
    Ok(archive)
}

/// Returns the part of an entry's name inside the only folder of the archive, which is that of the
/// first entry.
fn part_of_checkpoint<'n>(
    name: &'n str,
    folder: &mut Option<String>,
) -> Result<&'n str, &'static str> {
    let (first, rest) = name.split_once('/').ok_or("it is not in a folder")?;
    let outside = |part: &str| part.is_empty() || part == "." || part == "..";
    if name.split('/').any(outside) || name.contains(['\\', '\0']) {
        return Err("its name leads out of the archive");
    }
    if folder.get_or_insert_with(|| first.to_owned()) != first {
        return Err("it is in a different folder than the entries before it");
    }
    Ok(rest)
}

/// Checks that an entry can be read in place.
fn check_stored(entry: &ZipFileHeaderRecord<'_>) -> Result<(), &'static str> {
    if entry.flags().is_encrypted() {
        Err("it is encrypted")
    } else if entry.compression_method() != CompressionMethod::STORE {
        Err("it is compressed, which PyTorch never does: repack it without compression")
    } else if entry.compressed_size_hint() != entry.uncompressed_size_hint() {
        Err("its two sizes differ although it is not compressed")
    } else {
        Ok(())
    }
}

/// Returns the offset of an entry's data in the file, if its local header matches the directory.
/// The buffer has room for [`LOCAL_NAME_AND_EXTRA`].
fn place(
    zip: &ZipArchive<Positions<'_>>,
    record: &ZipFileHeaderRecord<'_>,
    buffer: &mut [u8],
) -> Result<Result<Range<u64>, &'static str>, rawzip::Error> {
    let entry = zip.get_entry(record.wayfinder())?;
    let local = entry.local_header(buffer)?;
    let bytes = record.uncompressed_size_hint();
    let length =
        |length: u64| length == bytes || (length == 0 && record.flags().has_data_descriptor());
    let (start, end) = entry.compressed_data_range();
    let agrees = local.file_path().as_bytes() == record.file_path().as_bytes()
        && local.flags() == record.flags()
        && local.compression_method() == record.compression_method()
        && length(local.compressed_size_hint())
        && length(local.uncompressed_size_hint())
        && end <= zip.directory_offset();
    Ok(if agrees {
        Ok(start..end)
    } else {
        Err("its local header does not match the archive's directory")
    })
}

/// Reports the kind of file if it is not an archive.
fn check_magic(file: &DataFile) -> Result<(), Error> {
    let mut start = [0; OLD_MAGIC.len()];
    let known = start.len().min(usize::try_from(file.bytes()).unwrap_or(usize::MAX));
    file.read_at(0, &mut start[..known])?;
    let start = &start[..known];
    let problem: Problem = if start.starts_with(&MAGIC) {
        return Ok(());
    } else if start == OLD_MAGIC {
        TorchProblem::OldTorch.into()
    } else if start.starts_with(b"version https:") {
        Problem::LfsPointer
    } else {
        TorchProblem::NoZip { start: start.escape_ascii().to_string() }.into()
    };
    Err(Error::in_file(file.path(), problem))
}

/// Adapts the file to the interface of the archive reader.
struct Positions<'f>(&'f DataFile);

impl ReaderAt for Positions<'_> {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_some_at(offset, out)
    }
}
