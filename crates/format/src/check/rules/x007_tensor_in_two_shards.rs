//! A tensor of this shard is also in another shard.
//!
//! **Why it is bad.** One reader uses the first, another the last; the reference refuses the set.
//!
//! **How to fix.** Split the model again.

use super::{Check, note};

pub(super) const CHECK: Check = Check::Table(|view, out| {
    for (name, header) in view.other_shards() {
        for (tensor, entry) in view.tensors() {
            if header.tensor(&tensor.name).is_some() {
                let found = format_args!("the tensor in {name:?}, too");
                out.tensor(tensor, entry, note(found, "the tensor in one shard only"));
            }
        }
    }
});

#[cfg(test)]
mod tests {
    use crate::check::testing::{set_gives, shard};

    #[test]
    fn twice() {
        let set = |tensor| {
            [
                ("m-00001-of-00002.gguf", shard(0, 2, 2, "a")),
                ("m-00002-of-00002.gguf", shard(1, 2, 2, tensor)),
            ]
        };
        set_gives(&set("a"), &["X007"]);
        set_gives(&set("b"), &[]);
    }
}
