//! `split.no` or `split.count` contradicts the name of the file (`-00002-of-00003.gguf` has number
//! 1 of 3), or another shard has the same number.
//!
//! **Why it is bad.** Files were renamed or mixed up: the reference refuses the set.
//!
//! **How to fix.** Give the files their original names, or split the model again.

use super::{Check, note};
use crate::check::Field;
use crate::container::{Header, SHARD_COUNT, SHARD_NUMBER, ShardName};
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Metadata(|view, out| {
    let Some(own) = &view.name else { return };
    for (key, expected) in [(SHARD_NUMBER, own.number - 1), (SHARD_COUNT, own.count)] {
        if view.get(key).and_then(|value| value.as_integer()) != Some(expected.into()) {
            out.value_is(view, key, format_args!("{expected}, by the file's name"));
        }
    }
    for (name, header) in view.other_shards() {
        // superfluous shards have their own rule
        let Some(expected) = ShardName::parse(name).map(|name| name.number - 1) else { continue };
        let found = number(header);
        if found != Some(expected.into()) {
            let found = found.map_or_else(|| "nothing".to_owned(), |number| number.to_string());
            let note = note(format_args!("{SHARD_NUMBER} {found}"), expected);
            out.add(0, Field::Shard { file: name.to_owned() }, note);
        }
    }
});

fn number(header: &Header) -> Option<i128> {
    header.metadata().get(SHARD_NUMBER).and_then(|value| value.as_integer())
}

#[cfg(test)]
mod tests {
    use crate::check::testing::{set_gives, shard};

    #[test]
    fn numbers() {
        let set = |number| {
            [
                ("m-00001-of-00002.gguf", shard(0, 2, 2, "a")),
                ("m-00002-of-00002.gguf", shard(number, 2, 2, "b")),
            ]
        };
        set_gives(&set(0), &["X008"]);
        set_gives(&set(1), &[]);
        set_gives(&[set(1)[1].clone(), set(1)[0].clone()], &[]);
    }
}
