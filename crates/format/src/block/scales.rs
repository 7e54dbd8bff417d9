//! The 12 bytes in which Q4_K and Q5_K keep eight 6-bit scales and eight 6-bit minimums.
//!
//! Bytes 0 to 3 hold the scales of sub-blocks 0 to 3 in their low 6 bits, bytes 4 to 7 their
//! minimums. Bytes 8 to 11 hold the low 4 bits of sub-blocks 4 to 7: scale below, minimum above;
//! the missing upper 2 bits are the top bits of bytes 0 to 3 (scales) and 4 to 7 (minimums).

/// The scales and the minimums, each below 64.
pub(crate) fn unpack(bytes: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    let (mut scales, mut mins) = ([0; 8], [0; 8]);
    for i in 0..4 {
        scales[i] = bytes[i] & 63;
        mins[i] = bytes[i + 4] & 63;
        scales[i + 4] = bytes[i + 8] & 15 | bytes[i] >> 6 << 4;
        mins[i + 4] = bytes[i + 8] >> 4 | bytes[i + 4] >> 6 << 4;
    }
    (scales, mins)
}

/// Undoes [`unpack`].
///
/// # Panics
/// If a number is above 63.
pub(crate) fn pack(scales: &[u8; 8], mins: &[u8; 8]) -> [u8; 12] {
    assert!(scales.iter().chain(mins).all(|n| *n < 64), "6-bit scales {scales:?}, {mins:?}");
    let mut bytes = [0; 12];
    for i in 0..4 {
        bytes[i] = scales[i] | scales[i + 4] >> 4 << 6;
        bytes[i + 4] = mins[i] | mins[i + 4] >> 4 << 6;
        bytes[i + 8] = scales[i + 4] & 15 | mins[i + 4] << 4;
    }
    bytes
}
