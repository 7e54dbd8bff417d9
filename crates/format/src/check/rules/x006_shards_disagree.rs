//! Shards of a set have different values of `split.count` or `split.tensors.count`.
//!
//! **Why it is bad.** They come from two different sets.
//!
//! **How to fix.** Download all shards again from one place.

use super::{Check, note};
use crate::check::Field;
use crate::check::view::show;
use crate::container::{SHARD_COUNT, SHARD_TENSORS};
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Metadata(|view, out| {
    for (name, header) in view.other_shards() {
        for key in [SHARD_COUNT, SHARD_TENSORS] {
            let (own, other) = (view.get(key), header.metadata().get(key));
            if own.and_then(|value| value.as_integer())
                != other.and_then(|value| value.as_integer())
            {
                let text = |value: Option<_>| value.map_or_else(|| "nothing".to_owned(), show);
                let (own, other) = (text(own), text(other));
                let found = format_args!("{key} {other}");
                let expected = format_args!("{own}, as in this file");
                out.add(0, Field::Shard { file: name.to_owned() }, note(found, expected));
            }
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::{set_gives, shard};

    #[test]
    fn disagree() {
        let first = ("m-00001-of-00002.gguf", shard(0, 2, 2, "a"));
        let second = ("m-00002-of-00002.gguf", shard(1, 2, 2, "b"));
        let other = ("m-00002-of-00002.gguf", shard(1, 2, 7, "b"));
        set_gives(&[first.clone(), other], &["X006"]);
        set_gives(&[first, second], &[]);
    }
}
