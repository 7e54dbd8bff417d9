//! Edits and joins that are killed at random moments.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use granule_format::{Array, BlockType, Draft, Endian, Metadata, Shape};

use super::end;

/// Tokens of the vocabulary: a header of about 3 MB, so that writing it takes a while.
const TOKENS: usize = 150_000;

/// Tensors, and values of each.
const TENSORS: u64 = 24;
const VALUES: u64 = 128 << 10;

/// Runs that are timed; the fastest tells when to kill the others.
const TIMED: usize = 3;

/// Ways to change a file: the name, what is done before, and the options. The first key is changed,
/// so that in place the whole header is written.
const WAYS: &[(&str, &[&str], &[&str])] = &[
    ("a value of the same length", &[], &["--set", "general.name=str:Other"]),
    ("into the room", &["--reserve", "64K"], &["--set", "general.name=str:A longer name"]),
    ("a key removed", &["--reserve", "64K"], &["--remove", "general.name"]),
    ("tensors renamed", &["--reserve", "64K"], &["--rename-tensors", "^t=blk.0.t"]),
    ("a new file", &[], &["--set", "general.name=str:A name for which there is no room at all"]),
    ("room for later", &[], &["--reserve", "1M"]),
    ("another alignment", &[], &["--set", "general.alignment=u32:256"]),
];

/// Kill edits in every way, `kills` times each: the file is the old or the new one, or another
/// program is told that it has to be put right, and then it is.
pub(super) fn edits(granule: &Path, folder: &Path, kills: usize) -> anyhow::Result<()> {
    let bench = Bench { granule, folder };
    let model = model()?;
    for (name, before, options) in WAYS {
        bench.edit(name, before, options, &model, kills).with_context(|| (*name).to_owned())?;
    }
    Ok(())
}

/// Kill joins that delete their parts, until `kills` were killed: no byte is lost, and the disk
/// never holds more than the result and one part.
pub(super) fn joins(granule: &Path, folder: &Path, kills: usize) -> anyhow::Result<()> {
    Bench { granule, folder }.join(&model()?, kills)
}

struct Bench<'b> {
    granule: &'b Path,
    folder: &'b Path,
}

impl Bench<'_> {
    fn edit(
        &self,
        name: &str,
        before: &[&str],
        options: &[&str],
        model: &[u8],
        kills: usize,
    ) -> anyhow::Result<()> {
        fs::write(self.path("x.gguf"), model)?;
        if !before.is_empty() {
            success(&self.run("edit", before)?)?;
        }
        let old = fs::read(self.path("x.gguf"))?;
        // other programs may keep the machine from one of the runs
        let mut time = Duration::MAX;
        for _ in 0..TIMED {
            fs::write(self.path("x.gguf"), &old)?;
            let begin = Instant::now();
            success(&self.run("edit", options)?)?;
            time = time.min(begin.elapsed());
        }
        let new = fs::read(self.path("x.gguf"))?;
        ensure!(old != new, "the edit changes something");
        let (mut killed, mut torn, mut kept) = (0, 0, 0);
        while killed < kills {
            fs::write(self.path("x.gguf"), &old)?;
            let mut child = self.command("edit", options).stderr(Stdio::null()).spawn()?;
            self.wait(time);
            let ended = child.try_wait()?.is_some();
            end(&mut child)?;
            let status = child.wait()?;
            killed += usize::from(!ended);
            let found = fs::read(self.path("x.gguf"))?;
            if self.path(".x.gguf.undo").exists() {
                torn += usize::from(found != old && found != new);
                let said = self.run("inspect", &["--metadata"])?;
                let message = String::from_utf8_lossy(&said.stderr).into_owned();
                ensure!(message.contains("puts it right"), "it is noticed: {message}");
                success(&self.run("edit", &[])?)?;
            } else {
                ensure!(found == old || found == new, "torn, without an undo file");
            }
            let found = fs::read(self.path("x.gguf"))?;
            ensure!(found == old || found == new, "another file");
            ensure!(!status.success() || found == new, "success with the old file");
            kept += usize::from(found == old);
            // what a killed copy leaves is removed by the next one
            for hidden in [".x.gguf.part", ".x.gguf.undo-part"] {
                if self.path(hidden).exists() {
                    fs::remove_file(self.path(hidden))?;
                }
            }
            let names = fs::read_dir(self.folder)?.count();
            ensure!(names == 1, "{names} files are left");
        }
        println!(
            "{name}: {killed} edits killed (of {time:?}); the old file {kept} times, half written \
             and put right {torn} times, never another"
        );
        Ok(())
    }

    /// Waits for a random moment: of the whole run, or, every second time, of the few milliseconds
    /// after it has begun to write.
    fn wait(&self, time: Duration) {
        if fastrand::bool() {
            return sleep(time.mul_f64(fastrand::f64() * 1.1));
        }
        let hidden = [".x.gguf.undo-part", ".x.gguf.undo", ".x.gguf.part"];
        let awaited = self.path(hidden[fastrand::usize(..hidden.len())]);
        let until = Instant::now() + time;
        while !awaited.exists() && Instant::now() < until {
            sleep(Duration::from_micros(50));
        }
        sleep(Duration::from_micros(fastrand::u64(..10_000)));
    }

    fn join(&self, model: &[u8], kills: usize) -> anyhow::Result<()> {
        fs::write(self.path("x.gguf"), model)?;
        let size = ["--max-tensors", "3"];
        success(&self.run("split", &size)?)?;
        fs::remove_file(self.path("x.gguf"))?;
        let parts: Vec<PathBuf> =
            (1..=8).map(|number| self.path(&format!("x-{number:05}-of-00008.gguf"))).collect();
        let contents: Vec<Vec<u8>> = parts.iter().map(fs::read).collect::<Result<_, _>>()?;
        let line = || {
            let mut command = Command::new(self.granule);
            command.args(["join", "x-00003-of-00008.gguf", "--consume", "--quiet"]);
            command.current_dir(self.folder).stdin(Stdio::null()).stdout(Stdio::null());
            command
        };
        let mut plain = Command::new(self.granule);
        plain.args(["join", "x-00001-of-00008.gguf"]).current_dir(self.folder);
        let mut time = Duration::MAX;
        for _ in 0..TIMED {
            let begin = Instant::now();
            success(&plain.output()?)?;
            // one that deletes its parts flushes each to the disk
            time = time.min(begin.elapsed() * 3);
        }
        let expected = fs::read(self.path("x.gguf"))?;
        let most = expected.len() as u64
            + contents.iter().map(|part| part.len() as u64).max().unwrap_or(0);
        let (mut killed, mut series, mut peak) = (0, 0, 0);
        while killed < kills {
            for name in [".x.gguf.joining", ".x.gguf.join", "x.gguf"] {
                ensure!(name == "x.gguf" || !self.path(name).exists(), "{name} is left");
            }
            fs::remove_file(self.path("x.gguf"))?;
            for (part, bytes) in parts.iter().zip(&contents) {
                fs::write(part, bytes)?;
            }
            series += 1;
            loop {
                let mut child = line().stderr(Stdio::null()).spawn()?;
                let until = Instant::now() + time.mul_f64(fastrand::f64());
                while Instant::now() < until && child.try_wait()?.is_none() {
                    peak = peak.max(used(self.folder)?);
                    sleep(Duration::from_millis(1));
                }
                let ended = child.try_wait()?.is_some();
                end(&mut child)?;
                let status = child.wait()?;
                killed += usize::from(!ended);
                // killed when all is done: there is nothing to continue
                let hidden = [".x.gguf.joining", ".x.gguf.join"];
                let left = parts.iter().cloned().chain(hidden.map(|name| self.path(name)));
                if status.success() || !left.into_iter().any(|path| path.exists()) {
                    break;
                }
                let plain = Command::new(self.granule)
                    .args(["join", "x-00008-of-00008.gguf"])
                    .current_dir(self.folder)
                    .output()?;
                // another command does not write over what holds parts; it may refuse although all
                // are there, because one is copied and not yet deleted
                let whole = parts.iter().all(|part| part.exists());
                ensure!(whole || !plain.status.success(), "{plain:?}");
                if plain.status.success() {
                    fs::remove_file(self.path("x.gguf"))?;
                }
            }
            ensure!(fs::read(self.path("x.gguf"))? == expected, "another file");
            ensure!(parts.iter().all(|part| !part.exists()), "a part is left");
        }
        ensure!(peak <= most + (1 << 20), "{peak} bytes on the disk, of at most {most}");
        println!(
            "join --consume: {killed} runs killed in {series} series, each ended with the right \
             bytes; at most {:.1} MB on the disk for a result of {:.1} MB in parts of {:.1} MB",
            peak as f64 / 1e6,
            expected.len() as f64 / 1e6,
            (most - expected.len() as u64) as f64 / 1e6,
        );
        Ok(())
    }

    fn run(&self, command: &str, options: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(command, options).stdout(Stdio::piped()).output()?)
    }

    fn command(&self, command: &str, options: &[&str]) -> Command {
        let mut line = Command::new(self.granule);
        line.args([command, "x.gguf"]).args(options);
        line.current_dir(self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        line
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn success(output: &Output) -> anyhow::Result<()> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Bytes of the blocks that the files of a folder have on the disk.
fn used(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        // it may be gone by now
        sum += entry?.metadata().map_or(0, |about| about.blocks() * 512);
    }
    Ok(sum)
}

/// A file with a long header and random data.
fn model() -> anyhow::Result<Vec<u8>> {
    let mut metadata = Metadata::new();
    metadata.set("general.name", "First");
    metadata.set("general.architecture", "llama");
    let tokens = (0..TOKENS).map(|token| format!("token {token}"));
    metadata.set("tokenizer.ggml.tokens", Array::String(tokens.collect()));
    let mut draft = Draft::new(metadata, Endian::Little)?;
    for index in 0..TENSORS {
        let shape = Shape::new(&[VALUES]).context("one dimension")?;
        draft.add(&format!("t{index}"), shape, BlockType::F32.into())?;
    }
    let mut file = draft.header();
    let header = file.len();
    file.resize(header + draft.data_bytes() as usize, 0);
    let mut random = fastrand::Rng::with_seed(0);
    for value in file[header..].chunks_exact_mut(4) {
        value.copy_from_slice(&random.f32().to_le_bytes());
    }
    Ok(file)
}
