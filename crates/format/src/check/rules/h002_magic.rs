//! The first four bytes are not `GGUF`.
//!
//! **Why it is bad.** It is another kind of file: a Git LFS pointer, a web page with an error
//! message, a checkpoint, a format older than GGUF. The report names the kind if it is known.
//!
//! **How to fix.** Download the file itself, or convert the checkpoint.

use super::{Check, note};
use crate::check::FileKind;
use crate::error::ErrorKind;
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Fault(|error| match &error.kind {
    ErrorKind::Magic(magic) => {
        let text = magic.escape_ascii();
        let kind = match FileKind::of(magic) {
            FileKind::Unknown | FileKind::Gguf => String::new(),
            known => format!(" ({known})"),
        };
        Some(note(format_args!("\"{text}\"{kind}"), "\"GGUF\""))
    }
    _ => None,
});

#[cfg(test)]
mod tests {
    use crate::check::testing::Forge;
    use crate::check::{FileKind, Options, check};

    #[test]
    fn other_magic() {
        for magic in [b"FUGG", b"ggml", b"GGUf", &[0; 4]] {
            Forge::model().with(|forge| forge.magic = *magic).gives(&["H002"]);
        }
        Forge::model().gives(&[]);
        let report = check(b"version https://git-lfs.github.com/spec/v1\n", &Options::default());
        assert_eq!(report.kind, FileKind::LfsPointer);
    }
}
