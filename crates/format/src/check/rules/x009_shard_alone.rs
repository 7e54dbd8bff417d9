//! The metadata says that the file is one of several, but its name does not end in the form
//! `-00001-of-00003.gguf`, so the others cannot be found. Or the files of a split set were
//! concatenated, which does not make one GGUF file: the header of the first knows only its own
//! tensors.
//!
//! **Why it is bad.** Readers refuse the file. It holds only a part of the model.
//!
//! **How to fix.** Give the file its original name, and put the others next to it. If files were
//! concatenated, go back to the single files; `granule convert FILE-00001-of-00003.gguf -t COPY`
//! merges them.

use super::{Check, note};
use crate::container::{MAGIC, SHARD_COUNT, SHARD_NUMBER, Value};
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let number = |key| view.get(key).and_then(Value::as_integer);
    let Some(count) = number(SHARD_COUNT).filter(|count| (2..=99_999).contains(count)) else {
        return;
    };
    let shard = number(SHARD_NUMBER).filter(|shard| (0..count).contains(shard));
    let shard = shard.map_or_else(String::new, |shard| format!("shard {} of ", shard + 1));
    let end = view.data_end().filter(|end| *end < view.header.file_bytes());
    let is_joined = end.is_some_and(|end| view.bytes(end, end + MAGIC.len() as u64) == MAGIC);
    let is_lone = view.file_name.is_some() && view.name.is_none();
    if is_joined {
        let found = format_args!("{shard}{count}, with another GGUF file joined to its end");
        let expected = format_args!(
            "{count} files; take the single files, `granule convert PART -t COPY` makes one of them"
        );
        out.value(view, SHARD_COUNT, note(found, expected));
    } else if is_lone {
        let place = number(SHARD_NUMBER).unwrap_or(0) + 1;
        let found = format_args!("{shard}{count} under another name");
        let expected = format_args!(
            "the name NAME-{place:05}-of-{count:05}.gguf, and the other files of the set next to it"
        );
        out.value(view, SHARD_COUNT, note(found, expected));
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::{gives, shard};
    use crate::check::{Options, Report, check};

    fn named(name: &str, bytes: &[u8]) -> Report {
        check(bytes, &Options { name: Some(name), ..Options::default() })
    }

    #[test]
    fn names() {
        let file = shard(1, 3, 3, "a").bytes();
        for name in ["sha256-0123", "m.gguf", "m-00002-of-00003.bin"] {
            let report = named(name, &file);
            gives(&report, &["X009"]);
            assert!(report.findings[0].expected.contains("NAME-00002-of-00003.gguf"));
            assert_eq!(report.findings[0].found, "shard 2 of 3 under another name");
        }
        gives(&named("m-00002-of-00003.gguf", &file), &[]);
        shard(1, 3, 3, "a").gives(&[]); // nothing is known of the name
        gives(&named("m.gguf", &shard(0, 1, 1, "a").bytes()), &[]);
    }

    #[test]
    fn joined() {
        let joined = [shard(0, 2, 2, "a").bytes(), shard(1, 2, 2, "b").bytes()].concat();
        for report in [named("m.gguf", &joined), named("m-00001-of-00002.gguf", &joined)] {
            gives(&report, &["O007", "X009"]);
            let finding = report.findings.iter().find(|finding| finding.rule.id == "X009");
            assert!(finding.unwrap().found.contains("joined to its end"));
        }
        gives(&check(&joined, &Options::default()), &["O007", "X009"]);
    }
}
