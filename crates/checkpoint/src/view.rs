//! Numbers that a file stores in a different order than the one requested.

use std::ops::Range;

use super::file::DataFile;
use crate::Error;

/// Numbers gathered at once. Bounds the memory use.
const BATCH: usize = 1 << 18;
/// Bytes read at once while gathering. Smaller gaps between two numbers are read rather than
/// skipped.
const WINDOW: u64 = 1 << 20;
const GAP: u64 = 512;

/// A part of a file as strided numbers.
#[derive(Clone, Debug, Hash)]
pub(super) struct View {
    /// Offset of the number whose indices are all 0, in bytes.
    pub(super) offset: u64,
    /// Size of a number in bytes.
    pub(super) size: u64,
    /// Length and stride of each dimension, in numbers, outermost first.
    pub(super) dimensions: Vec<(u64, u64)>,
    /// Whether the numbers are big-endian.
    pub(super) big_endian: bool,
}

impl View {
    /// Returns whether the numbers are in order and without gaps.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut expected = 1_u64;
        self.dimensions.iter().rev().all(|(length, stride)| {
            let fits = *length <= 1 || *stride == expected;
            expected = expected.saturating_mul(*length);
            fits
        }) || self.dimensions.iter().any(|(length, _)| *length == 0)
    }

    /// Fills `out` with the numbers at byte `start`, as little-endian.
    pub(super) fn read(&self, file: &DataFile, start: u64, out: &mut [u8]) -> Result<(), Error> {
        if self.is_contiguous() {
            file.read_at(self.offset + start, out)?;
        } else {
            let mut first = start / self.size;
            for out in out.chunks_mut(BATCH * self.size as usize) {
                self.gather(file, first, out)?;
                first += BATCH as u64;
            }
        }
        if self.big_endian {
            out.chunks_exact_mut(self.size as usize).for_each(<[u8]>::reverse);
        }
        Ok(())
    }

    /// Reads the numbers starting at index `first` in file order.
    fn gather(&self, file: &DataFile, first: u64, out: &mut [u8]) -> Result<(), Error> {
        let size = self.size as usize;
        let count = out.len() / size;
        let mut wanted: Vec<(u64, usize)> =
            (0..count).map(|i| (self.position(first + i as u64), i)).collect();
        wanted.sort_unstable();
        let mut window = Vec::new();
        let mut rest = &wanted[..];
        while let Some((begin, _)) = rest.first() {
            let near = |pair: &[(u64, usize)]| {
                pair[1].0 - pair[0].0 <= GAP && pair[1].0 + self.size - begin <= WINDOW
            };
            let here = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
            let (here, after) = rest.split_at(here);
            let end = here[here.len() - 1].0 + self.size;
            window.resize((end - begin) as usize, 0);
            file.read_at(*begin, &mut window)?;
            for (position, index) in here {
                let from = (position - begin) as usize;
                out[index * size..][..size].copy_from_slice(&window[from..][..size]);
            }
            rest = after;
        }
        Ok(())
    }

    /// Returns where in the file the numbers are, with the gaps in between.
    pub(super) fn range(&self) -> Range<u64> {
        if self.dimensions.iter().any(|(length, _)| *length == 0) {
            return self.offset..self.offset;
        }
        let last: u64 = self.dimensions.iter().map(|(length, stride)| (length - 1) * stride).sum();
        self.offset..self.offset + (last + 1) * self.size
    }

    /// Returns the offset in the file of the number with this index, in bytes.
    fn position(&self, mut index: u64) -> u64 {
        let mut number = 0;
        for (length, stride) in self.dimensions.iter().rev() {
            number += index % length * stride;
            index /= length;
        }
        self.offset + number * self.size
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::folder::at;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn gathers_what_the_strides_say(
            lengths in prop::collection::vec(1_u64..9, 1..4),
            order in any::<prop::sample::Index>(),
            spread in 1_u64..700,
            size in prop::sample::select(vec![1_u64, 2, 4, 8]),
            big_endian in any::<bool>(),
            cut in any::<prop::sample::Index>(),
        ) {
            // Strides of another dimension order, with gaps.
            let first = order.index(lengths.len());
            let mut strides = vec![0; lengths.len()];
            let mut stride = spread;
            for i in 0..lengths.len() {
                let dimension = (first + i) % lengths.len();
                strides[dimension] = stride;
                stride *= lengths[dimension];
            }
            let bytes: Vec<u8> = (0..stride * size).map(|i| (i * 31) as u8).collect();
            let mut named = tempfile::NamedTempFile::new().unwrap();
            named.write_all(&[b"skip", &bytes[..]].concat()).unwrap();
            let file = DataFile::open(&at(named.path())).unwrap();

            let dimensions: Vec<_> = lengths.iter().copied().zip(strides).collect();
            let view = View { offset: 4, size, dimensions: dimensions.clone(), big_endian };
            let mut expected = Vec::new();
            for index in 0..lengths.iter().product() {
                let (mut rest, mut number) = (index, 0);
                for (length, stride) in dimensions.iter().rev() {
                    number += rest % length * stride;
                    rest /= length;
                }
                let mut value = bytes[(number * size) as usize..][..size as usize].to_vec();
                if big_endian { value.reverse(); }
                expected.extend(value);
            }
            let skip = cut.index(expected.len() / size as usize) * size as usize;
            let mut out = vec![0; expected.len() - skip];
            view.read(&file, skip as u64, &mut out).unwrap();
            prop_assert_eq!(out, &expected[skip..]);
        }
    }
}
