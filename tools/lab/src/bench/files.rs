use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use granule_format::FileType;
use serde::Deserialize;
use serde_json::json;

use super::median;
use crate::conformance::flag;
use crate::record::Record;
use xtask::run::root;

const HELP: &str = "bench files [--model F16.gguf] [--memory F16.gguf]
            [--checkpoint FOLDER --converter convert_hf_to_gguf.py]
    --model FILE              to Q4_K_M, IQ3_S and IQ4_XS, against the reference's quantizer
    --memory FILE             to Q4_K_M, against the reference's quantizer: peak memory
    --checkpoint FOLDER       to BF16, against the reference's converter
    --converter FILE          the converter; CONVERTER_PYTHON names its Python, PYTHON that of the
                              quantizer
    --granule FILE            the program (default: target/release/granule)
    --folder FOLDER           where results are written (default: that for temporary files)
    --threads N --rounds N    (default: 2, 5)";

/// Tables of time and peak memory of whole conversions, the programs in turn, files in the page
/// cache, medians of the rounds. The results of both are compared byte for byte.
///
/// The time of the reference's quantizer is that of its library's call alone, all others are those
/// of the program from start to end.
pub(super) fn measure(arguments: &[String], record: &mut Record) -> anyhow::Result<()> {
    let path = |name: &str| flag(arguments, name).map(PathBuf::from);
    let number = |name: &str, default: usize| flag(arguments, name).map_or(Ok(default), str::parse);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let bench = Bench {
        granule: path("--granule").unwrap_or(target.join("release/granule")),
        folder: path("--folder").unwrap_or_else(std::env::temp_dir),
        threads: number("--threads", 2)?,
        rounds: number("--rounds", 5)?,
    };
    ensure!(bench.granule.exists(), "{}: build it with --release", bench.granule.display());
    let (model, memory) = (path("--model"), path("--memory"));
    let checkpoint = path("--checkpoint").zip(path("--converter"));
    if model.is_none() && memory.is_none() && checkpoint.is_none() {
        bail!("{HELP}");
    }

    println!("medians of {} rounds, {} threads", bench.rounds, bench.threads);
    println!(
        "| from, to | reference, s | Granule, s | ratio | CPU s | CPU s | reference, MB \
         | Granule, MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    if let Some(model) = model {
        for name in ["Q4_K_M", "IQ3_S", "IQ4_XS"] {
            bench.quantize(&model, name, record)?;
        }
    }
    if let Some(model) = memory {
        bench.quantize(&model, "Q4_K_M", record)?;
    }
    if let Some((checkpoint, converter)) = checkpoint {
        bench.convert(&checkpoint, &converter, record)?;
    }
    Ok(())
}

struct Bench {
    granule: PathBuf,
    folder: PathBuf,
    threads: usize,
    rounds: usize,
}

/// The cost of a run of a program, as `tools/reference/measure.py` prints it.
#[derive(Deserialize)]
pub(super) struct Run {
    code: i32,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) peak_bytes: f64,
    /// What was to be written to disks.
    pub(super) written_bytes: f64,
    pub(super) output: String,
    errors: String,
}

/// A figure of a run.
type Measure = fn(&Run) -> f64;

impl Bench {
    fn quantize(&self, model: &Path, name: &str, record: &mut Record) -> anyhow::Result<()> {
        let file_type = FileType::from_name(name).context("a file type")?;
        let theirs = |output: &Path| {
            let script = root().join("tools/reference/quantize.py");
            let request = json!({
                "input": model,
                "output": output,
                "file_type": file_type.number(),
                "threads": self.threads,
            });
            let mut run = run(&[python("PYTHON"), script.into()], &request.to_string())?;
            let answer: serde_json::Value = serde_json::from_str(&run.output)?;
            ensure!(answer["code"] == 0, "the reference: {answer}");
            run.seconds = answer["seconds"].as_f64().context("seconds")?;
            Ok(run)
        };
        let peer = "llama.cpp quantizer";
        self.compare(model, name, (peer, theirs), &["-t", name], record)
    }

    fn convert(
        &self,
        checkpoint: &Path,
        converter: &Path,
        record: &mut Record,
    ) -> anyhow::Result<()> {
        let theirs = |output: &Path| {
            let line = [
                python("CONVERTER_PYTHON"),
                converter.into(),
                checkpoint.into(),
                "--outtype".into(),
                "bf16".into(),
                "--outfile".into(),
                output.into(),
            ];
            run(&line, "")
        };
        let peer = "llama.cpp converter";
        self.compare(checkpoint, "BF16", (peer, theirs), &["--outtype", "bf16"], record)
    }

    /// Run both in turn and print a line of the table.
    fn compare(
        &self,
        from: &Path,
        to: &str,
        (peer, theirs): (&str, impl Fn(&Path) -> anyhow::Result<Run>),
        arguments: &[&str],
        record: &mut Record,
    ) -> anyhow::Result<()> {
        let folder = self.folder.join(format!("granule-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let outputs = [folder.join("reference.gguf"), folder.join("granule.gguf")];
        warm(from)?;
        let mut line: Vec<OsString> =
            vec![self.granule.clone().into(), "convert".into(), from.into()];
        line.extend(arguments.iter().map(OsString::from));
        line.extend(["-o".into(), outputs[1].clone().into(), "-q".into()]);
        line.extend(["--threads".into(), self.threads.to_string().into()]);

        let mut runs = [Vec::new(), Vec::new()];
        for _ in 0..self.rounds {
            runs[0].push(theirs(&outputs[0])?);
            runs[1].push(run(&line, "")?);
        }
        let same = fs::read(&outputs[0])? == fs::read(&outputs[1])?;
        fs::remove_dir_all(&folder)?;
        let [theirs, ours] = runs;
        let of =
            |runs: &[Run], what: Measure| median(&mut runs.iter().map(what).collect::<Vec<_>>());
        let seconds: Measure = |run| run.seconds;
        let cpu: Measure = |run| run.cpu_seconds;
        let peak: Measure = |run| run.peak_bytes / 1e6;
        let case = format!("{}, {to}", from.file_name().unwrap_or_default().display());
        for (what, unit, measure) in
            [("time", "s", seconds), ("CPU time", "s", cpu), ("peak memory", "MB", peak)]
        {
            let other = Some((peer, of(&theirs, measure)));
            record.add(&format!("{case}: {what}"), unit, of(&ours, measure), other);
        }
        println!(
            "| {case} | {:.2} | {:.2} | {:.1} | {:.2} | {:.2} | {:.0} | {:.0} |{}",
            of(&theirs, seconds),
            of(&ours, seconds),
            of(&theirs, seconds) / of(&ours, seconds),
            of(&theirs, cpu),
            of(&ours, cpu),
            of(&theirs, peak),
            of(&ours, peak),
            if same { "" } else { " the files differ |" }
        );
        Ok(())
    }
}

pub(super) fn python(variable: &str) -> OsString {
    std::env::var_os(variable).unwrap_or_else(|| "python3".into())
}

/// Run a program under `tools/reference/measure.py`.
pub(super) fn run(line: &[OsString], input: &str) -> anyhow::Result<Run> {
    let mut process = Command::new(python("PYTHON"))
        .arg(root().join("tools/reference/measure.py"))
        .args(line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("PYTHON names a Python")?;
    if let Some(mut to) = process.stdin.take() {
        writeln!(to, "{input}")?;
    }
    let done = process.wait_with_output()?;
    let run: Run = serde_json::from_slice(&done.stdout)?;
    ensure!(run.code == 0, "{line:?} failed: {}", run.errors);
    Ok(run)
}

/// Read a file, or all files of a folder, so that the page cache has them.
pub(super) fn warm(path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            let path = entry?.path();
            if path.is_file() {
                std::io::copy(&mut fs::File::open(path)?, &mut std::io::sink())?;
            }
        }
    } else {
        std::io::copy(&mut fs::File::open(path)?, &mut std::io::sink())?;
    }
    Ok(())
}
