//! Arrays are nested more than 16 levels deep.
//!
//! **Why it is bad.** Readers that recurse into every level overflow the stack, which ends the
//! process. No real file nests more than two levels deep.
//!
//! **How to fix.** Flatten the array.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::Nesting(most) => {
        Some(note(format_args!("more than {most} levels"), format_args!("at most {most} levels")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::Array;
    use crate::check::testing::Forge;

    #[test]
    fn levels() {
        let nested = |levels: u32| {
            let inner = Array::U8(vec![1]);
            Forge::new().key("x", (1..levels).fold(inner, |array, _| Array::Array(vec![array])))
        };
        nested(17).gives(&["A003"]);
        nested(2000).gives(&["A003"]);
        nested(16).gives(&[]);
    }
}
