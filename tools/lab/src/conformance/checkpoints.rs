//! Whole checkpoints by the reference's converter and by Granule, byte for byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use granule_convert::Recipe;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::files::Quantizer;
use super::flag;
use super::unusable::{completed, first_error, unusable};
use xtask::run::{cargo, root};

/// The folders of the corpus that hold checkpoints.
const CHECKPOINTS: [&str; 2] = ["checkpoints", "checkpoints-2"];

/// The types for `--two-steps`.
const TWO_STEPS: &[&str] = &["Q4_K_M", "IQ4_XS"];

/// Compare conversions: `checkpoints [--corpus FOLDER] [--real FOLDER] [--packages FOLDER] [--only
/// TEXT] [--two-steps]`.
///
/// The corpus (`fixtures` without the option) holds `checkpoints/NAME/` and `checkpoints-2/NAME/`
/// with the reference's results in `expected/`, `vocab-only/` with tokenizers of full size, some
/// from npm packages (`npm install --prefix FOLDER NAME@VERSION`), and `real/index.json` with the
/// results for checkpoints that are rebuilt in the folder of `--real`. `--two-steps` also quantizes
/// each in one pass and compares the result with the reference's quantizer run on the 16-bit file;
/// it needs the reference's library.
pub(super) fn compare(arguments: &[String]) -> anyhow::Result<()> {
    let corpus = flag(arguments, "--corpus").map_or_else(|| root().join("fixtures"), PathBuf::from);
    let only = flag(arguments, "--only").unwrap_or("");
    let two_steps = arguments.iter().any(|argument| argument == "--two-steps");
    cargo(&["build", "--release", "--quiet", "-p", "granule"], &[])?;
    let work = std::env::temp_dir().join(format!("granule-checkpoints-{}", std::process::id()));
    let mut bench = Bench {
        program: std::env::current_exe()?.with_file_name("granule"),
        tokenizers: CHECKPOINTS.map(|folder| corpus.join(folder).join("tokenizers")),
        packages: flag(arguments, "--packages").map(PathBuf::from),
        work: work.clone(),
        quantizer: two_steps.then(Quantizer::new),
        cases: 0,
        failures: 0,
    };
    let result = bench.corpus(&corpus, flag(arguments, "--real").map(Path::new), only);
    // nothing is left of it where nothing was begun
    let _ = fs::remove_dir_all(&work);
    result?;
    ensure!(bench.cases > 0, "{}: no cases", corpus.display());
    ensure!(bench.failures == 0, "{} of {} cases differ", bench.failures, bench.cases);
    println!("{} cases, no difference", bench.cases);
    Ok(())
}

/// The cases of a checkpoint.
#[derive(Deserialize)]
struct Index {
    cases: Vec<Case>,
}

/// One conversion.
#[derive(Deserialize)]
struct Case {
    case: String,
    args: Vec<String>,
    files: Vec<Expected>,
}

/// A file that the reference has written.
#[derive(Clone, Deserialize)]
struct Expected {
    name: String,
    sha256: String,
}

/// A file of a checkpoint that is kept once for several.
#[derive(Deserialize)]
struct Borrowed {
    path: String,
    from: String,
    sha256: String,
}

#[derive(Deserialize)]
struct Borrow {
    borrow: Vec<Borrowed>,
}

/// Where the files of a tokenizer are.
#[derive(Deserialize)]
struct Tokenizer {
    files: Vec<TokenizerFile>,
    #[serde(default)]
    tokenizers: Option<String>,
    #[serde(default)]
    npm: String,
    #[serde(default)]
    folder_in_package: String,
}

#[derive(Deserialize)]
struct TokenizerFile {
    path: String,
    sha256: String,
}

/// A case whose result is one file.
#[derive(Deserialize)]
struct Single {
    #[serde(default)]
    case: String,
    args: Vec<String>,
    #[serde(flatten)]
    file: Expected,
}

#[derive(Deserialize)]
struct Real {
    name: String,
    cases: Vec<Single>,
}

struct Bench {
    program: PathBuf,
    tokenizers: [PathBuf; CHECKPOINTS.len()],
    packages: Option<PathBuf>,
    work: PathBuf,
    quantizer: Option<Quantizer>,
    cases: usize,
    failures: usize,
}

impl Bench {
    fn corpus(&mut self, corpus: &Path, real: Option<&Path>, only: &str) -> anyhow::Result<()> {
        // the fixtures have the first of them alone
        let checkpoints = CHECKPOINTS.map(|folder| corpus.join(folder));
        for of in checkpoints.iter().filter(|folder| folder.is_dir()) {
            for folder in folders(of, only)? {
                if folder.join("expected/index.json").is_file() {
                    self.checkpoint(&folder)?;
                }
            }
        }
        let vocabularies = corpus.join("vocab-only");
        for folder in if vocabularies.is_dir() { folders(&vocabularies, only)? } else { Vec::new() }
        {
            self.vocabulary(&folder)?;
        }
        if let Some(real) = real {
            let models: Vec<Real> = read(&corpus.join("real/index.json"))?;
            for model in models.into_iter().filter(|model| model.name.contains(only)) {
                let folder = real.join(&model.name);
                let mut row = Row::new(&model.name);
                for Single { case, args, file } in model.cases {
                    self.case(&mut row, &folder, None, &Case { case, args, files: vec![file] })?;
                }
                self.two_steps(&mut row, &folder)?;
                self.show(row);
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self, stored: &Path) -> anyhow::Result<()> {
        let folder = self.assemble(stored)?;
        let index: Index = read(&stored.join("expected/index.json"))?;
        let mut row = Row::new(&name_of(stored));
        for case in &index.cases {
            self.case(&mut row, &folder, Some(&stored.join("expected")), case)?;
        }
        self.two_steps(&mut row, &folder)?;
        self.show(row);
        Ok(())
    }

    fn vocabulary(&mut self, stored: &Path) -> anyhow::Result<()> {
        let folder = self.empty(&name_of(stored))?;
        fs::copy(stored.join("config.json"), folder.join("config.json"))?;
        let source: Tokenizer = read(&stored.join("source.json"))?;
        let mut row = Row::new(&name_of(stored));
        let from = match (&source.tokenizers, &self.packages) {
            (Some(tokenizer), _) => self.tokenizer(tokenizer),
            (None, Some(packages)) => {
                packages.join("node_modules").join(&source.npm).join(&source.folder_in_package)
            }
            (None, None) => {
                row.note("left out", format!("needs --packages with {}", source.npm));
                self.show(row);
                return Ok(());
            }
        };
        for TokenizerFile { path, sha256 } in source.files {
            copy(&from.join(&path), &folder.join(&path), &sha256)?;
        }
        let Single { args, file, .. } = read(&stored.join("result.json"))?;
        let case = Case { case: "vocab-only".to_owned(), args, files: vec![file] };
        self.case(&mut row, &folder, None, &case)?;
        self.show(row);
        Ok(())
    }

    /// Put a checkpoint together as the reference has had it.
    fn assemble(&self, stored: &Path) -> anyhow::Result<PathBuf> {
        let folder = self.empty(&name_of(stored))?;
        copy_all(stored, &folder)?;
        let borrow = stored.join("borrow.json");
        if borrow.is_file() {
            let Borrow { borrow } = read(&borrow)?;
            for Borrowed { path, from, sha256 } in borrow {
                copy(&self.tokenizer(&from), &folder.join(path), &sha256)?;
            }
        }
        Ok(folder)
    }

    /// A file or folder of a tokenizer that checkpoints borrow.
    fn tokenizer(&self, name: &str) -> PathBuf {
        let mut places = self.tokenizers.iter().map(|folder| folder.join(name));
        places.find(|path| path.exists()).unwrap_or_else(|| self.tokenizers[0].join(name))
    }

    fn empty(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.work.join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn case(
        &mut self,
        row: &mut Row,
        folder: &Path,
        stored: Option<&Path>,
        case: &Case,
    ) -> anyhow::Result<()> {
        let mut options = case.args.clone();
        if let (Some(at), Some(stored)) =
            (options.iter().position(|option| option == "--metadata"), stored)
        {
            // its path is relative to the checkpoint
            let path = stored.with_file_name("").join(&options[at + 1]);
            options[at + 1] = path.to_string_lossy().into_owned();
        }
        let outputs = self.empty("outputs")?;
        let problem = match self.convert(row, folder, &outputs, &options)? {
            Some(message) => {
                options.push("--allow-invalid".to_owned());
                let refused = self.convert(row, folder, &outputs, &options)?.is_some();
                let other = refused || differences(&outputs, None, case)?.is_some();
                // one that was refused for another reason is no case of this
                let fault = if other { None } else { fault(&outputs)? };
                Some(fault.map_or(message, |fault| {
                    format!("{AS_EXPECTED} --allow-invalid, because it is invalid ({fault})")
                }))
            }
            None => differences(&outputs, stored, case)?,
        };
        self.cases += 1;
        row.cases += 1;
        match problem {
            Some(problem) => {
                self.failures += usize::from(!problem.starts_with(AS_EXPECTED));
                row.note(&case.case, problem);
            }
            None => row.same += 1,
        }
        Ok(())
    }

    /// Quantize in one pass, and compare with the reference's quantizer on the 16-bit file, which
    /// is the reference's own.
    fn two_steps(&mut self, row: &mut Row, folder: &Path) -> anyhow::Result<()> {
        let Some(mut quantizer) = self.quantizer.take() else { return Ok(()) };
        let outputs = self.empty("outputs")?;
        let [half, two, one] = ["half.gguf", "two.gguf", "one.gguf"].map(|name| outputs.join(name));
        let options = ["--outtype".to_owned(), "auto".to_owned()];
        if self.convert(row, folder, &half, &options)?.is_none() {
            for file_type in TWO_STEPS {
                let recipe = Recipe::new(file_type.parse()?);
                let outcome = quantizer.quantize(&half, &two, &recipe, None, false)?;
                let options = ["-t".to_owned(), (*file_type).to_owned()];
                let refused = self.convert(row, folder, &one, &options)?;
                row.cases += 1;
                self.cases += 1;
                match (outcome.code, refused) {
                    (0, None) if sha256(&one)? == sha256(&two)? => row.same += 1,
                    (0, refused) => {
                        self.failures += 1;
                        row.note(file_type, refused.unwrap_or("other bytes".to_owned()));
                    }
                    (..) => row.note(file_type, "the reference refuses".to_owned()),
                }
            }
        }
        self.quantizer = Some(quantizer);
        Ok(())
    }

    /// Convert; the program's message if it fails.
    fn convert(
        &self,
        row: &mut Row,
        folder: &Path,
        output: &Path,
        options: &[String],
    ) -> anyhow::Result<Option<String>> {
        let begin = Instant::now();
        let mut command = Command::new(&self.program);
        command.arg("convert").arg(folder).args(options).arg("-o").arg(output).arg("--quiet");
        let output = command.output().with_context(|| self.program.display().to_string())?;
        row.time += begin.elapsed();
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match output.status.code() {
            Some(0) => Ok(None),
            Some(_) => Ok(Some(message)),
            None => bail!("{command:?} was ended: {} {message}", output.status),
        }
    }

    fn show(&self, row: Row) {
        let Row { name, cases, same, time, notes } = row;
        println!("{name:<36} {cases:>3} cases {same:>3} same {:>6.1} s", time.as_secs_f64());
        for (problem, cases) in notes {
            println!("    {}: {problem}", cases.join(", "));
        }
    }
}

/// A line of the table.
struct Row {
    name: String,
    cases: usize,
    same: usize,
    time: Duration,
    /// Notes, and the cases that they are about.
    notes: Vec<(String, Vec<String>)>,
}

impl Row {
    fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, cases: 0, same: 0, time: Duration::ZERO, notes: Vec::new() }
    }

    fn note(&mut self, case: &str, problem: String) {
        match self.notes.iter_mut().find(|(known, _)| *known == problem) {
            Some((_, cases)) => cases.push(case.to_owned()),
            None => self.notes.push((problem, vec![case.to_owned()])),
        }
    }
}

/// The prefix of a note that is no failure: the same bytes with an exception that a rule explains.
pub(super) const AS_EXPECTED: &str = "but for";

/// How the files in `outputs` differ from those of the case; a bounded difference begins with
/// [`AS_EXPECTED`].
fn differences(
    outputs: &Path,
    stored: Option<&Path>,
    case: &Case,
) -> anyhow::Result<Option<String>> {
    let mut names: Vec<String> = fs::read_dir(outputs)?
        .map(|entry| Ok(name_of(&entry?.path())))
        .collect::<anyhow::Result<_>>()?;
    names.sort();
    let expected: Vec<&str> = case.files.iter().map(|file| file.name.as_str()).collect();
    if names != expected {
        return Ok(Some(format!("files {names:?}, expected {expected:?}")));
    }
    for file in &case.files {
        let path = outputs.join(&file.name);
        if hash(&fs::read(&path)?) != file.sha256 {
            let expected = match stored {
                Some(stored) => match unusable(&path, stored)? {
                    None => completed(&path, stored, &file.sha256)?,
                    expected => expected,
                },
                None => None,
            };
            return Ok(Some(expected.unwrap_or_else(|| format!("{} has other bytes", file.name))));
        }
    }
    Ok(None)
}

/// Describes the first fault of the files in a folder.
fn fault(outputs: &Path) -> anyhow::Result<Option<String>> {
    let files = fs::read_dir(outputs)?.map(|entry| Ok(fs::read(entry?.path())?));
    let files: Vec<Vec<u8>> = files.collect::<anyhow::Result<_>>()?;
    Ok(files.iter().find_map(|file| first_error(file)))
}

fn folders(of: &Path, only: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(of).with_context(|| of.display().to_string())?;
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    folders.retain(|path| path.is_dir() && name_of(path).contains(only));
    folders.sort();
    Ok(folders)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<T> {
    let name = || path.display().to_string();
    serde_json::from_slice(&fs::read(path).with_context(name)?).with_context(name)
}

fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = name_of(&path);
        let target = to.join(&name);
        if path.is_file() && name != "borrow.json" {
            fs::copy(&path, target)?;
        } else if path.is_dir() && name != "expected" {
            fs::create_dir_all(&target)?;
            copy_all(&path, &target)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, expected: &str) -> anyhow::Result<()> {
    let bytes = fs::read(from).with_context(|| from.display().to_string())?;
    ensure!(hash(&bytes) == expected, "{}: not the file that was borrowed", from.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(to, bytes)?)
}

fn sha256(path: &Path) -> anyhow::Result<String> {
    Ok(hash(&fs::read(path)?))
}

pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
