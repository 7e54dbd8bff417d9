use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use xtask::run::root;

use crate::record::{self, Row};

/// The bars: what stands in front of them, and the case of the record.
const CASES: &[(&str, &str)] = &[
    ("checkpoint to Q4_K_M", "SmolLM2-135M checkpoint, Q4_K_M: time"),
    ("F16 to Q4_K_M", "SmolLM2-135M F16, Q4_K_M: time"),
    ("F16 to IQ4_XS", "SmolLM2-135M F16, IQ4_XS: time"),
    ("F16 to IQ3_S", "SmolLM2-135M F16, IQ3_S: time"),
];

/// Widths and heights in pixels.
const WIDTH: f64 = 720.0;
const LABELS: f64 = 180.0;
const LONGEST: f64 = 440.0;
const BAR: f64 = 16.0;
const GROUP: f64 = 52.0;
const TOP: f64 = 64.0;

/// Colours for both kinds of background; the fonts are the reader's.
const STYLE: &str = "\
    text { font: 14px system-ui, sans-serif; fill: #1f2328 }\n\
    .title { font-weight: 600 }\n\
    .reference { fill: #8c959f }\n\
    .granule { fill: #0969da }\n\
    @media (prefers-color-scheme: dark) {\n\
      text { fill: #e6edf3 }\n\
      .reference { fill: #6e7681 }\n\
      .granule { fill: #4493f8 }\n\
    }";

/// Write the chart.
pub(super) fn generate(_: &[String]) -> anyhow::Result<()> {
    let path = path();
    fs::write(&path, chart(&record::read()?)?)?;
    println!("{} is up to date", path.display());
    Ok(())
}

fn path() -> PathBuf {
    root().join("benches/conversions.svg")
}

/// Bars for the newest record of each case.
fn chart(rows: &[Row]) -> anyhow::Result<String> {
    let mut bars = Vec::new();
    for (label, case) in CASES {
        let row = rows.iter().rfind(|row| row.case == *case).context(*case)?;
        ensure!(row.unit == "s", "{case}: not a time");
        bars.push((*label, row.granule, row.reference.context(*case)?));
    }
    let most = bars.iter().fold(0.0, |most: f64, (_, one, other)| most.max(*one).max(*other));
    let height = TOP + GROUP * bars.len() as f64;
    let title = "Converting SmolLM2-135M with 2 threads: seconds, shorter is better";
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n<style>\n{STYLE}\n\
         </style>\n<text class=\"title\" x=\"8\" y=\"22\">{title}</text>"
    )?;
    for (x, class, name) in
        [(LABELS, "granule", "Granule"), (LABELS + 100.0, "reference", "llama.cpp")]
    {
        writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"36\" width=\"12\" height=\"12\"/>\
             <text x=\"{}\" y=\"47\">{name}</text>",
            x + 18.0
        )?;
    }
    for (index, (label, own, other)) in bars.into_iter().enumerate() {
        let y = TOP + GROUP * index as f64;
        writeln!(svg, "<text x=\"8\" y=\"{}\">{label}</text>", y + 22.0)?;
        for (y, class, seconds) in [(y, "granule", own), (y + BAR + 2.0, "reference", other)] {
            let length = (seconds / most * LONGEST).max(1.0);
            writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{y}\" width=\"{length:.1}\" \
                 height=\"{BAR}\"/><text x=\"{:.1}\" y=\"{}\">{seconds:.2}</text>",
                LABELS + length + 6.0,
                y + 13.0
            )?;
        }
    }
    svg += "</svg>\n";
    Ok(svg)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_committed_chart_shows_the_newest_records() {
        let chart = chart(&record::read().unwrap()).unwrap();
        let same = fs::read_to_string(path()).unwrap() == chart;
        assert!(same, "write it again with `cargo xtask gen chart`");
    }

    #[test]
    fn the_newest_record_counts() {
        let mut rows = record::read().unwrap();
        let before = chart(&rows).unwrap();
        let mut newer = rows.iter().find(|row| row.case == CASES[0].1).unwrap().clone();
        newer.granule = 0.5;
        rows.push(newer);
        let after = chart(&rows).unwrap();
        assert!(!before.contains(">0.50<") && after.contains(">0.50<"));
    }
}
