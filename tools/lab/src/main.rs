//! Experiments with Granule, which `cargo xtask` runs: comparing it with the reference, measuring
//! it, and trying to break it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod bench;
mod conformance;
mod dist;
#[cfg(unix)]
mod faults;
mod fuzz;
mod generate;
#[cfg(unix)]
mod kills;
mod record;

use std::process::ExitCode;

/// An experiment, called with the arguments after its name.
type Task = fn(&[String]) -> anyhow::Result<()>;

/// The table of experiments; `tools/xtask/src/main.rs` has their help.
const EXPERIMENTS: &[(&str, Task)] = &[
    ("bench", bench::bench),
    ("conformance", conformance::conformance),
    ("dist", dist::dist),
    #[cfg(unix)]
    ("faults", faults::faults),
    ("fuzz", fuzz::fuzz),
    ("gen", generate::generate),
    #[cfg(unix)]
    ("kills", kills::kills),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("", String::as_str);
    let Some((_, experiment)) = EXPERIMENTS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = EXPERIMENTS.iter().map(|(name, _)| *name).collect();
        eprintln!("name an experiment: {}", known.join(", "));
        return ExitCode::from(2);
    };
    match experiment(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
