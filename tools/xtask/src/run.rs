//! Running programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Run the cargo that runs this program, in the root of the repository, and say how long it took.
///
/// # Errors
/// If it cannot be started or fails.
pub fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let line = format!("cargo {}", arguments.join(" "));
    let mut command = Command::new(program());
    command.args(arguments).envs(environment.iter().copied()).current_dir(root());
    timed(&mut command, &line)
}

/// Run a command, whose line is shown, and say how long it took.
///
/// # Errors
/// If it cannot be started or fails.
pub fn timed(command: &mut Command, line: &str) -> anyhow::Result<()> {
    println!("> {line}");
    let begin = Instant::now();
    let status = command.status().with_context(|| line.to_owned())?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    println!("> {line}: {:.1} s\n", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Whether cargo has a subcommand that does not come with it.
pub fn has_subcommand(name: &str) -> bool {
    Command::new(program())
        .args([name, "--help"]) // cargo-zigbuild has no --version
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The cargo that runs this program.
pub fn program() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// The folder that cargo builds in.
pub fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| root().join("target"))
}

/// The program, as `cargo build --release` leaves it.
#[cfg(unix)]
pub fn program_of_release() -> PathBuf {
    target().join("release/granule")
}
