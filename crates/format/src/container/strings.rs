use std::fmt;

/// Many strings in two allocations. The strings are bytes: texts of tokens need not be UTF-8.
///
/// Without strings there is no allocation, and the array itself is a pointer: what a file can make a reader
/// take for an array of 12 bytes is little.
#[derive(Clone, Default)]
pub struct StringArray {
    strings: Option<Box<Strings>>,
}

#[derive(Clone, Default)]
struct Strings {
    /// The strings, each behind a `gap`. In a file their lengths are there, and one copy of all is several times
    /// faster than one of each.
    bytes: Vec<u8>,
    gap: usize,
    /// Where each string ends in `bytes`.
    ends: Vec<usize>,
}

impl StringArray {
    /// Strings that lie as in a file: `gap` bytes in front of each, and where each ends.
    pub(crate) fn as_stored(bytes: &[u8], gap: usize, ends: Vec<usize>) -> Self {
        let strings = Strings { bytes: bytes.to_vec(), gap, ends };
        Self { strings: (!strings.ends.is_empty()).then(|| Box::new(strings)) }
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.strings.as_ref().map_or(0, |strings| strings.ends.len())
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.strings.is_none()
    }

    /// The string at `index`.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let Strings { bytes, gap, ends } = self.strings.as_deref()?;
        let end = *ends.get(index)?;
        let start = if index == 0 { 0 } else { ends[index - 1] };
        Some(&bytes[start + gap..end])
    }

    /// The string at `index` if there is one and it is UTF-8.
    pub fn get_str(&self, index: usize) -> Option<&str> {
        str::from_utf8(self.get(index)?).ok()
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i).unwrap_or_default())
    }

    /// Add a string at the end.
    pub fn push(&mut self, string: impl AsRef<[u8]>) {
        let strings = self.strings.get_or_insert_default();
        strings.bytes.resize(strings.bytes.len() + strings.gap, 0);
        strings.bytes.extend_from_slice(string.as_ref());
        strings.ends.push(strings.bytes.len());
    }
}

impl PartialEq for StringArray {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for StringArray {}

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
