//! Sizes as users give them.

use std::fmt;
use std::str::FromStr;

/// The size that a file should have, and never exceed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TargetSize {
    /// Bytes of all files together.
    Bytes(u64),
    /// Bits of the tensors' data for each of their values.
    BitsPerWeight(f64),
}

/// The text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size such as 4.2GB, 4.2GiB, 800MB or 4.5bpw (bits per weight)")]
pub struct NotASize(String);

/// Units in bytes, the longest names first.
const UNITS: &[(&str, f64)] = &[
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("K", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("B", 1.0),
];

impl FromStr for TargetSize {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let fail = || NotASize(text.to_owned());
        let ends_in = |unit: &str| {
            let at = text.len().checked_sub(unit.len())?;
            let end = text.get(at..)?;
            end.eq_ignore_ascii_case(unit).then(|| text[..at].trim_end())
        };
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let number = digits.parse::<f64>().ok().filter(|_| plain);
            number.filter(|number| *number > 0.0)
        };
        if let Some(digits) = ends_in("bpw") {
            let bits = number(digits).filter(|bits| *bits <= 64.0);
            return bits.map(Self::BitsPerWeight).ok_or_else(fail);
        }
        let unit = UNITS.iter().find_map(|(unit, factor)| Some((ends_in(unit)?, *factor)));
        let (digits, factor) = unit.unwrap_or((text, 1.0));
        let bytes = number(digits).ok_or_else(fail)? * factor;
        // beyond that, numbers of 64 bits have gaps of many bytes
        if (1.0..9e15).contains(&bytes) { Ok(Self::Bytes(bytes as u64)) } else { Err(fail()) }
    }
}

impl fmt::Display for TargetSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BitsPerWeight(bits) => write!(f, "{bits}bpw"),
            Self::Bytes(bytes) => {
                let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "KB")];
                let unit = units.iter().find(|(factor, _)| *bytes as f64 >= *factor);
                let (factor, name) = unit.copied().unwrap_or((1.0, "B"));
                write!(f, "{}{name}", (*bytes as f64 / factor * 1e3).round() / 1e3)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, bytes) in [
            ("4.2GB", 4_200_000_000),
            ("4.2 gib", 4_509_715_660),
            ("800MB", 800_000_000),
            ("1K", 1000),
            ("17", 17),
            ("17B", 17),
        ] {
            assert_eq!(text.parse(), Ok(TargetSize::Bytes(bytes)), "{text}");
        }
        assert_eq!("4.5bpw".parse(), Ok(TargetSize::BitsPerWeight(4.5)));
        assert_eq!("3 BPW".parse(), Ok(TargetSize::BitsPerWeight(3.0)));
        for text in
            ["", "GB", "0", "-1GB", "1e3", "4.5 b pw", "99999999999TB", "infGB", "ä", "0bpw"]
        {
            assert!(text.parse::<TargetSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn written_as_they_are_read() {
        for text in ["4.2GB", "800MB", "4.5bpw", "17B", "1.234KB"] {
            assert_eq!(text.parse::<TargetSize>().map(|size| size.to_string()), Ok(text.into()));
        }
    }
}
