use std::fmt;

/// Why a block is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// The value itself (F16, F32, ...) is NaN.
    Nan,
    /// The value itself is infinite.
    Infinite,
    /// A scale or minimum is infinite or NaN; the field's name.
    Scale(&'static str),
    /// An E8M0 exponent is 255, which stands for NaN.
    Exponent,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nan => write!(f, "the value is NaN"),
            Self::Infinite => write!(f, "the value is infinite"),
            Self::Scale(field) => write!(f, "the {field} is not finite"),
            Self::Exponent => write!(f, "the exponent is 255, which stands for NaN"),
        }
    }
}
