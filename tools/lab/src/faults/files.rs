//! Edits and joins whose every system call fails in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};

use super::{CALLS, ERRORS, stderr};

/// Calls that conversions do not make.
const MORE_CALLS: &[&str] = &["copy_file_range", "unlink", "lseek"];

/// What is done, and the arguments. The file is `x.gguf`, or the set `x-0000N-of-00003.gguf`.
const SITUATIONS: &[(&str, &[&str])] = &[
    ("an edit in place", &["edit", "x.gguf", "--set", "general.name=str:Another name", "-q"]),
    ("an edit by a copy", &["edit", "x.gguf", "--reserve", "100K", "-q"]),
    ("a join that deletes its parts", &["join", "x-00001-of-00003.gguf", "--consume", "-q"]),
];

/// Let every call of every situation fail, with each error.
pub(super) fn faults(granule: &Path, folder: &Path, wanted: Option<&str>) -> anyhow::Result<()> {
    let bench = Bench { granule, folder };
    for (name, arguments) in SITUATIONS {
        if wanted.is_none_or(|wanted| name.contains(wanted)) {
            bench.run(name, arguments).with_context(|| (*name).to_owned())?;
        }
    }
    Ok(())
}

struct Bench<'b> {
    granule: &'b Path,
    folder: &'b Path,
}

/// The files before, with their contents.
type Files = Vec<(PathBuf, Vec<u8>)>;

impl Bench<'_> {
    fn run(&self, name: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let is_join = arguments[0] == "join";
        let before = self.files(is_join)?;
        self.prepare(&before)?;
        let output = self.strace(&[], arguments)?;
        ensure!(output.status.success(), "without a fault: {}", stderr(&output));
        let calls = fs::read_to_string(self.path("calls.txt"))?;
        let new = fs::read(self.path("x.gguf"))?;
        let (mut runs, mut without) = (0, 0);
        for call in CALLS.iter().chain(MORE_CALLS) {
            let count = calls.lines().filter(|line| line.contains(&format!(" {call}("))).count();
            for error in ERRORS {
                for which in 1..=count {
                    self.prepare(&before)?;
                    let inject = format!("inject={call}:error={error}:when={which}");
                    let trace = format!("trace={call}");
                    let output = self.strace(&["-e", &trace, "-e", &inject], arguments)?;
                    let what = || format!("{error} at {call} number {which}");
                    let found = match is_join {
                        true => self.look_at_join(&before, &new, &output, arguments),
                        false => self.look_at_edit(&before[0].1, &new, &output),
                    };
                    without += usize::from(!found.with_context(what)?);
                    runs += 1;
                }
            }
        }
        println!("{name}: {runs} runs, {without} of them failed and lost nothing");
        Ok(())
    }

    /// Whether the file is the new one; if it is not, it is the old one.
    fn look_at_edit(&self, old: &[u8], new: &[u8], output: &Output) -> anyhow::Result<bool> {
        let message = stderr(output);
        ensure!(!message.contains("panicked"), "{message}");
        if self.path(".x.gguf.undo").exists() {
            let again = Command::new(self.granule)
                .args(["edit", "x.gguf", "-q"])
                .current_dir(self.folder)
                .output()?;
            ensure!(again.status.success(), "it cannot be put right: {}", stderr(&again));
        }
        let found = fs::read(self.path("x.gguf"))?;
        ensure!(found == old || found == new, "another file: {message}");
        ensure!(!output.status.success() || found == new, "success with the old file");
        self.nothing_is_left(&message)?;
        Ok(found == new)
    }

    /// Whether the join was complete; if not, the same command completes it.
    fn look_at_join(
        &self,
        before: &Files,
        new: &[u8],
        output: &Output,
        arguments: &[&str],
    ) -> anyhow::Result<bool> {
        let message = stderr(output);
        ensure!(!message.contains("panicked"), "{message}");
        let done = output.status.success();
        if !done {
            let again = self.strace(&["-e", "trace=none"], arguments)?;
            // all is joined and deleted, but the last flush of the folder failed
            let named = fs::read(self.path("x.gguf")).is_ok_and(|found| found == new);
            let gone = before.iter().all(|(part, _)| !part.exists());
            let fine = again.status.success() || named && gone;
            ensure!(fine, "it cannot be continued: {} after {message}", stderr(&again));
        }
        ensure!(fs::read(self.path("x.gguf"))? == new, "another file: {message}");
        ensure!(before.iter().all(|(part, _)| !part.exists()), "a part is left: {message}");
        self.nothing_is_left(&message)?;
        Ok(done)
    }

    fn nothing_is_left(&self, message: &str) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let known = ["model.gguf", "calls.txt", "disk", "x.gguf"].contains(&&*name);
            ensure!(known, "{name} is left: {message}");
        }
        Ok(())
    }

    /// The files before: one with room, or a set.
    fn files(&self, is_set: bool) -> anyhow::Result<Files> {
        self.prepare(&Vec::new())?;
        let (command, options): (&str, &[&str]) = match is_set {
            true => ("split", &["x", "--max-tensors", "8"]),
            false => ("edit", &["-o", "x.gguf", "--reserve", "4K"]),
        };
        let mut made = Command::new(self.granule);
        made.args([command, "model.gguf", "-q"]).args(options).current_dir(self.folder);
        let made = made.output()?;
        ensure!(made.status.success(), "{}", stderr(&made));
        let mut files = Vec::new();
        for entry in fs::read_dir(self.folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('x')) {
                files.push((path.clone(), fs::read(path)?));
            }
        }
        ensure!(files.len() == if is_set { 3 } else { 1 }, "{} files", files.len());
        Ok(files)
    }

    fn prepare(&self, files: &Files) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.folder)? {
            let path = entry?.path();
            if path.is_file() && path.file_name().is_none_or(|name| name != "model.gguf") {
                fs::remove_file(path)?;
            }
        }
        for (path, bytes) in files {
            fs::write(path, bytes)?;
        }
        Ok(())
    }

    fn strace(&self, options: &[&str], arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "calls.txt"]).args(options).arg(self.granule).args(arguments);
        command.current_dir(self.folder).output().context("strace")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
