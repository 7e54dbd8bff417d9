//! Measuring Granule and the live reference in one run on one machine. Most of it needs what
//! `conformance` needs. The figures are printed as tables and added to the records in
//! `benches/record`.

mod check;
mod clock;
mod encode;
mod files;
mod infer;
mod opening;
mod peer;
mod reader;
mod tools;

use anyhow::bail;

use crate::record::Record;

/// A measurement, called with the arguments after its name.
type Measure = fn(&[String], &mut Record) -> anyhow::Result<()>;

/// What can be measured: name, function, help.
const BENCHES: &[(&str, Measure, &str)] = &[
    ("check", check::measure, "opening and checking headers, scanning blocks (needs no reference)"),
    ("encode", encode::measure, "every encoder on real weights, for each instruction set"),
    ("files", files::measure, "whole conversions: time and peak memory"),
    ("infer", infer::measure, "whole models: tokens a second of prompts and of generation"),
    ("tools", tools::measure, "hash, split, join and edit, against the tools they replace"),
    ("reader", reader::measure, "decoding, products and opening files, against candle too"),
];

/// Run the measurement that is named first.
pub(crate) fn bench(arguments: &[String]) -> anyhow::Result<()> {
    let name = arguments.first().map_or("", String::as_str);
    match BENCHES.iter().find(|(bench, ..)| *bench == name) {
        Some((_, measure, _)) => {
            let mut record = Record::begin(name, &arguments[1..]);
            measure(&arguments[1..], &mut record)?;
            record.write()
        }
        None => {
            for (name, _, help) in BENCHES {
                println!("  {name:<10} {help}");
            }
            bail!("name one of the measurements above");
        }
    }
}

/// The middle one of several, which are put in order.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
