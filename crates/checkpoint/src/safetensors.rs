//! The safetensors format: a JSON header with tensor names and byte ranges, followed by the data.
//!
//! Checks everything before reading any data, and more strictly than other readers: names are
//! unique, and the byte ranges tile the rest of the file exactly. Two readers can therefore not see
//! two different models in one file.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::data_type::DataType;
use super::file::DataFile;
use super::problem::Problem;
use super::stored::{Data, Entry};
use crate::{Error, SafetensorsProblem};

/// The longest header accepted, in bytes; the limit of the format's own library.
const HEADER_LIMIT: u64 = 100_000_000;

/// Returns the tensors of a file, sorted by name.
pub(super) fn read(file: &DataFile) -> Result<Vec<Entry>, Error> {
    let path = file.path();
    let fail = |problem: Problem| Error::in_file(path, problem);
    let need = |length: u64| {
        let (need, file) = (length.saturating_add(8), file.bytes());
        SafetensorsProblem::HeaderLength { need, file }.into()
    };
    if file.bytes() < 8 {
        return Err(fail(need(0)));
    }
    let mut length = [0; 8];
    file.read_at(0, &mut length)?;
    if length == *b"version " {
        return Err(fail(Problem::LfsPointer));
    }
    let length = u64::from_le_bytes(length);
    if length > file.bytes() - 8 {
        return Err(fail(need(length)));
    }
    if length > HEADER_LIMIT {
        return Err(fail(SafetensorsProblem::HeaderLimit { length, most: HEADER_LIMIT }.into()));
    }
    let mut text = vec![0; length as usize];
    file.read_at(8, &mut text)?;
    if text.first() != Some(&b'{') {
        let start = text[..text.len().min(16)].escape_ascii().to_string();
        return Err(fail(SafetensorsProblem::HeaderStart { start }.into()));
    }
    let header: Header = serde_json::from_slice(&text).map_err(|error| fail(error.into()))?;
    check(header, file, 8 + length)
}

fn check(header: Header, file: &DataFile, data: u64) -> Result<Vec<Entry>, Error> {
    let path = file.path();
    let mut ranges = Vec::with_capacity(header.0.len());
    let mut entries = Vec::with_capacity(header.0.len());
    for (name, raw) in header.0 {
        let fail = |problem| Error::of_tensor(path, &name, problem);
        let ty = DataType::from_name(&raw.dtype)
            .ok_or_else(|| fail(Problem::DataType(raw.dtype.clone())))?;
        let need = byte_length(&raw.shape, ty)
            .ok_or_else(|| fail(Problem::TooLarge(raw.shape.clone())))?;
        let (start, end) = raw.data_offsets;
        if end.checked_sub(start) != Some(need) {
            return Err(fail(SafetensorsProblem::DataLength { start, end, need }.into()));
        }
        ranges.push((start, end, entries.len()));
        let offset =
            data.checked_add(start).ok_or_else(|| fail(Problem::TooLarge(raw.shape.clone())))?;
        entries.push(Entry { name, ty, shape: raw.shape, data: Data::Range(offset) });
    }

    ranges.sort_unstable();
    let mut expected = 0;
    for (start, end, index) in ranges {
        if start != expected {
            let problem = SafetensorsProblem::NotContiguous { expected, found: start };
            return Err(Error::of_tensor(path, &entries[index].name, problem.into()));
        }
        expected = end;
    }
    let found = file.bytes() - data;
    if expected != found {
        return Err(Error::in_file(path, SafetensorsProblem::FileLength { expected, found }));
    }

    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(Error::of_tensor(path, &pair[0].name, Problem::Duplicate));
    }
    Ok(entries)
}

fn byte_length(shape: &[u64], ty: DataType) -> Option<u64> {
    shape.iter().try_fold(ty.bytes(), |bytes, dimension| bytes.checked_mul(*dimension))
}

/// The header entry of a tensor.
#[derive(Deserialize)]
struct Raw {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// All entries in file order, duplicates included: a map would keep only the last of them.
struct Header(Vec<(String, Raw)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a map from tensor names to descriptions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
