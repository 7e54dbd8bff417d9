//! The zip archives that PyTorch saves: entries that are stored as they are and can be read in place.

use std::collections::HashMap;
use std::io::Read;

use zip::{CompressionMethod, ZipArchive};

use super::super::Problem;
use super::super::file::DataFile;
use crate::Error;

/// The longest pickle that is read, in bytes; one of a model with 60000 tensors has 10 MB.
const PICKLE_LIMIT: u64 = 1 << 25;
/// The bytes that an archive begins with.
const MAGIC: [u8; 4] = *b"PK\x03\x04";
/// Bytes of the header before each entry, without name and extra field.
const LOCAL_HEADER: usize = 30;
/// The flag of entries whose lengths stand behind them.
const LENGTHS_BEHIND: u16 = 1 << 3;
/// What the files begin with that PyTorch saved before version 1.6: a pickle with a number that stands for them.
const OLD_MAGIC: [u8; 14] = *b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19";

/// An archive whose entries have been checked.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) pickle: Vec<u8>,
    /// The numbers are in the byte order of big-endian machines.
    pub(super) big_endian: bool,
    /// Where the storages lie in the file and how long they are, in bytes.
    pub(super) storages: HashMap<String, (u64, u64)>,
}

/// Read the directory of an archive and its pickle.
pub(super) fn open(file: &DataFile) -> Result<Archive, Error> {
    let fail = |problem| Error::in_file(file.path(), problem);
    check_magic(file)?;
    let damaged = |error: zip::result::ZipError| fail(Problem::Zip(error.to_string()));
    let mut zip = ZipArchive::new(file.stream()).map_err(damaged)?;
    let mut archive = Archive { pickle: Vec::new(), big_endian: false, storages: HashMap::new() };
    let mut prefix = None;
    let mut pickle = None;
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(damaged)?;
        let raw_name = entry.name_raw().to_vec();
        let name = String::from_utf8_lossy(&raw_name).into_owned();
        let wrong = |what| fail(Problem::ZipEntry { entry: name.clone(), what });
        let (folder, rest) = name.split_once('/').ok_or_else(|| wrong("it lies in no folder"))?;
        if *prefix.get_or_insert_with(|| folder.to_owned()) != folder {
            return Err(wrong("it lies in another folder than the entry before it"));
        }
        let outside = |part: &str| part.is_empty() || part == "." || part == "..";
        if name.split('/').any(outside) || name.contains(['\\', '\0']) {
            return Err(wrong("its name leads out of the archive"));
        }
        let key = rest.strip_prefix("data/");
        if key.is_none() && !["data.pkl", "byteorder"].contains(&rest) {
            continue;
        }
        if entry.encrypted() {
            return Err(wrong("it is encrypted"));
        }
        if entry.compression() != CompressionMethod::Stored {
            return Err(wrong(
                "it is compressed, which PyTorch never does: unpack and pack it again",
            ));
        }
        let bytes = entry.size();
        if entry.compressed_size() != bytes {
            return Err(wrong("its two lengths differ although it is not compressed"));
        }
        let header = entry.header_start();
        let end = entry.central_header_start();
        drop(entry);
        let offset = data_offset(file, header, bytes, &raw_name)?
            .filter(|offset| offset.checked_add(bytes).is_some_and(|last| last <= end));
        let offset = offset.ok_or_else(|| {
            wrong("the header before its data does not fit the archive's directory")
        })?;
        match key {
            Some(key) => {
                if archive.storages.insert(key.to_owned(), (offset, bytes)).is_some() {
                    return Err(wrong("the archive has two entries of this name"));
                }
            }
            None if rest == "byteorder" => {
                let mut order = vec![0; bytes.min(8) as usize];
                file.read_at(offset, &mut order)?;
                archive.big_endian = match &order[..] {
                    b"little" => false,
                    b"big" => true,
                    _ => return Err(wrong("it is neither \"little\" nor \"big\"")),
                };
            }
            None if pickle.is_some() => {
                return Err(wrong("the archive has two entries of this name"));
            }
            None if bytes > PICKLE_LIMIT => {
                return Err(wrong("it is longer than 32 MiB, more than any checkpoint needs"));
            }
            None => pickle = Some((index, bytes)),
        }
    }
    let (index, bytes) = pickle.ok_or_else(|| fail(Problem::NoPickle))?;
    archive.pickle.reserve_exact(bytes as usize);
    // Reading it this way checks its sum.
    let entry = zip.by_index(index).map_err(damaged)?;
    let read = entry.take(bytes.saturating_add(1)).read_to_end(&mut archive.pickle);
    read.map_err(|error| fail(Problem::Zip(format!("data.pkl: {error}"))))?;
    Ok(archive)
}

/// Say what the file is if it is no archive.
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

/// Where an entry's data begins by the header before it; `None` if that contradicts the directory.
fn data_offset(
    file: &DataFile,
    header: u64,
    bytes: u64,
    name: &[u8],
) -> Result<Option<u64>, Error> {
    let length = (LOCAL_HEADER + name.len()) as u64;
    if header.checked_add(length).is_none_or(|end| end > file.bytes()) {
        return Ok(None);
    }
    let mut local = vec![0; length as usize];
    file.read_at(header, &mut local)?;
    let half = |at: usize| u16::from_le_bytes([local[at], local[at + 1]]);
    let word = |at: usize| u64::from(half(at)) | u64::from(half(at + 2)) << 16;
    let (flags, method) = (half(6), half(8));
    // Lengths of 32 bits that are all ones stand in the extra field.
    let fits = |length: u64| {
        length == bytes || length == 0xffff_ffff || (length == 0 && flags & LENGTHS_BEHIND != 0)
    };
    let agrees = local.starts_with(&MAGIC)
        && method == 0
        && fits(word(18))
        && fits(word(22))
        && usize::from(half(26)) == name.len()
        && local[LOCAL_HEADER..] == *name;
    Ok(agrees.then(|| header + length + u64::from(half(28))))
}
