//! Files made from the code and from records.

mod chart;
mod man;

use anyhow::bail;

/// What can be made: name, function, help.
const KINDS: &[(&str, crate::Task, &str)] = &[
    ("chart", chart::generate, "benches/conversions.svg, from the newest records"),
    ("man", man::generate, "the manual pages: gen man [FOLDER] (default: target/man)"),
];

/// Make what is named first.
pub(crate) fn generate(arguments: &[String]) -> anyhow::Result<()> {
    let name = arguments.first().map_or("", String::as_str);
    match KINDS.iter().find(|(kind, ..)| *kind == name) {
        Some((_, generate, _)) => generate(&arguments[1..]),
        None => {
            for (name, _, help) in KINDS {
                println!("  {name:<10} {help}");
            }
            bail!("name what to make");
        }
    }
}
