//! The Python package: wheel and tests.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::Context;

use super::Outcome;
use xtask::run::{root, target, timed};

/// Names under which a Python may be found, and the oldest one that is supported.
const NAMES: &[&str] = &["python3", "python"];
const OLDEST: &str = "(3, 9)";

/// What the tests need; all of it comes as wheels.
const PACKAGES: &[&str] = &["maturin>=1.9,<2", "ml_dtypes", "numpy", "pytest"];

/// Builds a wheel with the profile of the other tests, so that nothing is compiled twice, installs
/// it into an environment of its own, and runs the tests there.
pub(super) fn python() -> anyhow::Result<Outcome> {
    let folder = target().join("python");
    let python = match &*ENVIRONMENT {
        Ok(python) => python,
        Err(reason) => return Ok(Outcome::Skipped(reason.clone())),
    };
    let wheels = folder.join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels)?;
    }
    let build = [
        "-m",
        "maturin",
        "build",
        "--profile",
        "dev",
        "--features",
        "as-workspace",
        "--quiet",
        "--out",
    ];
    let build = build.map(OsStr::new);
    run(python, &[&build[..], &[wheels.as_os_str()]].concat())?;
    let wheel = fs::read_dir(&wheels)?.next().context("maturin has built no wheel")??.path();
    let install =
        ["-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps"].map(OsStr::new);
    run(python, &[&install[..], &[wheel.as_os_str()]].concat())?;
    run(python, &["-m", "pytest", "-q", "-p", "no:cacheprovider"].map(OsStr::new))?;
    Ok(Outcome::Passed)
}

/// Begins to fetch packages, which mostly waits, while other steps compute.
pub(super) fn prepare() {
    std::thread::spawn(|| ENVIRONMENT.is_ok());
}

static ENVIRONMENT: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let folder = target().join("python");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    environment(&folder.join("venv"))
});

/// The interpreter of an environment with all packages, made if it is not there yet; or the reason
/// why there is none.
fn environment(folder: &Path) -> Result<PathBuf, String> {
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let is_ready = "import maturin, ml_dtypes, numpy, pytest";
    if succeeds(&python, &["-c", is_ready]) {
        return Ok(python);
    }
    let is_new_enough = format!("import sys, venv; sys.exit(sys.version_info < {OLDEST})");
    let base = NAMES.iter().find(|name| succeeds(Path::new(name), &["-c", &is_new_enough]));
    let base = base.ok_or("there is no Python of version 3.9 or newer with the module venv")?;
    let line = ["-m", "venv", "--clear", &folder.to_string_lossy()].map(str::to_owned);
    if !succeeds(Path::new(base), &line) {
        return Err(format!("{base} cannot make an environment"));
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    if !succeeds(&python, &[&install[..], PACKAGES].concat()) {
        return Err(format!("pip cannot install {}", PACKAGES.join(", ")));
    }
    Ok(python)
}

/// Whether a program ends well; it says nothing.
fn succeeds(program: &Path, arguments: &[impl AsRef<OsStr>]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Run a program in the folder of the package, and say how long it took.
fn run(program: &Path, arguments: &[&OsStr]) -> anyhow::Result<()> {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let line = format!("python {}", words.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).env("CARGO_TARGET_DIR", target());
    timed(command.current_dir(root().join("crates/python")), &line)
}
