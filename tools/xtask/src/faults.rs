//! Conversions whose every system call fails in turn.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, bail, ensure};

use crate::run::{cargo, root};

/// Calls with which a file is opened, read, written, put in its place and made to last.
const CALLS: &[&str] = &[
    "openat",
    "pread64",
    "read",
    "write",
    "pwrite64",
    "pwritev",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
];

/// How they fail.
const ERRORS: &[&str] = &["EIO", "ENOSPC"];

/// Quantize a small model again and again, and let one call fail each time: `faults`. Afterwards the file is absent or
/// complete, and nothing else is left. Needs strace.
pub(crate) fn faults(_arguments: &[String]) -> anyhow::Result<()> {
    ensure!(Command::new("strace").arg("-V").output().is_ok(), "strace is missing");
    cargo(&["build", "--release", "-p", "granule"], &[])?;
    let granule = root().join("target/release/granule");
    let granule = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => Path::new(&folder).join("release/granule"),
        None => granule,
    };
    let folder = std::env::temp_dir().join(format!("granule-faults-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let result = run(&granule, &folder);
    fs::remove_dir_all(&folder)?;
    result
}

fn run(granule: &Path, folder: &Path) -> anyhow::Result<()> {
    let checkpoint = root().join("fixtures/checkpoints/llama2-spm-256");
    let made = Command::new(granule)
        .arg("convert")
        .arg(&checkpoint)
        .args(["--outtype", "f16", "-q", "-o", "model.gguf"])
        .current_dir(folder)
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let quantize = |strace: &[String]| -> anyhow::Result<Output> {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "calls.txt"]).args(strace).arg(granule);
        command.args(["convert", "model.gguf", "-t", "Q8_0", "-o", "out.gguf", "-q"]);
        command.current_dir(folder).output().context("strace")
    };
    ensure!(quantize(&[])?.status.success(), "without a fault it works");
    let calls = fs::read_to_string(folder.join("calls.txt"))?;
    let complete = fs::read(folder.join("out.gguf"))?;

    let (mut runs, mut absent) = (0, 0);
    for call in CALLS {
        let count = calls.lines().filter(|line| line.contains(&format!(" {call}("))).count();
        for error in ERRORS {
            for which in 1..=count {
                let _ = fs::remove_file(folder.join("out.gguf"));
                let inject = format!("inject={call}:error={error}:when={which}");
                let trace = format!("trace={call}");
                let output = quantize(&["-e".into(), trace, "-e".into(), inject])?;
                let what = format!("{error} at {call} number {which}");
                let is_there = look(folder, &complete, &output).context(what)?;
                absent += usize::from(!is_there);
                runs += 1;
            }
        }
        if count > 0 {
            println!("{call}: {count} calls");
        }
    }
    println!(
        "{runs} runs, {absent} of them failed without a file, the others have the complete one"
    );
    Ok(())
}

/// Whether the file is there, after a run that may have failed.
fn look(folder: &Path, complete: &[u8], output: &Output) -> anyhow::Result<bool> {
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(!message.contains("panicked"), "{message}");
    let mut is_there = false;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            "model.gguf" | "calls.txt" => {}
            "out.gguf" => {
                ensure!(fs::read(folder.join(name))? == complete, "a wrong file: {message}");
                is_there = true;
            }
            _ => bail!("{name} is left: {message}"),
        }
    }
    ensure!(is_there || !output.status.success(), "success without a file");
    Ok(is_there)
}
