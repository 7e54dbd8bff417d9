use core::fmt;

use crate::BlockType;
use crate::prelude::*;

/// The type of a tensor: one that this crate knows, or just its number.
///
/// A file with types that are newer than this crate can still be inspected.
///
/// Exhaustive: a number stands for a type that is known or for one that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TensorType {
    /// A known type of block.
    Known(BlockType),
    /// A number that stands for nothing known.
    Unknown(u32),
}

impl TensorType {
    /// The type with this number in the tensor table.
    pub const fn from_id(id: u32) -> Self {
        match BlockType::from_id(id) {
            Some(ty) => Self::Known(ty),
            None => Self::Unknown(id),
        }
    }

    /// The number in the tensor table.
    pub const fn id(self) -> u32 {
        match self {
            Self::Known(ty) => ty.id(),
            Self::Unknown(id) => id,
        }
    }

    /// The type of block, if it is known.
    pub const fn known(self) -> Option<BlockType> {
        match self {
            Self::Known(ty) => Some(ty),
            Self::Unknown(_) => None,
        }
    }
}

impl From<BlockType> for TensorType {
    fn from(ty: BlockType) -> Self {
        Self::Known(ty)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(ty) => ty.fmt(f),
            Self::Unknown(id) => f.pad(&format!("type {id}")),
        }
    }
}

/// The dimensions of a tensor, the length of a row first.
///
/// The format allows four. Some published files have five; they can be shown, with
/// [`Limits::INSPECT`](crate::Limits::INSPECT), but not written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dimensions: [u64; Self::MOST],
    count: u8,
}

impl Shape {
    /// Most dimensions that the format allows.
    pub const LEGAL: usize = 4;

    /// Most dimensions that can be represented.
    pub const MOST: usize = 8;

    /// These dimensions, the length of a row first; `None` if there are more than four.
    pub fn new(dimensions: &[u64]) -> Option<Self> {
        if dimensions.len() > Self::LEGAL { None } else { Self::as_stored(dimensions) }
    }

    /// The dimensions that a file has, even if they are too many; `None` above
    /// [`MOST`](Self::MOST).
    pub(crate) fn as_stored(dimensions: &[u64]) -> Option<Self> {
        let mut all = [1; Self::MOST];
        all.get_mut(..dimensions.len())?.copy_from_slice(dimensions);
        Some(Self { dimensions: all, count: dimensions.len() as u8 })
    }

    /// The dimensions as stored, the length of a row first.
    pub fn dimensions(&self) -> &[u64] {
        &self.dimensions[..usize::from(self.count)]
    }

    /// Values in a row; 1 if there are no dimensions.
    pub const fn row(&self) -> u64 {
        self.dimensions[0]
    }

    /// Number of rows: the product of all dimensions but the first. `None` if it does not fit.
    pub fn rows(&self) -> Option<u64> {
        product(&self.dimensions[1..])
    }

    /// Number of values. `None` if it does not fit.
    pub fn values(&self) -> Option<u64> {
        product(&self.dimensions)
    }
}

/// Returns the product, unless it is above 2^63 - 1. It is 0 if any factor is 0.
fn product(factors: &[u64]) -> Option<u64> {
    if factors.contains(&0) {
        return Some(0);
    }
    let product = factors.iter().try_fold(1_u64, |product, factor| product.checked_mul(*factor))?;
    (product <= i64::MAX as u64).then_some(product)
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dimensions().fmt(f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<_> = self.dimensions().iter().map(u64::to_string).collect();
        f.pad(&text.join(" x "))
    }
}

/// A tensor as the table of a file describes it.
///
/// Exhaustive: an entry of the table holds these four things, and callers build it, too.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its dimensions, the length of a row first.
    pub shape: Shape,
    /// Its type.
    pub ty: TensorType,
    /// Where its data begins, in bytes from the start of the data section.
    pub offset: u64,
}

impl TensorInfo {
    /// Bytes of the data; `None` if the type is unknown, rows are not whole blocks or the number
    /// does not fit. Padding is not counted.
    pub fn bytes(&self) -> Option<u64> {
        self.shape.values()?;
        self.row_bytes()?.checked_mul(self.shape.rows()?)
    }

    /// Bytes of a row; `None` as for [`bytes`](Self::bytes).
    pub fn row_bytes(&self) -> Option<u64> {
        self.ty.known()?.row_bytes(self.shape.row())
    }
}
