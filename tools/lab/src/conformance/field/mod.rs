//! Situations from the field: inputs that people meet, each made by a script, and the expected
//! result //! of every command that runs on them.

mod steps;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use granule_reader::Model;

use super::flag;
use xtask::run::cargo;

/// Longest time a command may take. One that hangs (on a FIFO, say) fails.
const LONGEST: Duration = Duration::from_secs(60);

/// One command and what is right.
struct Step {
    /// Folder of the situation.
    situation: &'static str,
    /// Arguments of the program; `{in}` is the folder of the inputs, `{out}` the output.
    command: &'static str,
    /// Allowed exit statuses.
    exit: &'static [i32],
    /// Each has to stand in what the program prints.
    says: &'static [&'static str],
    /// None may stand there.
    lacks: &'static [&'static str],
    /// Looked at afterwards.
    then: &'static [Then],
}

/// The checks after a command.
enum Then {
    /// `granule check {out}` has nothing to say.
    Clean,
    /// There is no output, and nothing temporary either.
    Nothing,
    /// The same tensors as the result of these arguments, byte for byte.
    SameTensors(&'static str),
    /// The same bytes as the reference's converter makes of this folder (with `--converter`).
    Reference(&'static str),
    /// A character device is still one.
    Device(&'static str),
    /// A symbolic link is still one, and what it leads to is a GGUF file.
    LinkToModel(&'static str),
    /// The shape of a tensor, as `inspect --json` shows it.
    Shape(&'static str, &'static [u64]),
}

/// `field [--corpus FOLDER] [--python PROGRAM] [--converter convert_hf_to_gguf.py] [--only TEXT]`
///
/// The corpus has a folder for each situation with a `make.py`; Python needs numpy and gguf. With
/// `--converter`, results that the reference makes too are compared with its own. Links and
/// devices are made in a temporary folder, nowhere else.
pub(super) fn compare(arguments: &[String]) -> anyhow::Result<()> {
    let corpus = flag(arguments, "--corpus").context("name the situations: --corpus FOLDER")?;
    let corpus = fs::canonicalize(corpus)?;
    let only = flag(arguments, "--only").unwrap_or("");
    cargo(&["build", "--release", "--quiet", "-p", "granule"], &[])?;
    let work = tempfile::tempdir()?;
    let bench = Bench {
        program: std::env::current_exe()?.with_file_name("granule"),
        python: flag(arguments, "--python").unwrap_or("python3").to_owned(),
        converter: flag(arguments, "--converter").map(PathBuf::from),
        work: work.path().to_owned(),
    };
    for situation in situations(&corpus)? {
        let known = steps::STEPS.iter().any(|step| step.situation == situation);
        ensure!(known, "{situation}: no step says what is right");
    }
    let (mut count, mut failures) = (0, 0);
    for situation in situations(&corpus)?.iter().filter(|name| name.contains(only)) {
        let input = bench.make(&corpus, situation)?;
        for step in steps::STEPS.iter().filter(|step| step.situation == situation) {
            count += 1;
            if let Err(error) = bench.step(step, &input) {
                failures += 1;
                println!("{situation}: granule {}: {error:#}", step.command);
            }
        }
    }
    ensure!(count > 0, "no situation is called {only:?}");
    ensure!(failures == 0, "{failures} of {count} commands are wrong");
    println!("{count} commands, all right");
    Ok(())
}

/// The folders with a script.
fn situations(corpus: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(corpus).with_context(|| corpus.display().to_string())? {
        let path = entry?.path();
        if path.join("make.py").is_file()
            && let Some(name) = path.file_name()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Where the commands are run.
struct Bench {
    program: PathBuf,
    python: String,
    converter: Option<PathBuf>,
    work: PathBuf,
}

impl Bench {
    /// Make the inputs of a situation.
    fn make(&self, corpus: &Path, situation: &str) -> anyhow::Result<PathBuf> {
        let input = self.work.join(situation);
        fs::create_dir_all(&input)?;
        let made = Command::new(&self.python)
            .arg(corpus.join(situation).join("make.py"))
            .env("GRANULE", &self.program)
            .env("FIELD_INPUT", &input)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()?;
        let text = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "{situation}: the inputs cannot be made: {text}");
        Ok(input)
    }

    fn step(&self, step: &Step, input: &Path) -> anyhow::Result<()> {
        let output = self.work.join("out.gguf");
        let _ = fs::remove_file(&output);
        let (status, text) = self.granule(step.command, input, &output)?;
        ensure!(
            status.is_some_and(|status| step.exit.contains(&status)),
            "exit status {status:?}, expected one of {:?}: {text}",
            step.exit
        );
        for words in step.says {
            ensure!(text.contains(words), "it does not say {words:?}: {text}");
        }
        for words in step.lacks {
            ensure!(!text.contains(words), "it says {words:?}: {text}");
        }
        step.then.iter().try_for_each(|then| self.look(then, input, &output))
    }

    fn look(&self, then: &Then, input: &Path, output: &Path) -> anyhow::Result<()> {
        match then {
            Then::Clean => {
                let (status, text) = self.granule("check --strict {out}", input, output)?;
                ensure!(status == Some(0), "check finds: {text}");
            }
            Then::Nothing => {
                for entry in fs::read_dir(&self.work)? {
                    let path = entry?.path();
                    ensure!(path.is_dir(), "{} is left", path.display());
                }
            }
            Then::SameTensors(command) => {
                let other = self.work.join("other.gguf");
                let (status, text) = self.granule(command, input, &other)?;
                ensure!(status == Some(0), "{command}: {text}");
                same_tensors(output, &other)?;
                fs::remove_file(other)?;
            }
            Then::Reference(folder) => self.same_as_reference(&input.join(folder), output)?,
            Then::Device(path) => {
                let about = fs::symlink_metadata(input.join(path))?;
                ensure!(about.file_type().is_char_device(), "{path} is no device any more");
                ensure!(about.rdev() == 0x103, "{path} is another device");
            }
            Then::LinkToModel(path) => {
                let path = input.join(path);
                ensure!(fs::symlink_metadata(&path)?.is_symlink(), "the link is gone");
                Model::open(&path)?;
            }
            Then::Shape(name, shape) => {
                let model = Model::open(output)?;
                let tensor = model.tensor(name).context("the tensor is gone")?;
                let found = tensor.shape();
                ensure!(found.dimensions() == *shape, "{name} is {found}");
            }
        }
        Ok(())
    }

    /// Run a command line; returns its exit status and everything it printed.
    fn granule(
        &self,
        command: &str,
        input: &Path,
        output: &Path,
    ) -> anyhow::Result<(Option<i32>, String)> {
        let fill = |word: &str| {
            let word = word.replace("{in}", &input.to_string_lossy());
            word.replace("{out}", &output.to_string_lossy())
        };
        let log = self.work.join("log");
        fs::create_dir_all(&log)?;
        let (out, err) = (log.join("stdout"), log.join("stderr"));
        let mut child = Command::new(&self.program)
            .args(command.split(' ').map(fill))
            .current_dir(&self.work)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&out)?)
            .stderr(fs::File::create(&err)?)
            .spawn()?;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if begin.elapsed() > LONGEST {
                child.kill()?;
                child.wait()?;
                bail!("it hangs");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = [fs::read(&out)?, fs::read(&err)?].concat();
        Ok((status.code(), String::from_utf8_lossy(&text).into_owned()))
    }

    fn same_as_reference(&self, folder: &Path, output: &Path) -> anyhow::Result<()> {
        let Some(converter) = &self.converter else { return Ok(()) };
        let other = self.work.join("other.gguf");
        let made = Command::new(&self.python)
            .arg(converter)
            .arg(folder)
            .args(["--outtype", "f16", "--outfile"])
            .arg(&other)
            .env("CUDA_VISIBLE_DEVICES", "")
            .output()?;
        let text = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "the reference fails: {text}");
        ensure!(fs::read(output)? == fs::read(&other)?, "the reference's file differs");
        fs::remove_file(other)?;
        Ok(())
    }
}

/// Whether two files have the same tensors: names, types, shapes and bytes.
fn same_tensors(left: &Path, right: &Path) -> anyhow::Result<()> {
    let (left, right) = (Model::open(left)?, Model::open(right)?);
    ensure!(left.tensors().count() == right.tensors().count(), "other tensors");
    for (one, other) in left.tensors().zip(right.tensors()) {
        ensure!(one.name() == other.name(), "{} is called {}", other.name(), one.name());
        ensure!(one.ty() == other.ty() && one.shape() == other.shape(), "{}", one.name());
        ensure!(one.read_rows(..)? == other.read_rows(..)?, "the values of {} differ", one.name());
    }
    Ok(())
}
