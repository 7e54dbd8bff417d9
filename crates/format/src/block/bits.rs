//! Packing of small codes into bytes, shared by the block types.

/// Join the low nibbles of two halves: byte `i` holds `codes[i]` below and `codes[i + N]` above.
///
/// # Panics
/// If `codes` is not `2 * N` long, or a code is above 15.
pub(crate) fn pack_nibbles<const N: usize>(codes: &[u8]) -> [u8; N] {
    assert_eq!(codes.len(), 2 * N);
    std::array::from_fn(|i| {
        let (low, high) = (codes[i], codes[i + N]);
        assert!(low < 16 && high < 16, "4-bit codes {low}, {high}");
        low | high << 4
    })
}

/// Undo [`pack_nibbles`].
///
/// # Panics
/// If `codes` is not `2 * N` long.
pub(crate) fn unpack_nibbles<const N: usize>(bytes: &[u8; N], codes: &mut [u8]) {
    let (low, high) = codes.split_at_mut(N);
    for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
        (*low, *high) = (byte & 15, byte >> 4);
    }
}
