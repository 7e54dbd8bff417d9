//! Checks with the oldest Rust that the manifest promises: all targets, other features, another
//! processor.

use std::process::{Command, Stdio};

use super::Outcome;
use xtask::run::{cargo, root, timed};

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

/// One pass serves two promises: the oldest Rust builds everything, and its clippy, which does not
/// change with the machine, is silent.
pub(super) fn lint() -> anyhow::Result<Outcome> {
    let line = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    match Toolchain::oldest() {
        Ok(oldest) => oldest.cargo(&line, &[]),
        Err(reason) => {
            cargo(&line, &[])?;
            let reason = format!("clippy of this Rust is silent, but Rust {OLDEST}: {reason}");
            Ok(Outcome::Skipped(reason))
        }
    }
}

pub(super) fn features() -> anyhow::Result<Outcome> {
    check(FEATURES, &Toolchain::oldest().unwrap_or(Toolchain::CURRENT), &[])
}

pub(super) fn wasm() -> anyhow::Result<Outcome> {
    let toolchain = Toolchain::oldest().unwrap_or(Toolchain::CURRENT);
    match toolchain.add_target(WASM_TARGET) {
        Ok(()) => check(WASM, &toolchain, &["--target", WASM_TARGET]),
        Err(reason) => Ok(Outcome::Skipped(format!("{WASM_TARGET}: {reason}"))),
    }
}

/// Uses what [`lint`] has compiled.
pub(super) fn docs() -> anyhow::Result<Outcome> {
    let toolchain = Toolchain::oldest().unwrap_or(Toolchain::CURRENT);
    toolchain.cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
}

fn check(builds: &[Build], toolchain: &Toolchain, more: &[&str]) -> anyhow::Result<Outcome> {
    for build in builds {
        let line = [&["check", "-p", build.package][..], build.arguments, more].concat();
        toolchain.cargo(&line, &[])?;
    }
    Ok(Outcome::Passed)
}

/// A Rust of rustup; without a name, the one that runs this program.
struct Toolchain(Option<&'static str>);

impl Toolchain {
    const CURRENT: Self = Self(None);

    /// The oldest Rust with its clippy, which are installed if need be; or why there are none.
    fn oldest() -> Result<Self, String> {
        let installed = ["run", OLDEST, "cargo", "clippy", "--version"];
        let install = ["toolchain", "install", OLDEST, "--profile", "minimal"];
        let install = [&install[..], &["--component", "clippy", "--no-self-update"]].concat();
        rustup(&installed).or_else(|_| rustup(&install))?;
        Ok(Self(Some(OLDEST)))
    }

    fn cargo(&self, arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Outcome> {
        let Some(name) = self.0 else {
            cargo(arguments, environment)?;
            return Ok(Outcome::Passed);
        };
        let line = format!("rustup run {name} cargo {}", arguments.join(" "));
        let mut command = Command::new("rustup");
        command.args(["run", name, "cargo"]).args(arguments).envs(environment.iter().copied());
        timed(command.current_dir(root()), &line)?;
        Ok(Outcome::Passed)
    }

    fn add_target(&self, target: &str) -> Result<(), String> {
        let current = std::env::var("RUSTUP_TOOLCHAIN").unwrap_or_default();
        let name = self.0.unwrap_or(&current);
        let mut line = vec!["target", "add", target];
        if !name.is_empty() {
            line.extend(["--toolchain", name]);
        }
        rustup(&line)
    }
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
