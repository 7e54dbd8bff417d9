//! Arrays are nested deeper than 16 levels.
//!
//! **Why it is bad.** Readers that call themselves for every level run out of stack, which stops the
//! whole process. No real file nests deeper than two levels.
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
