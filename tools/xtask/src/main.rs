//! Tasks of the project: `cargo xtask <task>`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod bench;
mod ci;
mod conformance;
#[cfg(unix)]
mod faults;
mod fuzz;
#[cfg(unix)]
mod kills;
mod neon;
mod run;

use std::process::ExitCode;

/// What a task does with the arguments behind its name.
pub(crate) type Task = fn(&[String]) -> anyhow::Result<()>;

/// The table of tasks: name, function, help.
const TASKS: &[(&str, Task, &str)] = &[
    ("ci", ci::ci, "everything that a change has to pass: all of the tasks below"),
    ("format", ci::format, "the sources are formatted (`cargo fmt --all` formats them)"),
    ("lint", ci::lint, "clippy has nothing to say"),
    ("test", ci::test, "unit tests, integration tests, documentation tests"),
    ("docs", ci::docs, "the documentation builds without warnings"),
    ("examples", ci::examples, "the examples build"),
    ("conformance", conformance::conformance, "compare with the live reference (not part of ci)"),
    ("bench", bench::bench, "measure speed beside the live reference (not part of ci)"),
    ("fuzz", fuzz::fuzz, "the fuzz targets, with libFuzzer (needs cargo-fuzz; not part of ci)"),
    #[cfg(unix)]
    (
        "faults",
        faults::faults,
        "let every system call of a conversion fail (needs strace; not part of ci)",
    ),
    #[cfg(unix)]
    ("kills", kills::kills, "kill conversions while commands change (not part of ci)"),
    ("neon", neon::neon, "the reader's tests on AArch64, under qemu (not part of ci)"),
    ("deny", ci::deny, "licences and advisories (skipped where cargo-deny is not installed)"),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("help", String::as_str);
    let Some((_, task, _)) = TASKS.iter().find(|(task, ..)| *task == name) else {
        println!("cargo xtask <task>\n");
        for (name, _, help) in TASKS {
            println!("  {name:<10} {help}");
        }
        let asked = matches!(name, "help" | "--help" | "-h");
        return if asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    match task(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
