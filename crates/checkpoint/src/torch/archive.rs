//! The zip archives that PyTorch saves: entries that are stored as they are and can be read in place.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;

use rawzip::{
    CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipFileHeaderRecord,
    ZipLocator,
};

use super::super::Problem;
use super::super::file::DataFile;
use crate::Error;

/// The longest pickle that is read, in bytes; one of a model with 60000 tensors has 10 MB.
const PICKLE_LIMIT: u64 = 1 << 25;
/// The bytes that an archive begins with.
const MAGIC: [u8; 4] = *b"PK\x03\x04";
/// The most bytes that name and extra field of an entry can have.
const LOCAL_NAME_AND_EXTRA: usize = 2 * 0xffff;
/// What the files begin with that PyTorch saved before version 1.6: a pickle with a number that stands for them.
const OLD_MAGIC: [u8; 14] = *b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";

/// An archive whose entries have been checked.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) pickle: Vec<u8>,
    /// The numbers are in the byte order of big-endian machines.
    pub(super) big_endian: bool,
    /// Where the storages lie in the file, in bytes.
    pub(super) storages: HashMap<String, Range<u64>>,
}

/// Reads the directory of an archive and its pickle.
pub(super) fn open(file: &DataFile) -> Result<Archive, Error> {
    let fail = |problem| Error::in_file(file.path(), problem);
    let damaged = |error: rawzip::Error| fail(Problem::Zip(error.to_string()));
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
        let wrong = |what| fail(Problem::ZipEntry { entry: name.clone(), what });
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
            return Err(wrong("it is longer than 32 MiB, more than any checkpoint needs"));
        } else {
            archive.pickle = read(PICKLE_LIMIT)?;
            if rawzip::crc32(&archive.pickle) != entry.crc32() {
                return Err(wrong("its sum is wrong: the file is damaged"));
            }
        }
    }
    if archive.pickle.is_empty() {
        return Err(fail(Problem::NoPickle));
    }
    Ok(archive)
}

/// What the name of an entry says inside the archive's only folder, which is that of the first entry.
fn part_of_checkpoint<'n>(
    name: &'n str,
    folder: &mut Option<String>,
) -> Result<&'n str, &'static str> {
    let (first, rest) = name.split_once('/').ok_or("it lies in no folder")?;
    let outside = |part: &str| part.is_empty() || part == "." || part == "..";
    if name.split('/').any(outside) || name.contains(['\\', '\0']) {
        return Err("its name leads out of the archive");
    }
    if folder.get_or_insert_with(|| first.to_owned()) != first {
        return Err("it lies in another folder than the entries before it");
    }
    Ok(rest)
}

/// Only entries that can be read in place are.
fn check_stored(entry: &ZipFileHeaderRecord<'_>) -> Result<(), &'static str> {
    if entry.flags().is_encrypted() {
        Err("it is encrypted")
    } else if entry.compression_method() != CompressionMethod::STORE {
        Err("it is compressed, which PyTorch never does: unpack and pack it again")
    } else if entry.compressed_size_hint() != entry.uncompressed_size_hint() {
        Err("its two lengths differ although it is not compressed")
    } else {
        Ok(())
    }
}

/// Returns where the data of an entry lies in the file, if the header before it agrees with the directory. The buffer has
/// room for [`LOCAL_NAME_AND_EXTRA`].
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
        Err("the header before its data does not fit the archive's directory")
    })
}

/// Says what the file is if it is no archive.
fn check_magic(file: &DataFile) -> Result<(), Error> {
    let mut start = [0; OLD_MAGIC.len()];
    let known = start.len().min(usize::try_from(file.bytes()).unwrap_or(usize::MAX));
    file.read_at(0, &mut start[..known])?;
    let start = &start[..known];
    let problem = if start.starts_with(&MAGIC) {
        return Ok(());
    } else if start == OLD_MAGIC {
        Problem::OldTorch
    } else if start.starts_with(b"version https:") {
        Problem::LfsPointer
    } else {
        Problem::NoZip { start: start.escape_ascii().to_string() }
    };
    Err(Error::in_file(file.path(), problem))
}

/// The file as the archive's reader wants it.
struct Positions<'f>(&'f DataFile);

impl ReaderAt for Positions<'_> {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_some_at(offset, out)
    }
}
