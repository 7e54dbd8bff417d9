use core::fmt;

/// Why a block is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive] // new types bring new defects
pub enum Defect {
    /// The value itself (F16, F32, ...) is NaN.
    Nan,
    /// The value itself is infinite.
    Infinite,
    /// A number that all values of the block are computed from is infinite or NaN.
    Scale(ScaleField),
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

/// A field of a block that scales its values, in [`Defect::Scale`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive] // new types bring new fields
pub enum ScaleField {
    /// The factor of the codes.
    Scale,
    /// The offset that is subtracted from or added to the scaled codes.
    Minimum,
    /// The stored sum of the block's values.
    Sum,
}

impl fmt::Display for ScaleField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Scale => "scale",
            Self::Minimum => "minimum",
            Self::Sum => "sum",
        })
    }
}
