//! The Python package, as wheels for some targets and as source: `cargo xtask dist --wheels`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use xtask::run::{root, timed};

use super::NOTICES;
use super::notices::notices;

/// Targets that are built with zig: every Linux with a C library of 2014 or later runs the wheels.
const TARGETS: &[&str] = &["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Build the source distribution if no target is named, and the wheel of each target.
///
/// maturin puts every file next to `pyproject.toml` whose name begins with `LICENSE` into what it
/// builds. That of the linked crates is there for the time of the build alone: it differs between
/// targets.
pub(super) fn wheels(targets: &[&str], folder: &Path) -> anyhow::Result<()> {
    let project = root().join("crates/python");
    let notices_file = project.join(NOTICES);
    let build = |triple: Option<&str>| -> anyhow::Result<()> {
        let page = notices("granule-gguf", triple)?;
        fs::write(&notices_file, page).with_context(|| notices_file.display().to_string())?;
        let words = line(triple);
        let mut command = Command::new("maturin");
        command.args(&words).arg("--out").arg(folder).current_dir(&project);
        timed(&mut command, &format!("maturin {}", words.join(" ")))
            .context("`pip install maturin[zig]` installs the programs that build wheels")
    };
    let result = if targets.is_empty() {
        build(None).and_then(|()| TARGETS.iter().try_for_each(|triple| build(Some(triple))))
    } else {
        targets.iter().try_for_each(|triple| build(Some(triple)))
    };
    if notices_file.exists() {
        fs::remove_file(&notices_file)?;
    }
    result
}

/// The arguments of maturin for a wheel, or for the source distribution.
fn line(triple: Option<&str>) -> Vec<&str> {
    let Some(triple) = triple else { return vec!["sdist"] };
    let mut line = vec!["build", "--release", "--target", triple];
    if triple.contains("-linux-gnu") {
        line.extend(["--zig", "--compatibility", "manylinux_2_17"]);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wheels_for_linux_are_built_with_zig() {
        assert_eq!(line(None), ["sdist"]);
        let with_zig = |triple| line(Some(triple)).contains(&"--zig");
        assert!(with_zig("aarch64-unknown-linux-gnu") && !with_zig("x86_64-pc-windows-msvc"));
    }
}
