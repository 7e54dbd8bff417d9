//! What a change has to pass.

use std::time::Instant;

use crate::Task;
use crate::run::{cargo, has_subcommand};

/// The steps in the order of how soon they can fail.
const STEPS: &[Task] = &[format, lint, test, docs, examples, deny];

pub(crate) fn ci(arguments: &[String]) -> anyhow::Result<()> {
    let begin = Instant::now();
    for step in STEPS {
        step(arguments)?;
    }
    println!("ci: everything passed in {:.0} s", begin.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) fn format(_: &[String]) -> anyhow::Result<()> {
    cargo(&["fmt", "--all", "--", "--check"], &[])
}

pub(crate) fn lint(_: &[String]) -> anyhow::Result<()> {
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
}

/// Arguments go to `cargo test`. Documentation tests are part of it.
pub(crate) fn test(arguments: &[String]) -> anyhow::Result<()> {
    let mut line = vec!["test", "--workspace"];
    line.extend(arguments.iter().map(String::as_str));
    cargo(&line, &[])
}

pub(crate) fn docs(_: &[String]) -> anyhow::Result<()> {
    cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
}

pub(crate) fn examples(_: &[String]) -> anyhow::Result<()> {
    cargo(&["build", "--workspace", "--examples"], &[])
}

pub(crate) fn deny(_: &[String]) -> anyhow::Result<()> {
    if !has_subcommand("deny") {
        println!("> cargo deny: skipped, cargo-deny is not installed\n");
        return Ok(());
    }
    cargo(&["deny", "check"], &[])
}
