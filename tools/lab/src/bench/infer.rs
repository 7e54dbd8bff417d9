//! Whole models: tokens a second of prompts and of generation.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use xtask::run::{cargo, root};

use super::median;
use crate::conformance::flag;
use crate::record::Record;

const HELP: &str = "bench infer MODEL.gguf ... [--exact]
    --exact                   with decoded weights; llama.cpp does not take part
    --prompt N --tokens N     tokens of the prompt, and generated after it (default: 512, 64)
    --threads N               with N threads only (default: with 1, then with 2)
    --rounds N                rounds in which both take turns (default: 5)";

/// Tables of the speed of models; see [`HELP`].
///
/// Both are processes of their own, which take turns; of the rounds the median counts.
pub(super) fn measure(arguments: &[String], record: &mut Record) -> anyhow::Result<()> {
    let number = |name: &str, default: usize| flag(arguments, name).map_or(Ok(default), str::parse);
    let (rounds, threads) = (number("--rounds", 5)?, number("--threads", 0)?);
    let sizes = [number("--prompt", 512)?, number("--tokens", 64)?];
    let exact = arguments.iter().any(|argument| argument == "--exact");
    let models: Vec<&String> =
        arguments.iter().filter(|argument| argument.ends_with(".gguf")).collect();
    ensure!(!models.is_empty(), "{HELP}");
    cargo(&["build", "--release", "--package", "granule-infer", "--example", "speed"], &[])?;
    // this program is built in release mode too
    let program = std::env::current_exe()?;
    let program = program.parent().context("this program is in no folder")?;
    let program = program.join("examples/speed");
    let python = PathBuf::from(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()));
    let script = root().join("tools/reference/speed.py");

    println!("Tokens a second, medians of {rounds} rounds.\n");
    println!("| model | threads | what | llama.cpp | Granule | ratio |");
    println!("|---|---|---|---|---|---|");
    for model in models {
        for threads in if threads == 0 { vec![1, 2] } else { vec![threads] } {
            let mut speeds = [const { Vec::new() }; 4];
            for _ in 0..rounds {
                let mut command = Command::new(&program);
                command.args(exact.then_some("--exact"));
                let ours = run(command, model, sizes, threads)?;
                let theirs = if exact {
                    [0.0; 2]
                } else {
                    let mut command = Command::new(&python);
                    command.arg(&script);
                    run(command, model, sizes, threads)?
                };
                for (all, speed) in speeds.iter_mut().zip(ours.into_iter().chain(theirs)) {
                    all.push(speed);
                }
            }
            let [read, written, their_read, their_written] = speeds.map(|mut all| median(&mut all));
            let name = Path::new(model).file_stem().unwrap_or_default().to_string_lossy();
            let name = if exact { format!("{name}, exact") } else { name.into_owned() };
            for (what, ours, theirs) in
                [("prompt", read, their_read), ("generation", written, their_written)]
            {
                let other = (theirs > 0.0).then_some(("llama.cpp", theirs));
                let case = format!("{name}: {what}, {threads} threads");
                record.add(&case, "tokens/s", ours, other);
                let [cell, ratio] = match other {
                    Some((_, theirs)) => [format!("{theirs:.0}"), format!("{:.2}", ours / theirs)],
                    None => [String::new(), String::new()],
                };
                println!("| {name} | {threads} | {what} | {cell} | {ours:.0} | {ratio} |");
            }
        }
    }
    Ok(())
}

/// Tokens a second of the prompt and of generation, after a round that is not counted.
fn run(
    mut command: Command,
    model: &str,
    [prompt, tokens]: [usize; 2],
    threads: usize,
) -> anyhow::Result<[f64; 2]> {
    let number = |number: usize| number.to_string();
    command.arg(model).args(["--rounds", "1", "--prompt", &number(prompt)]);
    command.args(["--tokens", &number(tokens), "--threads", &number(threads)]);
    let output = command.stderr(Stdio::null()).output();
    let output = output.with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(output.status.success(), "{command:?} failed ({})", output.status);
    let line = String::from_utf8(output.stdout)?;
    let numbers = line.split_whitespace().map(|word| Ok(word.parse()?));
    let numbers: Vec<f64> = numbers.collect::<anyhow::Result<_>>()?;
    numbers.try_into().ok().with_context(|| format!("{command:?} prints {line:?}"))
}
