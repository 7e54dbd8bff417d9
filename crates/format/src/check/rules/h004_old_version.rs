//! The file has version 1, with counts, lengths and dimensions of 32 bits.
//!
//! **Why it is bad.** Version 1 was in use for some days in August 2023; llama.cpp and most
//! readers no longer read it.
//!
//! **How to fix.** Convert the checkpoint again, or let `granule convert` write the file as
//! version 3.

use super::{Check, note};
use crate::check::Field;

pub(super) const CHECK: Check = Check::Header(|view, out| {
    if view.header.version() == 1 {
        out.add(4, Field::Header, note("version 1", "version 3"));
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;

    #[test]
    fn version_1() {
        Forge::new().with(|forge| forge.version = 1).gives(&["H004"]);
        Forge::new().with(|forge| forge.version = 2).gives(&[]);
    }
}
