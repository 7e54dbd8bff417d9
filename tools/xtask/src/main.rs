//! Tasks of the project: `cargo xtask <task>`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod ci;
mod neon;

use std::process::{Command, ExitCode};

use anyhow::Context;
use xtask::run;

/// How a task is run.
enum Task {
    /// By a function, with the arguments after the task's name.
    Here(fn(&[String]) -> anyhow::Result<()>),
    /// By `tools/lab`, which needs all crates and is built with optimization.
    Lab,
}

use Task::{Here, Lab};

/// The table of tasks: name, how it is run, help.
const TASKS: &[(&str, Task, &str)] = &[
    ("ci", Here(ci::ci), "everything that a change has to pass, in steps"),
    ("neon", Here(neon::neon), "the reader's tests on AArch64, under qemu"),
    ("bench", Lab, "measure speed, most of it against the live reference"),
    ("conformance", Lab, "compare results with the live reference"),
    ("dist", Lab, "archives of the program for a release"),
    ("faults", Lab, "let every system call of a conversion fail (Unix; needs strace)"),
    ("fuzz", Lab, "the fuzz targets, with libFuzzer (needs cargo-fuzz)"),
    ("gen", Lab, "write files that are made from code and records: the chart, manual pages"),
    ("kills", Lab, "kill conversions, edits and joins (Unix)"),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("help", String::as_str);
    let Some((_, task, _)) = TASKS.iter().find(|(task, ..)| *task == name) else {
        println!("cargo xtask <task>\n");
        for (name, _, help) in TASKS {
            println!("  {name:<12} {help}");
        }
        let asked = matches!(name, "help" | "--help" | "-h");
        return if asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    let result = match task {
        Here(task) => task(&arguments[1..]).map(|()| ExitCode::SUCCESS),
        Lab => lab(&arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask {name}: {error:#}");
        ExitCode::FAILURE
    })
}

/// Run `tools/lab`, which says itself what fails.
fn lab(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let status = Command::new(run::program())
        .args(["run", "--quiet", "--release", "--package", "lab", "--"])
        .args(arguments)
        .status()
        .context("cargo cannot be started")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
