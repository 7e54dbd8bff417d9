//! Codes of a few bits in words of 32 bits.

use std::ops::Range;

use crate::Error;
use crate::data_type::DataType;
use crate::file::DataFile;
use crate::stored::StoredTensor;

/// How consecutive codes lie in words; the first is in the lowest bits.
#[derive(Clone, Copy, Debug, PartialEq, Hash)]
pub(super) enum Spread {
    /// Without gaps: a code may begin in one word and end in the next.
    Dense,
    /// As many whole codes as a word holds; the other bits of it are unused.
    Aligned,
    /// The same, and code `i` of a word stands where this table says.
    Ordered(&'static [u8]),
}

/// A matrix of codes: words in two dimensions. The packed codes run along one of them.
#[derive(Clone, Debug, Hash)]
pub(super) struct Codes {
    pub(super) words: StoredTensor,
    /// Bits per code, 1 to 8.
    pub(super) bits: u32,
    pub(super) spread: Spread,
    /// The dimension of the words that counts the rows of the matrix; the other counts its columns.
    pub(super) rows: usize,
    /// The dimension of the words along which several codes share a word.
    pub(super) packed: usize,
}

impl Spread {
    /// Returns the number of words for a number of codes.
    pub(super) fn words(self, codes: u64, bits: u32) -> u64 {
        match self {
            Self::Dense => codes.saturating_mul(u64::from(bits)).div_ceil(32),
            _ => codes.div_ceil(u64::from(32 / bits)),
        }
    }

    /// Returns the word of a code, and its first bit in the word.
    fn place(self, code: u64, bits: u32) -> (u64, u32) {
        let per_word = u64::from(32 / bits);
        let in_word = (code % per_word) as u32;
        match self {
            Self::Dense => {
                let bit = code * u64::from(bits);
                (bit / 32, (bit % 32) as u32)
            }
            Self::Aligned => (code / per_word, in_word * bits),
            Self::Ordered(order) => (code / per_word, u32::from(order[in_word as usize]) * bits),
        }
    }
}

impl Codes {
    /// Returns whether the words have the type and the shape of a matrix of this size.
    pub(super) fn fits(&self, rows: u64, columns: u64) -> bool {
        let mut shape = [0; 2];
        shape[self.rows] = rows;
        shape[1 - self.rows] = columns;
        shape[self.packed] = self.spread.words(shape[self.packed], self.bits);
        is_words(&self.words) && self.words.shape == shape
    }

    /// Reads rows of a matrix with this number of columns, row by row.
    pub(super) fn read(
        &self,
        files: &[DataFile],
        rows: Range<u64>,
        columns: u64,
    ) -> Result<Vec<i32>, Error> {
        let by_row = self.packed == self.rows;
        let (along, across) = if by_row { (rows, 0..columns) } else { (0..columns, rows) };
        let place = |code: u64| self.spread.place(code, self.bits);
        let first = place(along.start).0;
        let end = match self.spread {
            Spread::Dense => (along.end * u64::from(self.bits)).div_ceil(32),
            _ => place(along.end.saturating_sub(1)).0 + 1,
        };
        let mut part = [first..end, across.clone()];
        if self.packed == 1 {
            part.swap(0, 1);
        }
        let words = rectangle(&self.words, files, part.clone())?;
        let width = (part[1].end - part[1].start) as usize;
        let (step, other) = if self.packed == 0 { (width, 1) } else { (1, width) };
        let count = (along.end - along.start) as usize;
        let lines = (across.end - across.start) as usize;
        let places = along.map(place).map(|(word, bit)| ((word - first) as usize * step, bit));
        let places: Vec<(usize, u32)> = places.collect();
        let mask = (1_u32 << self.bits) - 1;
        let code = |line: usize, (word, bit): (usize, u32)| {
            let at = line * other + word;
            let mut code = words[at] >> bit;
            if bit + self.bits > 32 {
                code |= words[at + step] << (32 - bit);
            }
            (code & mask) as i32
        };
        let mut out = vec![0; count * lines];
        for line in 0..lines {
            for (index, place) in places.iter().enumerate() {
                let to = if by_row { index * lines + line } else { line * count + index };
                out[to] = code(line, *place);
            }
        }
        Ok(out)
    }
}

/// Returns whether a tensor holds words of 32 bits.
pub(super) const fn is_words(tensor: &StoredTensor) -> bool {
    matches!(tensor.ty, DataType::I32 | DataType::U32)
}

fn rectangle(
    words: &StoredTensor,
    files: &[DataFile],
    [rows, columns]: [Range<u64>; 2],
) -> Result<Vec<u32>, Error> {
    let bytes = part(words, files, rows, columns)?;
    Ok(bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
}

/// Reads a part of a matrix, row by row.
pub(super) fn part(
    matrix: &StoredTensor,
    files: &[DataFile],
    rows: Range<u64>,
    columns: Range<u64>,
) -> Result<Vec<u8>, Error> {
    let (size, width) = (matrix.ty.bytes(), matrix.columns());
    let length = ((columns.end - columns.start) * size) as usize;
    let count = (rows.end - rows.start) as usize;
    let mut bytes = vec![0; length * count];
    if columns == (0..width) {
        matrix.read(files, rows.start * width * size, &mut bytes)?;
    } else if length > 0 {
        for (row, out) in rows.zip(bytes.chunks_exact_mut(length)) {
            matrix.read(files, (row * width + columns.start) * size, out)?;
        }
    }
    Ok(bytes)
}
