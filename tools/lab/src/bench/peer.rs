//! Other implementations in processes of their own, which answer a line of JSON with a line of
//! JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use xtask::run::root;

/// A running process, which ends when its input does.
pub(super) struct Peer {
    name: String,
    _process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// The reference, by `tools/reference/compute.py`.
    pub(super) fn reference() -> anyhow::Result<Self> {
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        let mut command = Command::new(python);
        // only errors are of interest
        command.arg(root().join("tools/reference/compute.py")).stderr(Stdio::null());
        Self::start("the reference", command)
    }

    /// Candle, by the program that [`build_candle`] has built.
    pub(super) fn candle(program: &Path, threads: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
            command.env(name, threads.to_string());
        }
        Self::start("candle", command)
    }

    fn start(name: &str, mut command: Command) -> anyhow::Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let to = process.stdin.take().context("standard input is piped")?;
        let from = BufReader::new(process.stdout.take().context("standard output is piped")?);
        Ok(Self { name: name.to_owned(), _process: process, to, from })
    }

    /// The answer; `None` if the peer cannot do what was asked for.
    pub(super) fn ask(&mut self, request: &Value) -> anyhow::Result<Option<Value>> {
        writeln!(self.to, "{request}")?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        ensure!(!line.is_empty(), "{} has stopped at {request}", self.name);
        let answer: Value = serde_json::from_str(&line)?;
        if let Some(error) = answer.get("error") {
            bail!("{}: {error}", self.name);
        }
        Ok(answer.get("without").is_none().then_some(answer))
    }

    /// The seconds in the answer.
    pub(super) fn seconds(&mut self, request: &Value) -> anyhow::Result<Option<f64>> {
        let Some(answer) = self.ask(request)? else { return Ok(None) };
        Ok(Some(answer["seconds"].as_f64().context("seconds")?))
    }
}

/// Build `benches/candle` for the processor at hand; gives the program.
pub(super) fn build_candle() -> anyhow::Result<PathBuf> {
    let folder = root().join("benches/candle");
    let target = std::env::var_os("CANDLE_TARGET_DIR").map_or(folder.join("target"), PathBuf::from);
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--target-dir"])
        .arg(&target)
        .current_dir(&folder)
        .env("RUSTFLAGS", "-Ctarget-cpu=native")
        .status()?;
    ensure!(status.success(), "candle cannot be built");
    Ok(target.join("release/granule-bench-candle"))
}
