use std::process::Command;

use anyhow::{Context, ensure};

use xtask::run::{cargo, root};

/// Run models with the example `logits`, and with llama.cpp and transformers: `logits MODEL...`,
/// GGUF files or folders of checkpoints.
///
/// The script says what is compared and which Python packages it needs.
pub(super) fn compare(arguments: &[String]) -> anyhow::Result<()> {
    ensure!(!arguments.is_empty(), "give GGUF files or folders of checkpoints");
    cargo(&["build", "--release", "--package", "granule-infer", "--example", "logits"], &[])?;
    cargo(&["build", "--release", "--package", "granule"], &[])?;
    // `cargo conformance` builds this program in release mode too
    let program = std::env::current_exe()?;
    let folder = program.parent().context("this program is in no folder")?;
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let status = Command::new(&python)
        .arg(root().join("tools/reference/logits.py"))
        .arg("compare")
        .args([folder.join("examples/logits"), folder.join("granule")])
        .args(arguments)
        .status()
        .with_context(|| format!("{python} cannot be started; PYTHON names another"))?;
    ensure!(status.success(), "there are differences ({status})");
    Ok(())
}
