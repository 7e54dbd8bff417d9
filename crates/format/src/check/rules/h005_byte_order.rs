//! The version is stored in one byte order; the counts and keys after it are in the other.
//!
//! **Why it is bad.** A reader that trusts the version sees counts in the billions and refuses the
//! file, or tries to reserve that much memory.
//!
//! **How to fix.** Write the file again with a program that uses one byte order throughout. The
//! report also covers what could be read in the byte order of the counts.

use super::{Check, note};
use crate::error::ErrorKind;

pub(super) const CHECK: Check = Check::Fault(|error| match error.kind {
    ErrorKind::ByteOrder { version, body } => {
        Some(note(format_args!("{body} counts"), format_args!("{version}, as the version")))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;
    use crate::container::Endian;

    #[test]
    fn version_and_body() {
        for endian in [Endian::Little, Endian::Big] {
            let mut forge = Forge::new();
            forge.version_endian = endian;
            forge.endian = Endian::Big;
            let expected: &[&str] = if endian == Endian::Big { &[] } else { &["H005"] };
            forge.key("general.architecture", "test").gives(expected);
        }
    }
}
