//! The exponent of an MXFP4 block is 255, which stands for NaN.
//!
//! **Why it is bad.** All values of the block are NaN. (0 and 254 are legal.)
//!
//! **How to fix.** Quantize the original model again.

use super::{Check, note};
use crate::Defect;

pub(super) const CHECK: Check = Check::Defect(|defect| match defect {
    Defect::Exponent => Some(note("an exponent of 255", "0 to 254")),
    _ => None,
});
