//! Comparing Granule with the live reference. Needs the reference library and Python with numpy;
//! see the head of `tools/reference/blocks.py`.

mod blocks;
mod checkpoints;
mod errors;
mod examples;
mod field;
mod files;
mod logits;
mod matrices;
pub(crate) mod reference;
mod unusable;

use anyhow::bail;

/// The comparisons: name, function, help.
const COMPARISONS: &[(&str, crate::Task, &str)] = &[
    ("blocks", blocks::compare, "encode and decode random matrices with both, compare the bytes"),
    ("examples", examples::compare, "generate and embed with the examples, compare with llama.cpp"),
    (
        "checkpoints",
        checkpoints::compare,
        "convert checkpoints, compare with the reference's files",
    ),
    (
        "field",
        field::compare,
        "situations that people meet: run commands, look at what comes of them",
    ),
    ("files", files::compare, "quantize whole files with both, compare the bytes"),
    ("logits", logits::compare, "run models, compare logits with llama.cpp and transformers"),
    ("errors", errors::compare, "the error of each type on real weights, for both"),
];

/// Run the comparison that is named first.
pub(crate) fn conformance(arguments: &[String]) -> anyhow::Result<()> {
    let name = arguments.first().map_or("", String::as_str);
    match COMPARISONS.iter().find(|(comparison, ..)| *comparison == name) {
        Some((_, compare, _)) => compare(&arguments[1..]),
        None => {
            for (name, _, help) in COMPARISONS {
                println!("  {name:<12} {help}");
            }
            bail!("name one of the comparisons above");
        }
    }
}

/// The value after a flag: `--values 1000`.
pub(crate) fn flag<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}
