//! Conversions whose every system call fails in turn.

mod files;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, bail, ensure};

use xtask::run::{cargo, program_of_release, root};

/// System calls that inspect, open, read, write, rename and flush files.
const CALLS: &[&str] = &[
    "statx",
    "readlink",
    "openat",
    "flock",
    "pread64",
    "read",
    "write",
    "pwrite64",
    "pwritev",
    "ftruncate",
    "fallocate",
    "fchmod",
    "fchown",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
];

/// How they fail.
const ERRORS: &[&str] = &["EIO", "ENOSPC"];

/// The contents of the files that a conversion replaces.
const OLD: &[u8] = b"old";

/// A conversion, what there is before, and the files that it writes.
struct Situation {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Files with their permissions, which hold [`OLD`] before.
    old: &'static [(&'static str, u32)],
    /// Where `out.gguf` is a link to.
    link: Option<&'static str>,
    /// An interrupted run has left something.
    interrupted: bool,
    files: &'static [&'static str],
}

/// The table of situations.
const SITUATIONS: &[Situation] = &[
    Situation {
        name: "a new file",
        arguments: &["-t", "Q8_0", "-o", "out.gguf"],
        old: &[],
        link: None,
        interrupted: false,
        files: &["out.gguf"],
    },
    Situation {
        name: "through a link, a private file",
        arguments: &["-t", "Q8_0", "-o", "out.gguf"],
        old: &[("disk/real.gguf", 0o600)],
        link: Some("disk/real.gguf"),
        interrupted: false,
        files: &["disk/real.gguf"],
    },
    Situation {
        name: "verified",
        arguments: &["-t", "Q8_0", "-o", "out.gguf", "--verify"],
        old: &[("out.gguf", 0o640)],
        link: None,
        interrupted: false,
        files: &["out.gguf"],
    },
    Situation {
        name: "continued and verified",
        arguments: &["-t", "Q8_0", "-o", "out.gguf", "--verify"],
        old: &[("out.gguf", 0o600)],
        link: None,
        interrupted: true,
        files: &["out.gguf"],
    },
    Situation {
        name: "two files",
        arguments: &["-t", "Q8_0", "-t", "Q4_0", "-o", "disk"],
        old: &[("disk/model-Q8_0.gguf", 0o600)],
        link: None,
        interrupted: false,
        files: &["disk/model-Q8_0.gguf", "disk/model-Q4_0.gguf"],
    },
];

/// Quantize a small model again and again, and let one call fail each time: `faults [SITUATION]`.
/// Afterwards each file is as it was or complete, and nothing else is left but what a run can
/// continue. Needs strace.
pub(crate) fn faults(arguments: &[String]) -> anyhow::Result<()> {
    ensure!(Command::new("strace").arg("-V").output().is_ok(), "strace is missing");
    cargo(&["build", "--release", "-p", "granule"], &[])?;
    let granule = program_of_release();
    let folder = std::env::temp_dir().join(format!("granule-faults-{}", std::process::id()));
    fs::create_dir_all(folder.join("disk"))?;
    let wanted = |situation: &&Situation| {
        arguments.first().is_none_or(|name| situation.name.contains(name.as_str()))
    };
    let result = make_model(&granule, &folder).and_then(|()| {
        let mut all = SITUATIONS.iter().filter(wanted);
        all.try_for_each(|situation| {
            Bench { granule: &granule, folder: &folder, situation }.run()
        })?;
        files::faults(&granule, &folder, arguments.first().map(String::as_str))
    });
    fs::remove_dir_all(&folder)?;
    result
}

fn make_model(granule: &Path, folder: &Path) -> anyhow::Result<()> {
    let checkpoint = root().join("fixtures/checkpoints/llama2-spm-256");
    let made = Command::new(granule)
        .arg("convert")
        .arg(&checkpoint)
        .args(["--outtype", "f16", "-q", "-o", "model.gguf"])
        .current_dir(folder)
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// A situation in a folder.
struct Bench<'b> {
    granule: &'b Path,
    folder: &'b Path,
    situation: &'b Situation,
}

impl Bench<'_> {
    fn run(&self) -> anyhow::Result<()> {
        let leftover = if self.situation.interrupted { self.interrupt()? } else { Vec::new() };
        self.prepare(&leftover)?;
        let output = self.convert(&[])?;
        ensure!(output.status.success(), "without a fault: {}", stderr(&output));
        let calls = fs::read_to_string(self.folder.join("calls.txt"))?;
        let complete = self.situation.files.iter().map(|name| fs::read(self.folder.join(name)));
        let complete: Vec<Vec<u8>> = complete.collect::<Result<_, _>>()?;

        let (mut runs, mut without) = (0, 0);
        for call in CALLS {
            let count = calls.lines().filter(|line| line.contains(&format!(" {call}("))).count();
            for error in ERRORS {
                for which in 1..=count {
                    self.prepare(&leftover)?;
                    let inject = format!("inject={call}:error={error}:when={which}");
                    let trace = format!("trace={call}");
                    let output = self.convert(&["-e".into(), trace, "-e".into(), inject])?;
                    let name = self.situation.name;
                    let what = || format!("{name}: {error} at {call} number {which}");
                    without += usize::from(!self.look(&complete, &output).with_context(what)?);
                    runs += 1;
                }
            }
        }
        println!(
            "{}: {runs} runs, {without} left the files as they were, the others have complete ones",
            self.situation.name
        );
        Ok(())
    }

    fn convert(&self, strace: &[String]) -> anyhow::Result<Output> {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "calls.txt"]).args(strace).arg(self.granule);
        command.args(["convert", "model.gguf", "-q", "-j", "2"]).args(self.situation.arguments);
        command.current_dir(self.folder).output().context("strace")
    }

    /// The leftovers of a run that SIGTERM ends after some tensors: SIGINT is ignored where a shell
    /// starts this in its background. strace counts the calls of each thread by itself.
    fn interrupt(&self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        self.prepare(&[])?;
        let signal = "inject=pwrite64:signal=SIGTERM:when=4".to_owned();
        let output = self.convert(&["-e".into(), signal])?;
        ensure!(output.status.code() == Some(143), "not interrupted: {}", stderr(&output));
        let names = [".out.gguf.part", ".out.gguf.resume"];
        let read = |name: &str| anyhow::Ok((name.to_owned(), fs::read(self.folder.join(name))?));
        names.into_iter().map(read).collect()
    }

    fn prepare(&self, leftover: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
        for folder in [self.folder, &self.folder.join("disk")] {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default();
                if name != "model.gguf" && name != "disk" {
                    fs::remove_file(path)?;
                }
            }
        }
        for (name, mode) in self.situation.old {
            fs::write(self.folder.join(name), OLD)?;
            permissions::set(&self.folder.join(name), *mode)?;
        }
        if let Some(target) = self.situation.link {
            permissions::link(target, &self.folder.join("out.gguf"))?;
        }
        for (name, bytes) in leftover {
            fs::write(self.folder.join(name), bytes)?;
        }
        Ok(())
    }

    /// Whether the files are there and complete, after a run that may have failed.
    fn look(&self, complete: &[Vec<u8>], output: &Output) -> anyhow::Result<bool> {
        let (message, situation) = (stderr(output), self.situation);
        ensure!(!message.contains("panicked"), "{message}");
        let mut done = 0;
        for (name, complete) in situation.files.iter().zip(complete) {
            let path = self.folder.join(name);
            let old = situation.old.iter().find(|(old, _)| old == name);
            match fs::read(&path) {
                Ok(found) if found == *complete => done += 1,
                Ok(found) => ensure!(old.is_some() && found == OLD, "{name} is wrong: {message}"),
                Err(_) => ensure!(old.is_none(), "{name} is gone: {message}"),
            }
            if let Some((_, mode)) = old {
                let found = permissions::of(&path)?;
                ensure!(found == *mode, "{name} has mode {found:o}: {message}");
            }
        }
        if situation.link.is_some() {
            let about = fs::symlink_metadata(self.folder.join("out.gguf"))?;
            ensure!(about.is_symlink(), "the link was replaced: {message}");
        }
        let all = done == complete.len();
        ensure!(all || !output.status.success(), "success without all files");
        // what was complete is not thrown away: that of an earlier run, and sets that have no names
        // yet
        let may_be_left = situation.interrupted || complete.len() > 1;
        for folder in [self.folder, &self.folder.join("disk")] {
            for entry in fs::read_dir(folder)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                let known = ["model.gguf", "calls.txt", "disk", "out.gguf"].contains(&&*name)
                    || situation.files.iter().any(|file| file.ends_with(&name));
                let hidden = name.ends_with(".part") || name.ends_with(".resume");
                ensure!(known || hidden && may_be_left, "{name} is left: {message}");
            }
        }
        if !all && !output.status.success() && may_be_left {
            self.recover(complete).with_context(|| format!("after {message}"))?;
        }
        Ok(all)
    }

    /// The same command without a fault completes what is left.
    fn recover(&self, complete: &[Vec<u8>]) -> anyhow::Result<()> {
        let again = self.convert(&["-e".into(), "trace=none".into()])?;
        if !again.status.success() {
            bail!("it cannot be continued: {}", stderr(&again));
        }
        for (name, complete) in self.situation.files.iter().zip(complete) {
            ensure!(fs::read(self.folder.join(name))? == *complete, "{name} is continued wrongly");
        }
        Ok(())
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Permissions and links, which only Unix has.
pub(crate) mod permissions {
    use std::fs;
    use std::io;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    pub(crate) fn set(path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    pub(crate) fn of(path: &Path) -> io::Result<u32> {
        Ok(fs::metadata(path)?.permissions().mode() & 0o777)
    }

    pub(crate) fn link(target: &str, path: &Path) -> io::Result<()> {
        symlink(target, path)
    }
}
