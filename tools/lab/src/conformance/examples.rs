use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use xtask::run::{cargo, root};

/// Generate text and embed sentences with the examples and with llama.cpp: `examples
/// MODEL.gguf...`.
///
/// The script says what is compared and which Python packages it needs.
pub(super) fn compare(arguments: &[String]) -> anyhow::Result<()> {
    ensure!(
        !arguments.is_empty(),
        "give GGUF files of the architectures llama or bert, or vocabularies next to their texts"
    );
    cargo(&["build", "--release", "--package", "granule-infer", "--examples"], &[])?;
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let status = Command::new(&python)
        .arg(root().join("tools/reference/examples.py"))
        .arg(folder()?)
        .args(arguments)
        .status()
        .with_context(|| format!("{python} cannot be started; PYTHON names another"))?;
    ensure!(status.success(), "there are differences ({status})");
    Ok(())
}

/// The folder of the examples: the one of this program.
fn folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    // `cargo conformance` builds this program in release mode too
    Ok(program.parent().unwrap_or(Path::new(".")).join("examples"))
}
