//! Codebooks: the vectors that the indices of the IQ types stand for.
//!
//! The tables are constants of the format; no formula generates them. `tools/make_codebooks.py`
//! writes a file for each from a published package, with its checksum. `spec/codebooks` holds the
//! same tables as text.

pub mod iq1;
pub mod iq2_s;
pub mod iq2_xs;
pub mod iq2_xxs;
pub mod iq3_s;
pub mod iq3_xxs;
pub mod iq4_nl;
pub mod signs;

/// The index in [`signs::SIGNS`] of a pattern of 8 signs (bit `i` set: value `i` is negative), if
/// its number of negative signs is even.
pub const fn sign_index(signs: u8) -> Option<u8> {
    if signs.count_ones().is_multiple_of(2) { Some(signs & 127) } else { None }
}

/// Four sign indices of 7 bits and above them a sub-scale of 4 bits, as IQ2_XXS and IQ3_XXS keep
/// them.
pub(crate) fn unpack_signs(word: u32) -> ([u8; 4], u8) {
    (core::array::from_fn(|i| (word >> (7 * i) & 127) as u8), (word >> 28) as u8)
}

/// The word for four patterns of 8 signs and a sub-scale.
///
/// # Panics
/// If a pattern has an odd number of signs, or the sub-scale is above 15.
pub(crate) fn pack_signs(signs: [u8; 4], sub_scale: u8) -> u32 {
    assert!(sub_scale < 16, "4-bit sub-scale {sub_scale}");
    let mut word = u32::from(sub_scale) << 28;
    for (i, signs) in signs.into_iter().enumerate() {
        let index = sign_index(signs).expect("an even number of signs");
        word |= u32::from(index) << (7 * i);
    }
    word
}

/// 1 or -1 for bit `i` of a pattern of signs.
pub(crate) fn sign(signs: u8, i: usize) -> f32 {
    if signs >> i & 1 == 1 { -1.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
        bytes
            .into_iter()
            .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
    }

    #[test]
    fn tables_have_their_checksums() {
        let iq1 = iq1::GRID.as_flattened().iter().map(|value| value.cast_unsigned());
        assert_eq!(fnv(iq1), iq1::CHECKSUM, "iq1");
        for (name, table, checksum) in [
            ("iq2_xxs", iq2_xxs::GRID.as_flattened(), iq2_xxs::CHECKSUM),
            ("iq2_xs", iq2_xs::GRID.as_flattened(), iq2_xs::CHECKSUM),
            ("iq2_s", iq2_s::GRID.as_flattened(), iq2_s::CHECKSUM),
            ("iq3_xxs", iq3_xxs::GRID.as_flattened(), iq3_xxs::CHECKSUM),
            ("iq3_s", iq3_s::GRID.as_flattened(), iq3_s::CHECKSUM),
            ("signs", &signs::SIGNS, signs::CHECKSUM),
        ] {
            assert_eq!(fnv(table.iter().copied()), checksum, "{name}");
        }
    }

    #[test]
    fn sign_patterns_have_even_parity() {
        for (i, signs) in signs::SIGNS.into_iter().enumerate() {
            assert_eq!(sign_index(signs).map(usize::from), Some(i));
            assert_eq!(sign_index(signs ^ 1), None);
        }
    }

    #[test]
    fn values_are_levels_and_entries_differ() {
        fn check<T: Copy + Ord + core::fmt::Debug, const N: usize>(grid: &[[T; N]], levels: &[T]) {
            assert!(levels.is_sorted());
            assert!(grid.as_flattened().iter().all(|value| levels.contains(value)));
            let mut sorted = grid.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), grid.len());
        }
        check(&iq1::GRID, &iq1::LEVELS);
        check(&iq2_xxs::GRID, &iq2_xxs::LEVELS);
        check(&iq2_xs::GRID, &iq2_xs::LEVELS);
        check(&iq2_s::GRID, &iq2_s::LEVELS);
        check(&iq3_xxs::GRID, &iq3_xxs::LEVELS);
        check(&iq3_s::GRID, &iq3_s::LEVELS);
    }
}
