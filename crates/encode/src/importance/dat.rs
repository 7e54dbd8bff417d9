use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{ColumnSums, Importance, ImportanceError, ImportanceSums};

/// Parses the older format, little-endian: the number of entries; for each entry its name, number
/// of calls, number of values and values; then, optionally, the number of chunks and the name of
/// the data set.
pub(super) fn parse(bytes: &[u8]) -> Result<Importance, ImportanceError> {
    let Parsed { datasets, chunks, entries } = entries(bytes)?;
    let means = |(name, (calls, values)): (String, (i32, Vec<f32>))| {
        let weights = if calls > 0 {
            values.iter().map(|value| value / calls as f32).collect()
        } else {
            values
        };
        (name, weights)
    };
    let entries = entries.into_iter().map(means).collect();
    Ok(Importance { file: String::new(), datasets, chunks, chunk_tokens: 0, entries })
}

/// As [`parse`]. The values are sums over as many rows as there were calls.
pub(super) fn parse_sums(bytes: &[u8]) -> Result<ImportanceSums, ImportanceError> {
    let Parsed { datasets, chunks, entries } = entries(bytes)?;
    let sums = |(name, (calls, values)): (String, (i32, Vec<f32>))| {
        let squares = values.into_iter().map(f64::from).collect();
        (name, ColumnSums { squares, sums: None, rows: vec![calls.max(1).unsigned_abs().into()] })
    };
    let entries = entries.into_iter().map(sums).collect();
    Ok(ImportanceSums { datasets, chunks, chunk_tokens: 0, entries })
}

/// Writes what [`parse_sums`] reads: mean squares times the number of chunks. A matrix that no row
/// reached has equal weights.
pub(super) fn write_sums(sums: &ImportanceSums, mut out: impl Write) -> io::Result<()> {
    let fits = |number: usize| {
        i32::try_from(number).map_err(|_| io::Error::other("more values than the form can hold"))
    };
    let chunk_tokens = u64::from(sums.chunk_tokens.max(1));
    let mut bytes = Vec::new();
    // an entry without any row says nothing
    let entries = sums.entries.iter().filter(|(_, entry)| entry.share() > 0.0);
    bytes.extend(fits(entries.clone().count())?.to_le_bytes());
    for (name, entry) in entries {
        bytes.extend(fits(name.len())?.to_le_bytes());
        bytes.extend(name.as_bytes());
        let most = entry.rows.iter().max().copied().unwrap_or_default();
        let calls = fits(usize::try_from(most.div_ceil(chunk_tokens)).unwrap_or(usize::MAX))?;
        bytes.extend(calls.to_le_bytes());
        bytes.extend(fits(entry.squares.len())?.to_le_bytes());
        let [squares, rows] = entry.stored();
        let run = squares.len() / rows.len().max(1);
        for (squares, rows) in squares.chunks(run.max(1)).zip(rows) {
            for square in squares {
                let mean = if rows > 0.0 { square / rows } else { 1.0 };
                bytes.extend((mean * calls as f32).to_le_bytes());
            }
        }
    }
    bytes.extend(sums.chunks.to_le_bytes());
    let dataset = sums.datasets.last().map_or("", String::as_str);
    bytes.extend(fits(dataset.len())?.to_le_bytes());
    bytes.extend(dataset.as_bytes());
    out.write_all(&bytes)
}

struct Parsed {
    datasets: Vec<String>,
    chunks: u32,
    /// Number of calls and values by name.
    entries: BTreeMap<String, (i32, Vec<f32>)>,
}

fn entries(bytes: &[u8]) -> Result<Parsed, ImportanceError> {
    let mut rest = Reader { bytes, offset: 0 };
    let count = rest.integer("the number of entries")?;
    if count < 1 {
        return Err(ImportanceError::Empty);
    }
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let name = rest.text("a name")?;
        let calls = rest.integer("a number of calls")?;
        let length = rest.length("a number of values")?;
        if length == 0 {
            return Err(rest.error("a number of values"));
        }
        let bytes = length.checked_mul(4).ok_or_else(|| rest.error("values"))?;
        let values = rest.take(bytes, "values")?;
        let values = values.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        // if a name occurs twice, the last entry wins
        entries.insert(name, (calls, values.collect()));
    }
    // the rest is optional and may end anywhere
    let chunks = rest.integer("chunks").ok().and_then(|chunks| u32::try_from(chunks).ok());
    let dataset = chunks.and_then(|_| rest.text("data set").ok()).filter(|name| !name.is_empty());
    let datasets = dataset.into_iter().collect();
    Ok(Parsed { datasets, chunks: chunks.unwrap_or(0), entries })
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, what: &'static str) -> ImportanceError {
        ImportanceError::Dat { what, offset: self.offset }
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], ImportanceError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(|| self.error(what))?;
        self.bytes = rest;
        self.offset += length;
        Ok(taken)
    }

    fn integer(&mut self, what: &'static str) -> Result<i32, ImportanceError> {
        let bytes = self.take(4, what)?;
        Ok(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn length(&mut self, what: &'static str) -> Result<usize, ImportanceError> {
        let error = self.error(what);
        usize::try_from(self.integer(what)?).map_err(|_| error)
    }

    /// Reads a string that follows its length, up to the first NUL.
    fn text(&mut self, what: &'static str) -> Result<String, ImportanceError> {
        let length = self.length(what)?;
        let bytes = self.take(length, what)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        let integer = |bytes: &mut Vec<u8>, n: i32| bytes.extend(n.to_le_bytes());
        integer(&mut bytes, 3);
        for (name, calls, values) in
            [("a", 2, [9.0_f32, 9.0]), ("b", 0, [3.0, 4.0]), ("a", 4, [1.0, 2.0])]
        {
            integer(&mut bytes, name.len() as i32);
            bytes.extend(name.as_bytes());
            integer(&mut bytes, calls);
            integer(&mut bytes, 2);
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        bytes
    }

    #[test]
    fn entries_and_tail() {
        let mut bytes = file();
        let importance = Importance::parse(&bytes, "x.dat").unwrap();
        assert_eq!(importance.get("a"), Some(&[0.25, 0.5][..]));
        assert_eq!(importance.get("b"), Some(&[3.0, 4.0][..]));
        assert_eq!((importance.chunks(), importance.datasets().len()), (0, 0));
        bytes.extend(12_i32.to_le_bytes());
        assert_eq!(Importance::parse(&bytes, "").unwrap().chunks(), 12);
        bytes.extend(5_i32.to_le_bytes());
        bytes.extend(b"a.txt");
        assert_eq!(Importance::parse(&bytes, "").unwrap().datasets(), ["a.txt"]);
    }

    #[test]
    fn hostile_bytes() {
        let bytes = file();
        for length in 0..bytes.len() {
            assert!(Importance::parse(&bytes[..length], "").is_err(), "{length}");
        }
        for position in (0..bytes.len()).step_by(4) {
            for number in [-1, 0, i32::MAX, i32::MIN] {
                let mut damaged = bytes.clone();
                let end = (position + 4).min(bytes.len());
                damaged[position..end].copy_from_slice(&number.to_le_bytes()[..end - position]);
                // must neither panic nor allocate more than the file holds
                let _ = Importance::parse(&damaged, "");
            }
        }
    }
}
