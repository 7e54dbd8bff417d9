//! Archives of the program and wheels for a release: `cargo xtask dist [TARGET ...]`.
//!
//! An archive holds the program, its manual pages, the completions for shells, the licences and the
//! texts for readers. The same program gives the same archive: names, times, modes and owners are
//! fixed.

mod notices;
mod wheels;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap_complete::Shell;
use sha2::{Digest, Sha256};
use xtask::run::{cargo, has_subcommand, root, target};

const HELP: &str = "cargo xtask dist [--no-build | --wheels] [TARGET ...]
cargo xtask dist --capi PREFIX";

/// Where programs are built that need nothing of the system that runs them.
const TARGETS: &[&str] = &["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// Files of the repository that go along.
const TEXTS: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"];

/// The file with the licences of the crates that the program is linked with.
const NOTICES: &str = "LICENSES-OF-LIBRARIES.txt";

/// Shells, and the names under which they look for completions.
const SHELLS: &[(Shell, &str)] = &[
    (Shell::Bash, "granule.bash"),
    (Shell::Fish, "granule.fish"),
    (Shell::Zsh, "_granule"),
    (Shell::PowerShell, "_granule.ps1"),
];

/// What the library for C consists of, as cargo builds it for this machine.
const LIBRARIES: &[&str] = &["libgranule_c.a", "libgranule_c.so", "libgranule_c.dylib"];

/// Builds the program for some targets and packs it. `--no-build` packs what is built already.
/// `--wheels` builds the Python package for some targets instead. `--capi PREFIX` lays out the
/// library for C in its place, to be copied to PREFIX.
pub(super) fn dist(arguments: &[String]) -> anyhow::Result<()> {
    if let [option, prefix] = arguments
        && option == "--capi"
    {
        return capi(prefix);
    }
    let (options, named): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| argument.starts_with('-'));
    let option = match options[..] {
        [] => "",
        [option] if ["--no-build", "--wheels"].contains(&option.as_str()) => option,
        _ => bail!("{HELP}"),
    };
    let mut targets: Vec<&str> = named.iter().map(|name| name.as_str()).collect();
    let folder = target().join("dist");
    fs::create_dir_all(&folder)?;
    if option == "--wheels" {
        wheels::wheels(&targets, &folder)?;
    } else {
        if targets.is_empty() {
            targets = TARGETS.to_vec();
        }
        for triple in targets {
            if option.is_empty() {
                build(triple)?;
            }
            let program = target().join(triple).join("release").join(program(triple));
            ensure!(program.is_file(), "{} is not built", program.display());
            let archive = pack(triple, &program, &folder)?;
            println!("{}: {:.1} MB", archive.display(), archive.metadata()?.len() as f64 / 1e6);
        }
    }
    let sums = checksums(&folder)?;
    fs::write(folder.join("SHA256SUMS"), &sums)?;
    print!("{sums}");
    Ok(())
}

/// The checksums of all archives and wheels of this version in a folder, in the form of
/// `sha256sum`: each target may have been packed by a run of its own.
fn checksums(folder: &Path) -> anyhow::Result<String> {
    let version = granule_format::VERSION;
    let starts = [
        format!("granule-{version}-"),
        format!("granule_gguf-{version}-"),
        format!("granule_gguf-{version}.tar"),
    ];
    let mut sums = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_whole = [".tar.gz", ".whl"].iter().any(|end| name.ends_with(end));
        if is_whole && starts.iter().any(|start| name.starts_with(start)) {
            let sum = Sha256::digest(fs::read(&path)?);
            let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
            sums.push((name, sum));
        }
    }
    sums.sort();
    Ok(sums.into_iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect())
}

/// The file name of the program.
fn program(triple: &str) -> &'static str {
    if triple.contains("windows") { "granule.exe" } else { "granule" }
}

/// Builds the program. Its cryptography (`ring`, for TLS) has C and assembler in it, which zig
/// compiles for every Linux; elsewhere the system's compiler does.
fn build(triple: &str) -> anyhow::Result<()> {
    let is_linux = triple.contains("-linux-");
    ensure!(
        !is_linux || has_subcommand("zigbuild"),
        "cargo-zigbuild is missing, which compiles C for {triple}: pip install cargo-zigbuild"
    );
    let command = if is_linux { "zigbuild" } else { "build" };
    let line = [command, "--release", "--package", "granule", "--target", triple];
    let context = || format!("rustup target add {triple} installs the target's library");
    cargo(&line, &[]).with_context(context)
}

/// Makes the archive of a program and returns its path.
fn pack(triple: &str, program: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("granule-{}-{triple}", granule_format::VERSION);
    let inside = folder.join(&name);
    if inside.exists() {
        fs::remove_dir_all(&inside)?;
    }
    fs::create_dir_all(&inside)?;
    fill(program, &inside)?;
    fs::write(inside.join(NOTICES), notices::notices("granule", Some(triple))?)?;
    let archive = folder.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar")
        .args([
            "--format=ustar",
            "--sort=name",
            "--mtime=@0",
            "--mode=u=rwX,go=rX",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "-cf",
            "-",
        ])
        .arg(&name)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn()
        .context("tar cannot be started")?;
    let packed = Command::new("gzip")
        .args(["-9", "-n"])
        .stdin(tar.stdout.take().context("the output of tar")?)
        .output()
        .context("gzip cannot be started")?;
    ensure!(tar.wait()?.success() && packed.status.success(), "tar or gzip has failed");
    fs::File::create(&archive)?.write_all(&packed.stdout)?;
    fs::remove_dir_all(&inside)?;
    Ok(archive)
}

/// Builds the library for C and puts it, its header and its file for pkg-config into a folder.
fn capi(prefix: &str) -> anyhow::Result<()> {
    cargo(&["build", "--release", "--package", "granule-capi"], &[])?;
    let folder = target().join("dist/capi");
    let (lib, include) = (folder.join("lib"), folder.join("include"));
    fs::create_dir_all(lib.join("pkgconfig"))?;
    fs::create_dir_all(&include)?;
    let source = root().join("crates/capi");
    fs::copy(source.join("include/granule.h"), include.join("granule.h"))?;
    let mut found = false;
    for name in LIBRARIES {
        let library = target().join("release").join(name);
        if library.is_file() {
            fs::copy(&library, lib.join(name))?;
            found = true;
        }
    }
    ensure!(found, "no library is in {}", target().join("release").display());
    let page = fs::read_to_string(source.join("granule.pc.in"))?;
    fs::write(lib.join("pkgconfig/granule.pc"), description(&page, prefix))?;
    println!("copy what is in {} to {prefix}", folder.display());
    Ok(())
}

/// The file for pkg-config of an installation in `prefix`.
fn description(page: &str, prefix: &str) -> String {
    page.replace("@prefix@", prefix).replace("@version@", granule_format::VERSION)
}

/// Copies and writes what an archive holds.
fn fill(program: &Path, folder: &Path) -> anyhow::Result<()> {
    let name = program.file_name().context("the program has no name")?;
    fs::copy(program, folder.join(name)).with_context(|| program.display().to_string())?;
    for text in TEXTS {
        fs::copy(root().join(text), folder.join(text)).with_context(|| (*text).to_owned())?;
    }
    let (pages, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&pages)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(granule_cli::command(), &pages)?;
    for (shell, name) in SHELLS {
        let mut file = fs::File::create(completions.join(name))?;
        clap_complete::generate(*shell, &mut granule_cli::command(), "granule", &mut file);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn pkg_config_gets_prefix_and_version() {
        let page = include_str!("../../../crates/capi/granule.pc.in");
        let text = description(page, "/usr/local");
        assert!(text.starts_with("prefix=/usr/local\n") && !text.contains('@'), "{text}");
        assert!(text.contains(&format!("Version: {}\n", granule_format::VERSION)));
    }

    #[test]
    fn an_archive_has_everything() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("granule");
        fs::write(&program, "a program").unwrap();
        let inside = folder.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fill(&program, &inside).unwrap();
        let has = |name: &str| assert!(inside.join(name).metadata().unwrap().len() > 0, "{name}");
        has("granule");
        TEXTS.iter().for_each(|text| has(text));
        SHELLS.iter().for_each(|(_, name)| has(&format!("completions/{name}")));
        has("man/granule-convert.1");
    }

    #[test]
    fn checksums_are_of_all_archives_of_this_version() {
        let folder = tempfile::tempdir().unwrap();
        let name = |target: &str| format!("granule-{}-{target}.tar.gz", granule_format::VERSION);
        let wheel = format!("granule_gguf-{}-cp39-abi3-any.whl", granule_format::VERSION);
        let source = format!("granule_gguf-{}.tar.gz", granule_format::VERSION);
        let others = ["granule-0.0.0-a.tar.gz", "granule_gguf-0.0.0.tar.gz", "SHA256SUMS"];
        for file in
            [&name("b"), &name("a"), &wheel, &source].map(|it| &it[..]).iter().chain(&others)
        {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let expected = [name("a"), name("b"), wheel, source];
        let expected = expected.map(|name| format!("{empty}  {name}\n")).concat();
        assert_eq!(checksums(folder.path()).unwrap(), expected);
    }
}
