//! Builds with other features, other targets and another compiler.

use std::process::{Command, Stdio};

use anyhow::bail;

use super::Outcome;
use xtask::run::{cargo, root};

/// A build of a crate that differs from `cargo build`.
struct Build {
    package: &'static str,
    arguments: &'static [&'static str],
}

/// Without default features, for this machine.
const FEATURES: &[Build] = &[
    Build { package: "granule-format", arguments: &["--no-default-features"] },
    Build { package: "granule-reader", arguments: &["--no-default-features"] },
];

/// For WebAssembly.
const WASM: &[Build] = &[
    Build { package: "granule-format", arguments: &["--no-default-features"] },
    Build { package: "granule-reader", arguments: &["--no-default-features"] },
];

const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The oldest Rust that the workspace's manifest promises.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

pub(super) fn features() -> anyhow::Result<Outcome> {
    check(FEATURES, &[])
}

pub(super) fn wasm() -> anyhow::Result<Outcome> {
    let toolchain = std::env::var("RUSTUP_TOOLCHAIN").unwrap_or_default();
    let mut line = vec!["target", "add", WASM_TARGET];
    if !toolchain.is_empty() {
        line.extend(["--toolchain", &toolchain]);
    }
    match rustup(&line) {
        Ok(()) => check(WASM, &["--target", WASM_TARGET]),
        Err(reason) => Ok(Outcome::Skipped(format!("{WASM_TARGET}: {reason}"))),
    }
}

fn check(builds: &[Build], more: &[&str]) -> anyhow::Result<Outcome> {
    for build in builds {
        let line = [&["check", "-p", build.package][..], build.arguments, more].concat();
        cargo(&line, &[])?;
    }
    Ok(Outcome::Passed)
}

/// Checks the crates alone, without tests and tools: those are for people who have a newer Rust.
pub(super) fn msrv() -> anyhow::Result<Outcome> {
    let installed = ["run", OLDEST, "cargo", "--version"];
    let install = ["toolchain", "install", OLDEST, "--profile", "minimal", "--no-self-update"];
    if let Err(reason) = rustup(&installed).or_else(|_| rustup(&install)) {
        return Ok(Outcome::Skipped(format!("Rust {OLDEST}: {reason}")));
    }
    println!("> rustup run {OLDEST} cargo check");
    let status = Command::new("rustup")
        .args(["run", OLDEST, "cargo", "check"])
        .current_dir(root())
        .status()?;
    if !status.success() {
        bail!("Rust {OLDEST} does not build the crates ({status})");
    }
    Ok(Outcome::Passed)
}

/// Run rustup; if that fails, the reason in one line.
fn rustup(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("rustup")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|_| "rustup is not installed".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    Err(format!("rustup cannot install it: {}", reason.unwrap_or("no reason given")))
}
