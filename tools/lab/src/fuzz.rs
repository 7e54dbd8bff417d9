//! Fuzzing with libFuzzer through cargo-fuzz.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use granule_fuzz_bodies::{TARGETS, Target, by_name, seeds};

use xtask::run::{has_subcommand, program, root};

/// Executions of a target, unless `--runs` says another number.
const RUNS: u64 = 100_000;

/// The most bytes in the committed corpus of a target.
const MOST_CORPUS_BYTES: u64 = 64 << 10;

/// The most files in it.
const MOST_CORPUS_FILES: usize = 100;

/// Run targets: `fuzz [TARGET ...] [--runs N] [--minimize]`.
///
/// Targets that reach `unsafe` run under AddressSanitizer if there is a nightly toolchain, the
/// others without a sanitizer. The inputs that are found are kept in `fuzz/corpus`, which is not
/// committed. `--minimize` chooses a subset with the same coverage for `fixtures/fuzz`. Inputs that
/// break the program are left in `fuzz/artifacts`.
pub(crate) fn fuzz(arguments: &[String]) -> anyhow::Result<()> {
    if !has_subcommand("fuzz") {
        bail!("cargo-fuzz is missing: `cargo install cargo-fuzz`");
    }
    let (mut targets, mut runs, mut minimize) = (Vec::new(), RUNS, false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--minimize" => minimize = true,
            "--runs" => runs = arguments.next().context("--runs takes a number")?.parse()?,
            name => targets.push(by_name(name).with_context(|| {
                let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
                format!("there is no target {name:?}; there are {}", names.join(", "))
            })?),
        }
    }
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    let mut rows = Vec::new();
    for target in targets {
        let row = run(target, runs).with_context(|| target.name)?;
        if minimize {
            choose(target).with_context(|| target.name)?;
        }
        rows.push(row);
    }
    println!(
        "\n| target | sanitizer | executions | seconds | inputs that cover something new | \
         findings |"
    );
    println!("|---|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

/// Run a target; its row of the table.
fn run(target: &Target, runs: u64) -> anyhow::Result<String> {
    let corpus = root().join("fuzz/corpus").join(target.name);
    fs::create_dir_all(&corpus)?;
    for (i, seed) in seeds(target).iter().enumerate() {
        fs::write(corpus.join(format!("seed-{i}")), seed)?;
    }
    let committed = root().join("fixtures/fuzz").join(target.name);
    fs::create_dir_all(&committed)?;
    let begin = Instant::now();
    let mut process = cargo_fuzz(target, &[&corpus, &committed])
        .args([&format!("-runs={runs}"), "-timeout=20", "-rss_limit_mb=2048"])
        .args(["-print_final_stats=1", "-reload=0", "-detect_leaks=0"])
        .stderr(Stdio::piped())
        .spawn()?;
    let (mut executions, mut is_finding) = (None, false);
    let output = BufReader::new(process.stderr.take().context("standard error is piped")?);
    for line in output.lines() {
        let line = line?;
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            executions = Some(number.trim().to_owned());
        }
        is_finding |= ["panicked at", "ERROR: libFuzzer", "ERROR: AddressSanitizer"]
            .iter()
            .any(|text| line.contains(text));
        if is_finding || line.contains("pulse") {
            println!("  {line}");
        }
    }
    let status = process.wait()?;
    let (seconds, executions) = (begin.elapsed().as_secs(), executions.unwrap_or_default());
    ensure!(status.success(), "a finding after {executions} executions ({status}), see above");
    let inputs = fs::read_dir(&corpus)?.count();
    let sanitizer = sanitizer(target);
    Ok(format!("| {} | {sanitizer} | {executions} | {seconds} | {inputs} | 0 |", target.name))
}

/// Choose inputs with the coverage of all of them, and replace the committed ones.
fn choose(target: &Target) -> anyhow::Result<()> {
    let chosen = root().join("fuzz/corpus").join(format!("{}.chosen", target.name));
    let all = root().join("fuzz/corpus").join(target.name);
    let committed = root().join("fixtures/fuzz").join(target.name);
    let _ = fs::remove_dir_all(&chosen);
    fs::create_dir_all(&chosen)?;
    let status = cargo_fuzz(target, &[&chosen, &all, &committed])
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "the inputs cannot be chosen ({status})");
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&chosen)? {
        let path = entry?.path();
        inputs.push((fs::metadata(&path)?.len(), path));
    }
    // findings have names, and stay
    for entry in fs::read_dir(&committed)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            fs::remove_file(path)?;
        }
    }
    // of too many, some of each length
    inputs.sort();
    let most = inputs.len().min(MOST_CORPUS_FILES);
    let (mut bytes, mut files) = (0, 0);
    for (length, path) in (0..most).map(|i| &inputs[i * inputs.len() / most]) {
        bytes += length;
        if bytes > MOST_CORPUS_BYTES {
            break;
        }
        fs::copy(path, committed.join(path.file_name().context("a file has a name")?))?;
        files += 1;
    }
    println!("  {}: {files} of {} inputs are kept", target.name, inputs.len());
    fs::remove_dir_all(&chosen)?;
    Ok(())
}

/// The sanitizer that a target runs under, as cargo-fuzz calls it.
fn sanitizer(target: &Target) -> &'static str {
    static HAS_NIGHTLY: LazyLock<bool> = LazyLock::new(|| {
        let has = Command::new("rustup").args(["run", "nightly", "rustc", "--version"]).output();
        has.is_ok_and(|output| output.status.success())
    });
    if target.reaches_unsafe && *HAS_NIGHTLY { "address" } else { "none" }
}

/// `cargo fuzz run` with what every run of the target needs.
fn cargo_fuzz(target: &Target, folders: &[&Path]) -> Command {
    let sanitizer = sanitizer(target);
    let mut command = if sanitizer == "none" {
        let mut command = Command::new(program());
        // the instrumentation needs switches that only other compilers have without this
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    } else {
        let mut command = Command::new("rustup");
        command.args(["run", "nightly", "cargo"]);
        // what lives to the end of the process is the pool of threads, and tables
        command.env("ASAN_OPTIONS", "detect_leaks=0");
        command
    };
    command.current_dir(root());
    command.args(["fuzz", "run", "--sanitizer", sanitizer]);
    if !target.traces_comparisons {
        command.arg("--no-trace-compares");
    }
    command.arg(target.name).args(folders).arg("--");
    command.arg(format!("-max_len={}", target.max_bytes));
    if let Some(dictionary) = target.dictionary {
        command.arg(format!("-dict={}", root().join("fuzz").join(dictionary).display()));
    }
    command
}
