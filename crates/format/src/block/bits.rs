//! Packing of small codes into bytes, shared by the block types.

/// Joins the low nibbles of two halves: byte `i` holds `codes[i]` below and `codes[i + N]` above.
///
/// # Panics
/// If `codes` is not `2 * N` long, or a code is above 15.
#[inline(always)]
pub(crate) fn pack_nibbles<const N: usize>(codes: &[u8]) -> [u8; N] {
    assert_eq!(codes.len(), 2 * N);
    assert_below(16, codes);
    core::array::from_fn(|i| codes[i] | codes[i + N] << 4)
}

/// Undoes [`pack_nibbles`].
///
/// # Panics
/// If `codes` is not `2 * N` long.
pub(crate) fn unpack_nibbles<const N: usize>(bytes: &[u8; N], codes: &mut [u8]) {
    let (low, high) = codes.split_at_mut(N);
    for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
        (*low, *high) = (byte & 15, byte >> 4);
    }
}

/// Splits 32 codes of 5 bits into nibbles (as [`pack_nibbles`]) and upper bits; that of code `i` is
/// bit `i % 8` of byte `i / 8`.
///
/// # Panics
/// If a code is above 31.
#[inline(always)]
pub(crate) fn pack_5_bits(codes: &[u8; 32]) -> ([u8; 16], [u8; 4]) {
    assert_below(32, codes);
    let low = core::array::from_fn(|i| codes[i] & 15 | codes[i + 16] << 4);
    let eight = codes.as_chunks::<8>().0;
    (low, core::array::from_fn(|i| gather_bits(&eight[i], 4)))
}

/// Bit `i` is bit `shift` of code `i`.
#[inline(always)]
pub(crate) fn gather_bits(codes: &[u8; 8], shift: u32) -> u8 {
    // the factor brings the lowest bit of byte `i` to bit `i` of the highest byte; nothing carries
    // into that
    let bits = u64::from_le_bytes(*codes) >> shift & 0x0101_0101_0101_0101;
    (bits.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// Undoes [`pack_5_bits`].
pub(crate) fn unpack_5_bits(low: &[u8; 16], high: [u8; 4]) -> [u8; 32] {
    let mut codes = [0; 32];
    unpack_nibbles(low, &mut codes);
    for (i, code) in codes.iter_mut().enumerate() {
        *code |= (high[i / 8] >> (i % 8) & 1) << 4;
    }
    codes
}

/// Checks that all codes fit their field. One decision for all of them, so that packing stays
/// vector code.
///
/// # Panics
/// If a code is not below `limit`.
#[inline(always)]
pub(crate) fn assert_below(limit: u8, codes: &[u8]) {
    let above = if limit.is_power_of_two() {
        // a test of bits takes fewer instructions
        codes.iter().fold(0, |bits, code| bits | code) & !(limit - 1) != 0
    } else {
        codes.iter().fold(0, |largest: u8, code| largest.max(*code)) >= limit
    };
    assert!(!above, "a code in a field for codes below {limit} is not: {codes:?}");
}

/// Two codes of 4 bits per byte, neighbours: code `2 * i` in the low nibble of byte `i`, code `2 *
/// i + 1` in the high one.
///
/// # Panics
/// If `CODES` is not `2 * BYTES`, or a code is above 15.
pub(crate) fn pack_nibble_pairs<const CODES: usize, const BYTES: usize>(
    codes: &[u8; CODES],
) -> [u8; BYTES] {
    assert_eq!(CODES, 2 * BYTES);
    core::array::from_fn(|i| {
        let (low, high) = (codes[2 * i], codes[2 * i + 1]);
        assert!(low < 16 && high < 16, "4-bit codes {low}, {high}");
        low | high << 4
    })
}

/// Undoes [`pack_nibble_pairs`].
///
/// # Panics
/// If `CODES` is not `2 * BYTES`.
pub(crate) fn unpack_nibble_pairs<const CODES: usize, const BYTES: usize>(
    bytes: &[u8; BYTES],
) -> [u8; CODES] {
    assert_eq!(CODES, 2 * BYTES);
    core::array::from_fn(|i| bytes[i / 2] >> (4 * (i % 2)) & 15)
}

/// Joins the 2-bit codes of four runs: byte `i` holds, from the lowest bits up, `codes[i]`,
/// `codes[i + N]`, `codes[i + 2 * N]` and `codes[i + 3 * N]`.
///
/// # Panics
/// If `codes` is not `4 * N` long, or a code is above 3.
pub(crate) fn pack_quarters<const N: usize>(codes: &[u8]) -> [u8; N] {
    assert_eq!(codes.len(), 4 * N);
    assert!(codes.iter().fold(0, |all, code| all | code) < 4, "2-bit codes {codes:?}");
    core::array::from_fn(|i| {
        codes[i] | codes[i + N] << 2 | codes[i + 2 * N] << 4 | codes[i + 3 * N] << 6
    })
}

/// Undoes [`pack_quarters`].
///
/// # Panics
/// If `codes` is not `4 * N` long.
pub(crate) fn unpack_quarters<const N: usize>(bytes: &[u8; N], codes: &mut [u8]) {
    assert_eq!(codes.len(), 4 * N);
    for (quarter, codes) in codes.chunks_exact_mut(N).enumerate() {
        for (byte, code) in bytes.iter().zip(codes) {
            *code = byte >> (2 * quarter) & 3;
        }
    }
}

/// Joins one bit of each of 256 codes: bit `b` of byte `i` is `codes[32 * b + i] >> shift`.
///
/// # Panics
/// If a code is above 1 after the shift.
pub(crate) fn pack_planes(codes: &[u8; 256], shift: u32) -> [u8; 32] {
    assert!(codes.iter().fold(0, |all, code| all | code) >> shift < 2, "1-bit codes {codes:?}");
    let mut bytes = [0; 32];
    for (plane, codes) in codes.chunks_exact(32).enumerate() {
        for (byte, code) in bytes.iter_mut().zip(codes) {
            *byte |= code >> shift << plane;
        }
    }
    bytes
}

/// Undoes [`pack_planes`]: adds the bits, shifted up, to codes whose bits from `shift` on are
/// clear.
pub(crate) fn unpack_planes(bytes: &[u8; 32], shift: u32, codes: &mut [u8; 256]) {
    for (plane, codes) in codes.chunks_exact_mut(32).enumerate() {
        for (byte, code) in bytes.iter().zip(codes) {
            *code |= (byte >> plane & 1) << shift;
        }
    }
}
