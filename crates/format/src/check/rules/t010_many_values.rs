//! The dimensions of a tensor multiply to more than 2^63 - 1 values.
//!
//! **Why it is bad.** The product wraps: a reader that does not check reserves little memory for a
//! tensor that it treats as huge.
//!
//! **How to fix.** Write the file again.

use super::{Check, note};
use crate::container::Shape;
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match &error.kind {
    ErrorKind::TensorTooLarge(dimensions) => match Shape::as_stored(dimensions)?.values() {
        None => Some(note(format_args!("dimensions {dimensions:?}"), "a product that fits")),
        Some(_) => None,
    },
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn product() {
        for dimensions in [&[1 << 32, 1 << 32][..], &[1 << 16; 4], &[1 << 62, 2]] {
            Forge::model().row(b"b", dimensions, 24, &[0; 32]).gives(&["T010"]);
        }
        Forge::model().row(b"b", &[32], 24, &[0; 32]).gives(&[]);
    }
}
