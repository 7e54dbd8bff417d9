//! A tensor is missing that readers of the architecture need.
//!
//! This rule covers architectures that have a description, split sets whose files are all
//! present, and files with at least half of the needed tensors. A file with fewer is not meant to
//! be a whole model.
//!
//! **Why it is bad.** Readers refuse the file.
//!
//! **How to fix.** Convert the checkpoint again, and check that all its files are there.

use super::{Check, note};
use crate::check::Field;
use crate::check::view::View;
use crate::check::whole::Whole;
use crate::prelude::*;

/// Tensors that can replace several others, or be replaced by them.
const JOINED: &[(&str, &[&str])] = &[
    ("attn_qkv.weight", &["attn_q.weight", "attn_k.weight", "attn_v.weight"]),
    ("ffn_gate_up_exps.weight", &["ffn_gate_exps.weight", "ffn_up_exps.weight"]),
];

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let Some(whole) = view.whole() else { return };
    // one walk for both questions: which are missing, and whether most are there
    let (mut absent, mut all) = (Vec::new(), 0);
    each(view, whole, &whole.layers(), &mut |name, is_there| {
        all += 1;
        if !is_there {
            absent.push(name.to_owned());
        }
    });
    if view.has_most(|| 2 * absent.len() <= all) {
        let architecture = view.architecture().unwrap_or_default();
        let expected = format_args!("this tensor, which {architecture} models need");
        for name in &absent {
            out.add(view.table_start(), Field::tensor(name), note("nothing", expected));
        }
    }
});

/// Calls `found` with the name of each missing tensor that is needed outside blocks or in one of
/// these blocks. Missing blocks are skipped.
pub(super) fn missing(
    view: &View<'_>,
    whole: &Whole<'_>,
    layers: &[u64],
    found: &mut dyn FnMut(&str),
) {
    if view.has_most(|| has_most(view, whole)) {
        each(view, whole, layers, &mut |name, is_there| {
            if !is_there {
                found(name);
            }
        });
    }
}

/// Whether most of the tensors that are needed are there.
fn has_most(view: &View<'_>, whole: &Whole<'_>) -> bool {
    let (mut there, mut all) = (0_u64, 0);
    each(view, whole, &whole.layers(), &mut |_, is_there| {
        there += u64::from(is_there);
        all += 1;
    });
    2 * there >= all
}

/// Calls `found` with the name of each needed tensor and whether it is present.
fn each(view: &View<'_>, whole: &Whole<'_>, layers: &[u64], found: &mut dyn FnMut(&str, bool)) {
    let Some(needed) = view.needed.filter(|_| !whole.stacks.is_empty()) else { return };
    needed(view.header.metadata(), layers, &mut |name| {
        if whole.has_block_of(name) {
            found(name, whole.get(name).is_some() || is_joined(whole, name));
        }
    });
}

/// Returns whether one or several other tensors hold what this one would.
fn is_joined(whole: &Whole<'_>, name: &str) -> bool {
    JOINED.iter().any(|(joined, parts)| {
        if let Some(start) = name.strip_suffix(joined) {
            return parts.iter().all(|part| whole.get(&format!("{start}{part}")).is_some());
        }
        let start = parts.iter().find_map(|part| name.strip_suffix(part));
        start.is_some_and(|start| whole.get(&format!("{start}{joined}")).is_some())
    })
}

#[cfg(test)]
mod tests {
    use crate::check::testing::{Forge, gives, set_gives_with, shard};
    use crate::check::{Options, check};
    use crate::{BlockType, Metadata};

    /// Architectures called `test` need an embedding, and in each block `a` and `attn_q`.
    fn needed(metadata: &Metadata, layers: &[u64], found: &mut dyn FnMut(&str)) {
        if metadata.text("general.architecture") != Ok(Some("test")) {
            return;
        }
        found("embedding.weight");
        for layer in layers {
            found(&format!("blk.{layer}.a.weight"));
            found(&format!("blk.{layer}.attn_q.weight"));
        }
    }

    fn options() -> Options<'static> {
        Options { needed: Some(needed), ..Options::default() }
    }

    #[track_caller]
    fn names_give(architecture: &str, names: &[&str], expected: &[&str]) {
        let mut forge = Forge::new().key("general.architecture", architecture);
        for name in names {
            forge = forge.tensor(name, &[8], BlockType::F32);
        }
        gives(&check(&forge.bytes(), &options()), expected);
    }

    #[test]
    fn missing() {
        let full = ["embedding.weight", "blk.0.a.weight", "blk.0.attn_q.weight"];
        names_give("test", &full, &[]);
        names_give("test", &full[1..], &["S023"]);
        names_give("test", &full[..2], &["S023"]);
        names_give("test", &["embedding.weight", "blk.0.a.weight", "blk.1.a.weight"], &["S023"; 2]);
        // not a whole model, nor meant to be
        names_give("test", &["embedding.weight", "blk.0.x.weight"], &[]);
        names_give("other", &full[1..], &[]);
        // no blocks at all: not a model of this kind
        names_give("test", &["x"], &[]);
        let joined = ["embedding.weight", "blk.0.a.weight", "blk.0.attn_qkv.weight"];
        names_give("test", &joined, &[]);
    }

    #[test]
    fn what_two_rules_could_say_is_said_once() {
        let names = ["embedding.weight", "blk.0.a.weight", "blk.0.attn_q.weight", "blk.1.a.weight"];
        names_give("test", &names, &["S023"]);
        names_give("other", &names, &["S022"]);
    }

    #[test]
    fn shards() {
        let names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
        let set = |first: &str, second: &str| {
            [(names[0], shard(0, 2, 2, first)), (names[1], shard(1, 2, 2, second))]
        };
        set_gives_with(&set("blk.0.a.weight", "blk.0.attn_q.weight"), options(), &["S023"]);
        let [first, (_, second)] = set("blk.0.a.weight", "blk.0.attn_q.weight");
        let second = second.key("x", 1_u32);
        let whole =
            [first.clone(), (names[1], second.tensor("embedding.weight", &[8], BlockType::F32))];
        // one tensor more than the keys say
        set_gives_with(&whole, options(), &["X004"]);
        // without the others nothing can be said
        gives(&check(&first.1.bytes(), &options()), &[]);
    }
}
