//! Numbers of blocks (layers) in tensor names.

use std::ops::Range;

/// Returns the number after `blk.` at the start of a name, scanned leniently: blanks and a sign are
/// allowed, and anything may follow. `None` if there is none.
pub(crate) fn leading(name: &str) -> Option<i64> {
    let rest = name.strip_prefix("blk.")?.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let sign = rest.strip_prefix(['+', '-']).map_or(0, |_| 1);
    let digits = rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
    let text = rest.get(..sign + digits).filter(|_| digits > 0)?;
    text.strip_prefix('+').unwrap_or(text).parse().ok()
}

/// Returns the position and the value of `N` in the first `blk.N.` of a name; `None` if there is
/// none.
pub(crate) fn anywhere(name: &str) -> Option<(Range<usize>, u64)> {
    name.match_indices("blk.").find_map(|(at, prefix)| {
        let start = at + prefix.len();
        let digits = name[start..].bytes().take_while(u8::is_ascii_digit).count();
        let end = start + digits;
        let followed = name[end..].starts_with('.');
        let number = name[start..end].parse().ok().filter(|_| followed)?;
        Some((start..end, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_numbers() {
        for (name, expected) in [
            ("blk.12.attn_q.weight", Some(12)),
            ("blk.12", Some(12)),
            ("blk.-3.x", Some(-3)),
            ("blk. +4x", Some(4)),
            ("blk.x.ffn_down", None),
            ("blk.", None),
            ("blk.-", None),
            ("enc.blk.1.x", None),
            ("output.weight", None),
            ("blk.99999999999999999999.x", None),
        ] {
            assert_eq!(leading(name), expected, "{name}");
        }
    }

    #[test]
    fn numbers_anywhere() {
        assert_eq!(anywhere("enc.blk.10.x"), Some((8..10, 10)));
        assert_eq!(anywhere("blk.x.blk.3.y"), Some((10..11, 3)));
        assert_eq!(anywhere("blk.3"), None);
        assert_eq!(anywhere("blk..x"), None);
    }
}
