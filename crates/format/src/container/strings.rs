use core::fmt;

use crate::prelude::*;

/// Many strings in two allocations. The strings are bytes: those of tokens need not be UTF-8.
///
/// The offset of every sixteenth string is stored; each of the others begins where the one before
/// it ends.
///
/// An empty array allocates nothing and is one pointer: a file cannot make a reader use much memory
/// for an empty array, which takes 12 bytes of the file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StringArray {
    strings: Option<Box<Strings>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Strings {
    /// The strings, each preceded by its length: one byte, or [`LONG`] and eight bytes.
    bytes: Vec<u8>,
    /// The offset in `bytes` of every [`STRIDE`]th string.
    starts: Vec<usize>,
    count: usize,
}

/// The length of a string that is this long or longer follows in eight bytes.
const LONG: u8 = u8::MAX;

/// The number of strings between stored offsets.
const STRIDE: usize = 16;

impl StringArray {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.strings.as_ref().map_or(0, |strings| strings.count)
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The string at `index`.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.iter_from(index).next()
    }

    /// Returns the string at `index` if it exists and is UTF-8.
    pub fn get_str(&self, index: usize) -> Option<&str> {
        str::from_utf8(self.get(index)?).ok()
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.iter_from(0)
    }

    /// Returns the strings in order, starting at `index`.
    pub(crate) fn iter_from(&self, index: usize) -> impl ExactSizeIterator<Item = &[u8]> {
        let strings = self.strings.as_deref().filter(|strings| index < strings.count);
        let mut iter = Iter { rest: &[], left: 0 };
        if let Some(strings) = strings {
            let known = index - index % STRIDE;
            let start = strings.starts[known / STRIDE];
            iter = Iter { rest: &strings.bytes[start..], left: strings.count - known };
            iter.by_ref().take(index - known).for_each(|_before| ());
        }
        iter
    }

    /// Adds a string at the end.
    pub fn push(&mut self, string: impl AsRef<[u8]>) {
        self.strings.get_or_insert_default().push(string.as_ref());
    }

    /// Appends at most `most` strings that are stored one after the other, each preceded by its
    /// length, and stops at the first that is not completely in `stored`. Returns how many bytes of
    /// `stored` they take.
    pub(crate) fn append_stored<const N: usize, L: Into<u64>>(
        &mut self,
        stored: &[u8],
        length: impl Fn([u8; N]) -> L,
        most: usize,
    ) -> usize {
        /// Bytes that are copied at once, after the length byte. Most tokens are shorter.
        const SHORT: usize = 32;
        let strings = &mut **self.strings.get_or_insert_default();
        let (mut rest, mut count) = (stored, strings.count);
        // a buffer with room for a whole stride needs no capacity checks
        let (mut packed, mut end) = ([0; STRIDE * (1 + SHORT)], 0);
        for _ in 0..most {
            let Some((head, tail)) = rest.split_first_chunk() else { break };
            let length = length(*head).into();
            if length > tail.len() as u64 {
                break;
            }
            let (string, behind) = tail.split_at(length as usize);
            if count.is_multiple_of(STRIDE) {
                strings.bytes.extend_from_slice(&packed[..end]);
                strings.starts.push(strings.bytes.len());
                end = 0;
            }
            match rest[N - 1..].first_chunk::<{ 1 + SHORT }>() {
                Some(longer) if string.len() <= SHORT => {
                    packed[end..][..longer.len()].copy_from_slice(longer);
                    packed[end] = string.len() as u8;
                    end += 1 + string.len();
                }
                _ => {
                    strings.bytes.extend_from_slice(&packed[..end]);
                    strings.put(string);
                    end = 0;
                }
            }
            count += 1;
            rest = behind;
        }
        strings.bytes.extend_from_slice(&packed[..end]);
        strings.count = count;
        stored.len() - rest.len()
    }

    /// Reserves memory for `left` more strings of about the same length, which take at most
    /// `bytes`.
    pub(crate) fn expect(&mut self, left: u64, bytes: u64) {
        /// Enough for the largest vocabularies. More is reserved only when it is needed.
        const MOST: u64 = 4 << 20;
        let strings = self.strings.get_or_insert_default();
        let mean = 1 + strings.bytes.len() as u64 / (strings.count as u64).max(1);
        let likely = mean.saturating_mul(left).min(bytes).min(MOST) as usize;
        strings.starts.reserve_exact(left.min(likely as u64) as usize / STRIDE + 1);
        if strings.bytes.capacity() - strings.bytes.len() < likely {
            // the mean may grow; reserved last, so that the allocation can grow in place
            strings.bytes.reserve_exact(likely + likely / 8);
        }
    }

    /// Frees unused memory, if it is much.
    pub(crate) fn shrink(&mut self) {
        if let Some(strings) = &mut self.strings {
            strings.bytes.shrink_to(strings.bytes.len() / 8 * 9);
            strings.starts.shrink_to_fit();
        }
    }
}

impl Strings {
    fn push(&mut self, string: &[u8]) {
        if self.count.is_multiple_of(STRIDE) {
            self.starts.push(self.bytes.len());
        }
        self.put(string);
        self.count += 1;
    }

    /// Appends the length and the bytes of a string.
    fn put(&mut self, string: &[u8]) {
        match u8::try_from(string.len()) {
            Ok(length) if length < LONG => self.bytes.push(length),
            _ => {
                self.bytes.push(LONG);
                self.bytes.extend_from_slice(&(string.len() as u64).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(string);
    }
}

/// The strings that lie in `rest`.
struct Iter<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (&first, mut behind) = self.rest.split_first()?;
        let mut length = usize::from(first);
        if first == LONG {
            let (long, string) = behind.split_first_chunk()?;
            (length, behind) = (u64::from_le_bytes(*long) as usize, string);
        }
        let (string, rest) = behind.split_at_checked(length)?;
        self.rest = rest;
        Some(string)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl fmt::Debug for StringArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for StringArray {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut array = Self::default();
        strings.into_iter().for_each(|string| array.push(string));
        array
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths around the limits: of the length byte, of the copy and of the stride.
    fn strings() -> Vec<Vec<u8>> {
        let lengths = [0, 1, 31, 32, 33, 254, 255, 256, 70_000, 5];
        let tail = (0..100).map(|i| i * i % 37);
        lengths
            .into_iter()
            .chain(tail)
            .map(|length| (0..length).map(|i| i as u8).collect())
            .collect()
    }

    #[test]
    fn strings_come_back_in_order_and_by_index() {
        let strings = strings();
        for count in [0, 1, STRIDE - 1, STRIDE, STRIDE + 1, strings.len()] {
            let array: StringArray = strings[..count].iter().collect();
            assert_eq!((array.len(), array.is_empty()), (count, count == 0));
            assert!(array.iter().eq(&strings[..count]), "{count}");
            for start in 0..count + 2 {
                assert_eq!(array.get(start), strings[..count].get(start).map(Vec::as_slice));
                assert!(array.iter_from(start).eq(strings[..count].iter().skip(start)), "{start}");
                assert_eq!(array.iter_from(start).len(), count.saturating_sub(start));
            }
        }
    }

    #[test]
    fn stored_strings_are_those_that_were_pushed() {
        let strings = strings();
        let pushed: StringArray = strings.iter().collect();
        let stored: Vec<u8> = strings
            .iter()
            .flat_map(|string| [&(string.len() as u64).to_be_bytes(), string.as_slice()].concat())
            .collect();
        // cut off anywhere, and gone on with where the last whole string ended
        for cut in (0..stored.len()).step_by(997).chain(0..700) {
            let mut array = StringArray::default();
            let taken = array.append_stored(&stored[..cut], u64::from_be_bytes, usize::MAX);
            assert!(taken <= cut);
            let (known, left) = (array.len(), (strings.len() - array.len()) as u64);
            array.expect(left, (stored.len() - taken) as u64);
            let taken = taken + array.append_stored(&stored[taken..], u64::from_be_bytes, 3);
            assert_eq!(array.len(), known + left.min(3) as usize);
            let rest = array.append_stored(&stored[taken..], u64::from_be_bytes, usize::MAX);
            assert_eq!(taken + rest, stored.len());
            array.shrink();
            assert_eq!(array, pushed, "{cut}");
        }
    }
}
