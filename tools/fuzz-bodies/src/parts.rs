//! Cutting an input into several.

/// Splits an input into `count` parts: each but the last follows its length in two bytes; what is
/// missing is empty.
pub(crate) fn parts<const N: usize>(mut input: &[u8]) -> [&[u8]; N] {
    let mut parts = [&[][..]; N];
    for part in &mut parts[..N - 1] {
        let Some((length, rest)) = input.split_first_chunk::<2>() else { return parts };
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        (*part, input) = rest.split_at(length);
    }
    parts[N - 1] = input;
    parts
}

/// The first bytes of an input as a number, and the rest.
pub(crate) fn number<const N: usize>(input: &[u8]) -> ([u8; N], &[u8]) {
    match input.split_first_chunk() {
        Some((bytes, rest)) => (*bytes, rest),
        None => ([0; N], &[]),
    }
}
