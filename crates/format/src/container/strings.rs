use std::fmt;

/// Many strings in two allocations. The strings are bytes: texts of tokens need not be UTF-8.
///
/// Without strings there is no allocation, and the array itself is a pointer: what a file can make a reader
/// take for an array of 12 bytes is little.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StringArray {
    strings: Option<Box<Strings>>,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Strings {
    bytes: Vec<u8>,
    /// Where each string ends in `bytes`; it starts where the one before ends.
    ends: Vec<usize>,
}

impl StringArray {
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
        let Strings { bytes, ends } = self.strings.as_deref()?;
        let end = *ends.get(index)?;
        let start = if index == 0 { 0 } else { ends[index - 1] };
        Some(&bytes[start..end])
    }

    /// The string at `index` if there is one and it is UTF-8.
    pub fn get_str(&self, index: usize) -> Option<&str> {
        str::from_utf8(self.get(index)?).ok()
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|i| self.get(i).unwrap_or_default())
    }

    /// Make room for so many more strings, but not for their bytes.
    pub(crate) fn reserve_exact(&mut self, strings: usize) {
        self.strings.get_or_insert_default().ends.reserve_exact(strings);
    }

    /// Add a string at the end.
    pub fn push(&mut self, string: impl AsRef<[u8]>) {
        let strings = self.strings.get_or_insert_default();
        strings.bytes.extend_from_slice(string.as_ref());
        strings.ends.push(strings.bytes.len());
    }
}

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
