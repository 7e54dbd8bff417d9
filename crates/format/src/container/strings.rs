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
    ends: Vec<u32>,
    /// The same of the strings that follow, which end behind the first 4 GiB.
    far_ends: Vec<usize>,
}

impl StringArray {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.strings.as_ref().map_or(0, |strings| strings.ends.len() + strings.far_ends.len())
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The string at `index`.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let strings = self.strings.as_deref()?;
        let end = strings.end(index)?;
        let start = index.checked_sub(1).and_then(|before| strings.end(before)).unwrap_or(0);
        strings.bytes.get(start..end)
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
        strings.bytes.extend_from_slice(string.as_ref());
        strings.push_end();
    }

    /// Append strings that lie one behind the other, each behind its length, as long as they are wholly in
    /// `stored`: at most `most`, to which room is made. Returns how many bytes of `stored` they take.
    pub(crate) fn append_stored<const N: usize, L: Into<u64>>(
        &mut self,
        stored: &[u8],
        length: impl Fn([u8; N]) -> L,
        most: usize,
    ) -> usize {
        /// What is copied at once: most tokens are shorter.
        const SHORT: usize = 16;
        let strings = self.strings.get_or_insert_default();
        strings.ends.reserve_exact(most.min(stored.len() / N));
        let mut rest = stored;
        for _ in 0..most {
            let Some((head, tail)) = rest.split_first_chunk() else { break };
            let length = length(*head).into();
            if length > tail.len() as u64 {
                break;
            }
            let (string, behind) = tail.split_at(length as usize);
            match tail.first_chunk::<SHORT>() {
                Some(longer) if string.len() <= SHORT => {
                    let end = strings.bytes.len() + string.len();
                    strings.bytes.extend_from_slice(longer);
                    strings.bytes.truncate(end);
                }
                _ => strings.bytes.extend_from_slice(string),
            }
            strings.push_end();
            rest = behind;
        }
        stored.len() - rest.len()
    }

    /// Make room for `left` more strings that are like those that are there, in the `bytes` that are left for them.
    pub(crate) fn expect(&mut self, left: u64, bytes: u64) {
        /// Enough for the largest vocabularies: more is only taken when it is needed.
        const MOST: u64 = 4 << 20;
        let Some(strings) = &mut self.strings else { return };
        let mean = strings.bytes.len() as u64 / (strings.ends.len() as u64).max(1) + 1;
        let likely = mean.saturating_mul(left).min(bytes).min(MOST);
        strings.bytes.reserve_exact(likely as usize);
        strings.ends.reserve_exact(left.min(bytes / 8).min(MOST / 4) as usize);
    }

    /// Give back memory that is not used.
    pub(crate) fn shrink_to_fit(&mut self) {
        if let Some(strings) = &mut self.strings {
            strings.bytes.shrink_to_fit();
            strings.ends.shrink_to_fit();
        }
    }
}

impl Strings {
    fn end(&self, index: usize) -> Option<usize> {
        match self.ends.get(index) {
            Some(end) => Some(*end as usize),
            None => self.far_ends.get(index - self.ends.len()).copied(),
        }
    }

    /// A string ends here.
    fn push_end(&mut self) {
        match u32::try_from(self.bytes.len()) {
            Ok(end) => self.ends.push(end),
            Err(_) => self.far_ends.push(self.bytes.len()),
        }
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
