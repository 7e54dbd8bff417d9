//! Whole files by the reference's quantizer and by Granule, byte for byte.

mod cases;
mod difference;
mod models;
mod quantizer;

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fastrand::Rng;
use granule_convert::plan::run_all;
use granule_convert::recipe::Split;
use granule_convert::run::RunOptions;
use granule_convert::{Plan, Recipe};
use granule_encode::Importance;
use granule_format::check;
use granule_format::check::Options;
use granule_reader::GgufSource;
use granule_reader::Source;

use super::flag;
use cases::{Case, Form};
use difference::difference;
use models::{Matrix, Shapes};
pub(super) use quantizer::Quantizer;
use xtask::run::root;

/// Compare whole files: `files [MODEL.gguf ...]`.
///
/// Always: narrow models shaped like well-known ones, with random weights, every file type, with
/// and without an importance matrix, with options; and the plans for their true shapes. `--shapes
/// a,b` or `--shapes all` names models of `fixtures/type-choice/` to take the shapes of. Files that
/// are given are compared too: some types as a whole, all types with the first block alone; and the
/// validator must have nothing to say about the whole files. `--seed N` draws other weights,
/// `--all` shows every case.
pub(super) fn compare(arguments: &[String]) -> anyhow::Result<()> {
    let seed = flag(arguments, "--seed").map_or(Ok(1), str::parse)?;
    let shapes = match flag(arguments, "--shapes") {
        Some("all") => every_shape()?,
        Some("none") => Vec::new(),
        Some(names) => names.split(',').map(str::to_owned).collect(),
        None => models::DEFAULT.iter().map(|name| (*name).to_owned()).collect(),
    };
    let files = arguments.iter().filter(|argument| argument.ends_with(".gguf"));
    let folder = std::env::temp_dir().join(format!("granule-conformance-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut bench = Bench {
        folder: folder.clone(),
        quantizer: Quantizer::new(),
        rng: Rng::with_seed(seed),
        all: arguments.iter().any(|argument| argument == "--all"),
        sum: Row::default(),
    };
    let result = bench.compare(&shapes, files.map(Path::new));
    fs::remove_dir_all(&folder)?;
    result?;
    let differences = bench.sum.different + bench.sum.granule_refuses;
    ensure!(differences == 0, "{differences} files differ");
    println!("no difference");
    Ok(())
}

fn every_shape() -> anyhow::Result<Vec<String>> {
    let mut names = vec!["deepseek-v3".to_owned()];
    for entry in fs::read_dir(root().join("fixtures/type-choice"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

/// A line of the table.
#[derive(Default)]
struct Row {
    cases: u64,
    same: u64,
    bytes: u64,
    both_refuse: u64,
    reference_refuses: u64,
    granule_refuses: u64,
    different: u64,
    reference: Duration,
    granule: Duration,
}

/// The outcome of a case.
enum Verdict {
    Same(u64),
    BothRefuse,
    ReferenceRefuses(String),
    GranuleRefuses(String),
    Different(String),
}

struct Bench {
    folder: PathBuf,
    quantizer: Quantizer,
    rng: Rng,
    all: bool,
    sum: Row,
}

/// A source in the forms that cases ask for.
struct Input {
    name: String,
    path: PathBuf,
    split: Option<PathBuf>,
    matrices: [PathBuf; 2],
    /// Whether it is a real model: then the validator has nothing to say about results.
    is_real: bool,
}

impl Bench {
    fn compare<'p>(
        &mut self,
        shapes: &[String],
        files: impl Iterator<Item = &'p Path>,
    ) -> anyhow::Result<()> {
        println!(
            "{:<24} {:>6} {:>6} {:>11} {:>6} {:>10} {:>8} {:>9} {:>11} {:>11}",
            "model",
            "cases",
            "same",
            "bytes",
            "both",
            "reference",
            "granule",
            "different",
            "reference",
            "granule"
        );
        println!("{:<24} {:>13} {:>18} {:>9} {:>8}", "", "", "refuse", "refuses", "refuses");
        for name in shapes {
            self.compare_plans(name)?;
            let input = self.narrow(name)?;
            let mut cases = cases::plain();
            cases.extend(cases::options()?);
            // the reference gives blocks with a prefix wrong numbers; see `spec/mixtures.md`
            let source = GgufSource::open(&input.path)?;
            if source.tensors().iter().any(|tensor| tensor.name.contains(".blk.")) {
                cases.retain(|case| case.recipe.prune_layers.is_empty());
            }
            self.compare_cases(&input, &cases)?;
        }
        for path in files {
            let input = self.given(path)?;
            self.compare_cases(&input, &cases::common())?;
            let source = GgufSource::open(path)?;
            let architecture = source.metadata().text("general.architecture")?.unwrap_or_default();
            let blocks = source.metadata().integer(&format!("{architecture}.block_count"))?;
            // with the types that the options name, the file is none of the type that it says
            let name = format!("{} (one block)", input.name);
            let input = Input { name, is_real: false, ..input };
            self.compare_cases(&input, &cases::pruned(blocks.unwrap_or(0))?)?;
        }
        let sum = std::mem::take(&mut self.sum);
        show("all", &sum);
        self.sum = sum;
        Ok(())
    }

    /// A narrow model with random weights.
    fn narrow(&mut self, name: &str) -> anyhow::Result<Input> {
        let path = self.folder.join(format!("{name}.gguf"));
        Shapes::of(name)?.narrow().write(&path, &mut self.rng)?;
        let source = GgufSource::open(&path)?;
        let max_tensors = NonZeroU64::new(source.tensors().len().div_ceil(3) as u64);
        let split = Split { max_tensors, ..Split::NONE };
        let plan = Plan::as_is(&source, &split, false)?;
        let set = self.folder.join(format!("{name}-split.gguf"));
        run_all(&source, &[(&plan, &set)], None, &RunOptions::default(), &|_| ())?;
        let first = plan.paths(&set).swap_remove(0);
        self.input(name, path, Some(first))
    }

    fn given(&mut self, path: &Path) -> anyhow::Result<Input> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Input { is_real: true, ..self.input(&name, path.to_owned(), None)? })
    }

    fn input(
        &mut self,
        name: &str,
        path: PathBuf,
        split: Option<PathBuf>,
    ) -> anyhow::Result<Input> {
        let matrices =
            ["gguf", "dat"].map(|form| self.folder.join(format!("{name}.imatrix.{form}")));
        let source = GgufSource::open(&path)?;
        let tensors = source.tensors().iter();
        let matrix =
            Matrix::for_tensors(tensors.map(|tensor| (tensor.name.as_str(), tensor.shape)));
        matrix.write_gguf(&matrices[0], &mut self.rng)?;
        matrix.write_dat(&matrices[1], &mut self.rng)?;
        Ok(Input { name: name.to_owned(), path, split, matrices, is_real: false })
    }

    fn compare_cases(&mut self, input: &Input, cases: &[Case]) -> anyhow::Result<()> {
        let mut row = Row::default();
        for case in cases {
            let verdict = self
                .compare_case(input, case, &mut row)
                .with_context(|| format!("{} {}", input.name, case.label()))?;
            row.cases += 1;
            let line = match verdict {
                Verdict::Same(bytes) => {
                    row.same += 1;
                    row.bytes += bytes;
                    None
                }
                Verdict::BothRefuse => {
                    row.both_refuse += 1;
                    None
                }
                Verdict::ReferenceRefuses(why) => {
                    row.reference_refuses += 1;
                    self.all.then(|| format!("the reference refuses: {why}"))
                }
                Verdict::GranuleRefuses(why) => {
                    row.granule_refuses += 1;
                    Some(format!("Granule refuses: {why}"))
                }
                Verdict::Different(place) => {
                    row.different += 1;
                    Some(place)
                }
            };
            if let Some(line) = line.or(self.all.then(|| "as the reference".to_owned())) {
                println!("  {} {}: {line}", input.name, case.label());
            }
        }
        show(&input.name, &row);
        self.sum.add(&row);
        Ok(())
    }

    fn compare_case(
        &mut self,
        input: &Input,
        case: &Case,
        row: &mut Row,
    ) -> anyhow::Result<Verdict> {
        let path =
            if case.split { input.split.as_ref().context("a split set")? } else { &input.path };
        let matrix = case.matrix.map(|form| match form {
            Form::Gguf => &input.matrices[0],
            Form::Dat => &input.matrices[1],
        });
        let outputs = ["reference.gguf", "granule.gguf"].map(|name| self.folder.join(name));
        let matrix_path = matrix.map(PathBuf::as_path);
        let expected =
            self.quantizer.quantize(path, &outputs[0], &case.recipe, matrix_path, false)?;
        row.reference += Duration::from_secs_f64(expected.seconds);

        let begin = Instant::now();
        let found = granule(path, &outputs[1], &case.recipe, matrix_path);
        row.granule += begin.elapsed();
        let verdict = match (expected.code, found) {
            (0, Err(error)) => Verdict::GranuleRefuses(error.to_string()),
            (0, Ok(files)) => self.compare_files(&outputs[0], &files, input.is_real)?,
            (_, Err(_)) => Verdict::BothRefuse,
            (_, Ok(_)) => Verdict::ReferenceRefuses(expected.log.trim().to_owned()),
        };
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("reference") || name.starts_with("granule") {
                fs::remove_file(&path)?;
            }
        }
        Ok(verdict)
    }

    fn compare_files(
        &self,
        expected: &Path,
        found: &[PathBuf],
        is_real: bool,
    ) -> anyhow::Result<Verdict> {
        let mut bytes = 0;
        for path in found {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let expected = expected.with_file_name(name.replace("granule", "reference"));
            if !expected.exists() {
                return Ok(Verdict::Different(format!("the reference has no file {name}")));
            }
            if let Some(place) = difference(&expected, path)? {
                return Ok(Verdict::Different(place));
            }
            let file = fs::read(path)?;
            let options = Options::default().with_name(&name);
            let report = check(&file, &options);
            if let Some(finding) = report.findings.first().filter(|_| is_real) {
                return Ok(Verdict::Different(format!("the validator says {finding}")));
            }
            bytes += file.len() as u64;
        }
        Ok(Verdict::Same(bytes))
    }

    /// The types for the true shapes, by dry runs of both.
    fn compare_plans(&mut self, name: &str) -> anyhow::Result<()> {
        let path = self.folder.join(format!("{name}-true-size.gguf"));
        Shapes::of(name)?.write_header(&path)?;
        let source = GgufSource::open(&path)?;
        let tensors = source.tensors().iter();
        let one = Matrix::for_tensors(tensors.map(|tensor| (tensor.name.as_str(), tensor.shape)));
        let matrix = self.folder.join("one-entry.gguf");
        one.first().write_gguf(&matrix, &mut self.rng)?;
        let importance = Importance::read(&matrix)?;
        let mut row = Row::default();
        for file_type in cases::file_types() {
            for with in [false, true] {
                let mut recipe = Recipe::new(file_type);
                (recipe.allow_missing, recipe.allow_requantize) = (true, true);
                let given = with.then_some(matrix.as_path());
                let none = self.folder.join("none.gguf");
                let expected = self.quantizer.quantize(&path, &none, &recipe, given, true)?;
                row.cases += 1;
                row.reference += Duration::from_secs_f64(expected.seconds);
                let begin = Instant::now();
                let found = Plan::preview(&source, &recipe, with.then_some(&importance));
                row.granule += begin.elapsed();
                let line = match found {
                    Err(_) if expected.code != 0 => {
                        row.both_refuse += 1;
                        continue;
                    }
                    Err(error) => {
                        row.granule_refuses += 1;
                        format!("Granule refuses: {error}")
                    }
                    Ok(_) if expected.code != 0 => {
                        row.reference_refuses += 1;
                        continue;
                    }
                    Ok((plan, _)) => {
                        let different = plan.tensors().iter().find(|tensor| {
                            let target = tensor.target.to_string();
                            let expected = expected.types.get(&tensor.name);
                            expected.is_none_or(|expected| !expected.eq_ignore_ascii_case(&target))
                        });
                        match different {
                            None => {
                                row.same += 1;
                                continue;
                            }
                            Some(tensor) => {
                                row.different += 1;
                                let expected = expected.types.get(&tensor.name);
                                format!(
                                    "{} is {}, expected {expected:?}",
                                    tensor.name, tensor.target
                                )
                            }
                        }
                    }
                };
                println!("  {name} {file_type} (matrix: {with}): {line}");
            }
        }
        drop(source);
        fs::remove_file(&path)?;
        show(&format!("{name} (types)"), &row);
        self.sum.add(&row);
        Ok(())
    }
}

/// Quantize with Granule; returns the files that it wrote.
fn granule(
    input: &Path,
    output: &Path,
    recipe: &Recipe,
    matrix: Option<&Path>,
) -> Result<Vec<PathBuf>, granule_convert::Error> {
    let source = GgufSource::open(input)?;
    let importance = matrix.map(Importance::read).transpose()?;
    let plan = Plan::new(&source, recipe, importance.as_ref())?;
    let options = RunOptions { threads: Some(2), ..RunOptions::default() };
    let plans = [(&plan, output)];
    let summary = run_all(&source, &plans, importance.as_ref(), &options, &|_| ())?;
    Ok(summary.files.into_iter().map(|(path, _)| path).collect())
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.same += other.same;
        self.bytes += other.bytes;
        self.both_refuse += other.both_refuse;
        self.reference_refuses += other.reference_refuses;
        self.granule_refuses += other.granule_refuses;
        self.different += other.different;
        self.reference += other.reference;
        self.granule += other.granule;
    }
}

fn show(name: &str, row: &Row) {
    println!(
        "{name:<24} {:>6} {:>6} {:>11} {:>6} {:>10} {:>8} {:>9} {:>9.1} s {:>9.1} s",
        row.cases,
        row.same,
        row.bytes,
        row.both_refuse,
        row.reference_refuses,
        row.granule_refuses,
        row.different,
        row.reference.as_secs_f64(),
        row.granule.as_secs_f64(),
    );
}
