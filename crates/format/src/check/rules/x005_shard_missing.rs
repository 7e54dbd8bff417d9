//! The name of the file says that it is one of several, but one of them is missing or cannot be
//! read, or there is one too many.
//!
//! **Why it is bad.** The tensors of the missing shard are missing from the model.
//!
//! **How to fix.** Download the missing shards into the same folder; remove the extra one.

use super::{Check, note};
use crate::check::Field;
use crate::container::ShardName;
use crate::prelude::*;

pub(super) const CHECK: Check = Check::Metadata(|view, out| {
    let (Some(name), Some(siblings)) = (&view.name, view.siblings) else { return };
    let file = |name: &str| Field::Shard { file: name.to_owned() };
    let own = name.all().nth(name.number as usize - 1);
    for expected in name.all().filter(|expected| Some(expected) != own.as_ref()) {
        match siblings.iter().find(|sibling| sibling.name == expected) {
            None => out.add(0, file(&expected), note("nothing", "this shard")),
            Some(sibling) if sibling.header.is_none() => {
                out.add(0, file(&expected), note("a file without a readable header", "this shard"));
            }
            Some(_) => {}
        }
    }
    for sibling in siblings {
        if ShardName::parse(sibling.name).is_none() {
            let expected = format_args!("{} shards", name.count);
            out.add(0, file(sibling.name), note("another file of the set", expected));
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::{Forge, set_gives, shard};

    #[test]
    fn missing() {
        let first = ("m-00001-of-00002.gguf", shard(0, 2, 2, "a"));
        let second = ("m-00002-of-00002.gguf", shard(1, 2, 2, "b"));
        let broken = (second.0, Forge::new().with(|forge| forge.tail = -1));
        let third = ("m-00003-of-00002.gguf", shard(1, 2, 2, "c"));
        set_gives(core::slice::from_ref(&first), &["X005"]);
        set_gives(&[first.clone(), broken], &["X005"]);
        set_gives(&[first.clone(), second.clone(), third], &["X005"]);
        set_gives(&[first, second], &[]);
    }
}
