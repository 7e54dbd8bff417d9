//! A second reader of headers, to compare with: slow, plain, written from `spec/container.md`
//! alone.
//!
//! It does all its arithmetic on numbers that cannot overflow, and keeps nothing but what it needs
//! to tell a file that can be read from one that cannot.

use std::collections::HashSet;

use granule_format::BlockType;

/// What both readers see.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) keys: Vec<String>,
    /// Name, dimensions, type, offset.
    pub(crate) tensors: Vec<(String, Vec<u64>, u32, u64)>,
    pub(crate) data_offset: u128,
}

/// Types that were taken away from the format.
const REMOVED: [u32; 8] = [4, 5, 31, 32, 33, 36, 37, 38];

struct Input<'a> {
    file: &'a [u8],
    at: u128,
    big: bool,
    narrow: bool,
}

/// What is in the header; nothing if it cannot be read.
pub(crate) fn read(file: &[u8]) -> Option<Seen> {
    let mut input = Input { file, at: 0, big: false, narrow: false };
    if input.bytes(4)? != b"GGUF" {
        return None;
    }
    let version = input.bytes(4)?;
    (input.big, input.narrow) = match version {
        [1, 0, 0, 0] => (false, true),
        [2 | 3, 0, 0, 0] => (false, false),
        [0, 0, 0, 1] => (true, true),
        [0, 0, 0, 2 | 3] => (true, false),
        _ => return None,
    };
    let (tensors, entries) = (input.length()?, input.length()?);
    let mut seen = Seen::default();
    let mut alignment = 32;
    for _ in 0..entries {
        let key = input.string()?;
        if key.is_empty() || key.len() > 65_535 || !key.iter().all(|c| (32..127).contains(c)) {
            return None;
        }
        let key = String::from_utf8(key.to_vec()).ok()?;
        let ty = input.number(4)?;
        if key == "general.alignment" {
            if ty != 4 {
                return None;
            }
            alignment = input.number(4)?;
            if alignment.count_ones() != 1 {
                return None;
            }
        } else {
            input.value(ty, 0, key.starts_with("tokenizer."))?;
        }
        seen.keys.push(key);
    }
    if seen.keys.iter().collect::<HashSet<_>>().len() != seen.keys.len() {
        return None;
    }
    for _ in 0..tensors {
        seen.tensors.push(input.tensor(alignment)?);
    }
    if seen.tensors.iter().map(|tensor| &tensor.0).collect::<HashSet<_>>().len()
        != seen.tensors.len()
    {
        return None;
    }
    seen.data_offset = input.at.next_multiple_of(alignment);
    for (_, dimensions, ty, offset) in &seen.tensors {
        let Some(bytes) = size(dimensions, *ty)? else { continue };
        if seen.data_offset + u128::from(*offset) + bytes > file.len() as u128 {
            return None;
        }
    }
    Some(seen)
}

impl<'a> Input<'a> {
    fn bytes(&mut self, count: u128) -> Option<&'a [u8]> {
        let end = self.at + count;
        if end > self.file.len() as u128 {
            return None;
        }
        let bytes = &self.file[self.at as usize..end as usize];
        self.at = end;
        Some(bytes)
    }

    fn number(&mut self, bytes: u128) -> Option<u128> {
        let big = self.big;
        let add = |number, byte: &u8| number * 256 + u128::from(*byte);
        let bytes = self.bytes(bytes)?;
        Some(if big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    fn length(&mut self) -> Option<u128> {
        self.number(if self.narrow { 4 } else { 8 })
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.bytes(length)
    }

    /// Skip a value in `depth` arrays.
    fn value(&mut self, ty: u128, depth: u32, raw: bool) -> Option<()> {
        match ty {
            0 | 1 => drop(self.bytes(1)?),
            2 | 3 => drop(self.bytes(2)?),
            4..=6 => drop(self.bytes(4)?),
            10..=12 => drop(self.bytes(8)?),
            7 => {
                if self.bytes(1)?[0] > 1 {
                    return None;
                }
            }
            8 => {
                let text = self.string()?;
                if !(raw && depth > 0) && std::str::from_utf8(text).is_err() {
                    return None;
                }
            }
            9 => {
                if depth == 16 {
                    return None;
                }
                let ty = self.number(4)?;
                if ty > 12 {
                    return None;
                }
                for _ in 0..self.length()? {
                    self.value(ty, depth + 1, raw)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn tensor(&mut self, alignment: u128) -> Option<(String, Vec<u64>, u32, u64)> {
        let name = self.string()?;
        let text = std::str::from_utf8(name).ok()?;
        if name.is_empty() || name.len() > 64 || text.bytes().any(|c| c < 32 || c == 127) {
            return None;
        }
        let count = self.number(4)?;
        if count > 4 {
            return None;
        }
        let width = if self.narrow { 4 } else { 8 };
        let mut dimensions = Vec::new();
        for _ in 0..count {
            dimensions.push(u64::try_from(self.number(width)?).ok()?);
        }
        let ty = u32::try_from(self.number(4)?).ok()?;
        let offset = u64::try_from(self.number(8)?).ok()?;
        if let Some(bytes) = size(&dimensions, ty)?
            && bytes.next_multiple_of(alignment) > u128::from(u64::MAX)
        {
            return None;
        }
        Some((text.to_owned(), dimensions, ty, offset))
    }
}

/// Bytes of a tensor; nothing known if the type is not, nothing at all if there can be no such
/// tensor.
fn size(dimensions: &[u64], ty: u32) -> Option<Option<u128>> {
    let most = u128::from(u64::MAX / 2);
    if REMOVED.contains(&ty) || dimensions.iter().any(|n| u128::from(*n) > most) {
        return None;
    }
    let product = |dimensions: &[u64]| {
        if dimensions.contains(&0) {
            return Some(0);
        }
        dimensions.iter().try_fold(1_u128, |product, dimension| {
            Some(product * u128::from(*dimension)).filter(|product| *product <= most)
        })
    };
    let values = product(dimensions)?;
    let Some(ty) = BlockType::from_id(ty) else { return Some(None) };
    let block = ty.block_values() as u128;
    product(dimensions.get(1..).unwrap_or_default())?;
    let row = u128::from(dimensions.first().copied().unwrap_or(1));
    if row % block != 0 || row / block * ty.block_bytes() as u128 > u128::from(u64::MAX) {
        return None;
    }
    let bytes = values / block * ty.block_bytes() as u128;
    (bytes <= u128::from(u64::MAX)).then_some(Some(bytes))
}
