//! Codebooks in the forms that instruction sets look entries up in.

/// A codebook of groups of eight values of at most four levels.
#[derive(Debug)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "other instruction sets read entries from memory")
)]
pub(crate) struct Eights<const ENTRIES: usize> {
    /// The entries as they are.
    pub(crate) entries: &'static [[u8; 8]; ENTRIES],
    /// The entries as levels of 2 bits, the first in the lowest bits.
    pub(crate) packed: [u16; ENTRIES],
    /// The values of the levels, repeated.
    pub(crate) levels: [u8; 64],
}

/// A codebook of groups of four values of at most eight levels.
#[derive(Debug)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "other instruction sets read entries from memory")
)]
pub(crate) struct Fours<const ENTRIES: usize> {
    /// The entries as they are.
    pub(crate) entries: &'static [[u8; 4]; ENTRIES],
    /// The entries as levels of 3 bits, the first in the lowest bits.
    pub(crate) packed: [u16; ENTRIES],
    /// The values of the levels, repeated.
    pub(crate) levels: [u8; 64],
}

impl<const ENTRIES: usize> Eights<ENTRIES> {
    /// The codebook of these entries, whose values are all among `levels`.
    pub(crate) const fn new(entries: &'static [[u8; 8]; ENTRIES], levels: &[u8]) -> Self {
        Self { entries, packed: pack(entries, levels, 2), levels: repeat(levels, 4) }
    }

    /// An entry as a little-endian number.
    #[inline(always)]
    pub(crate) fn entry(&self, index: usize) -> u64 {
        u64::from_le_bytes(self.entries[index % ENTRIES])
    }
}

impl<const ENTRIES: usize> Fours<ENTRIES> {
    /// The codebook of these entries, whose values are all among `levels`.
    pub(crate) const fn new(entries: &'static [[u8; 4]; ENTRIES], levels: &[u8]) -> Self {
        Self { entries, packed: pack(entries, levels, 3), levels: repeat(levels, 8) }
    }

    /// An entry as a little-endian number.
    #[inline(always)]
    pub(crate) fn entry(&self, index: usize) -> u32 {
        u32::from_le_bytes(self.entries[index % ENTRIES])
    }
}

const fn pack<const LEN: usize, const ENTRIES: usize>(
    entries: &[[u8; LEN]; ENTRIES],
    levels: &[u8],
    bits: usize,
) -> [u16; ENTRIES] {
    let mut packed = [0; ENTRIES];
    let mut index = 0;
    while index < LEN * ENTRIES {
        let mut level = 0;
        while levels[level] != entries[index / LEN][index % LEN] {
            level += 1;
        }
        packed[index / LEN] |= (level as u16) << (bits * (index % LEN));
        index += 1;
    }
    packed
}

const fn repeat(levels: &[u8], every: usize) -> [u8; 64] {
    let mut out = [0; 64];
    let mut index = 0;
    while index < 64 {
        if index % every < levels.len() {
            out[index] = levels[index % every];
        }
        index += 1;
    }
    out
}
