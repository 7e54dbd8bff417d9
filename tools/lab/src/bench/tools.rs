use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::files::{Run, python, run, warm};
use super::median;
use crate::conformance::flag;
use crate::record::Record;
use xtask::run::root;

const HELP: &str = "bench tools --model FILE.gguf [--split PROGRAM] [--hash PROGRAM] [--diff FILE]
    --model FILE              the file to hash, split, join and edit; its folder gets no files
    --split PROGRAM           llama-gguf-split
    --hash PROGRAM            llama-gguf-hash
    --parts-of N              split by this many tensors (default: by 50 MB)
    --diff FILE               a quantized form of the model: compared with gguf-py's values
    --granule FILE            the program (default: target/release/granule)
    --folder FOLDER           where results are written (default: that for temporary files)
    --rounds N                (default: 5); PYTHON names a Python with the package gguf";

/// Time and peak memory of the commands for files, each next to the tool that it replaces, in turn.
/// Files are in the page cache; medians of the rounds. What both write is compared.
pub(super) fn measure(arguments: &[String], record: &mut Record) -> anyhow::Result<()> {
    let path = |name: &str| flag(arguments, name).map(PathBuf::from);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let Some(model) = path("--model") else { bail!("{HELP}") };
    let folder = path("--folder").unwrap_or_else(std::env::temp_dir);
    let bench = Bench {
        granule: path("--granule").unwrap_or(target.join("release/granule")),
        folder: folder.join(format!("granule-bench-{}", std::process::id())),
        model: fs::canonicalize(&model).with_context(|| model.display().to_string())?,
        rounds: flag(arguments, "--rounds").map_or(Ok(5), str::parse)?,
        tensors: flag(arguments, "--parts-of").map(str::to_owned),
    };
    ensure!(bench.granule.exists(), "{}: build it with --release", bench.granule.display());
    fs::create_dir_all(&bench.folder)?;
    println!("medians of {} rounds", bench.rounds);
    println!(
        "| what | peer, s | Granule, s | ratio | of CPU time | peer, MB | Granule, MB | written |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    warm(&bench.model)?;
    let other = path("--diff").map(fs::canonicalize).transpose()?;
    let result = other
        .map_or(Ok(()), |other| bench.diff(&other, record))
        .and_then(|()| bench.inspect(record))
        .and_then(|()| bench.all(path("--split"), path("--hash"), record));
    fs::remove_dir_all(&bench.folder)?;
    result
}

struct Bench {
    granule: PathBuf,
    folder: PathBuf,
    model: PathBuf,
    rounds: usize,
    /// Tensors of a part, if it is not split by size.
    tensors: Option<String>,
}

impl Bench {
    /// Compare the errors of all values with those that gguf-py finds.
    fn diff(&self, other: &Path, record: &mut Record) -> anyhow::Result<()> {
        let script = root().join("tools/reference/diff_files.py");
        let files: [OsString; 2] = [self.model.clone().into(), other.into()];
        let theirs = [vec![python("PYTHON"), script.into()], files.to_vec()].concat();
        // files that differ are no failure
        let line = "\"$0\" diff --json --tensors \"$1\" \"$2\" || test $? = 1";
        let line = ["sh".into(), "-c".into(), line.into(), self.granule.clone().into()];
        let ours = [line.to_vec(), files.to_vec()].concat();
        let found: Value = serde_json::from_str(&run(&ours, "")?.output)?;
        let expected: HashMap<String, f64> = serde_json::from_str(&run(&theirs, "")?.output)?;
        let found = found["tensors"]["differences"].as_array().context("differences")?;
        ensure!(found.len() == expected.len(), "other tensors differ");
        for tensor in found {
            let name = tensor["name"].as_str().context("a name")?;
            let error = tensor["errors"]["relative"].as_f64().context("an error")?;
            let expected = expected.get(name).with_context(|| format!("{name} is the same"))?;
            ensure!(
                (error - expected).abs() <= 1e-9 * expected,
                "{name}: {error}, expected {expected}"
            );
        }
        self.compare("diff", "gguf-py and numpy", theirs, ours, record).map(drop)
    }

    /// Print the header; names, types and shapes of tensors and plain values are compared.
    fn inspect(&self, record: &mut Record) -> anyhow::Result<()> {
        let model: OsString = self.model.clone().into();
        let theirs = vec![python("PYTHON"), "-m".into(), "gguf.scripts.gguf_dump".into()];
        let theirs = [theirs, vec!["--json".into(), model.clone()]].concat();
        let ours = self.granule("inspect", ["--json".into(), model]);
        let [theirs, ours] = self.compare("inspect", "gguf_dump.py", theirs, ours, record)?;
        let theirs: Value = serde_json::from_str(&theirs)?;
        let ours: Value = serde_json::from_str(&ours)?;
        let expected = theirs["tensors"].as_object().context("tensors")?;
        let found = ours["tensors"].as_array().context("tensors")?;
        ensure!(found.len() == expected.len(), "other tensors");
        for tensor in found {
            let name = tensor["name"].as_str().context("a name")?;
            let same = |field: &str| tensor[field] == expected[name][field];
            ensure!(expected.contains_key(name) && same("type") && same("shape"), "{name} differs");
        }
        for entry in ours["metadata"].as_array().context("metadata")? {
            let key = entry["key"].as_str().context("a key")?;
            let expected = &theirs["metadata"][key];
            ensure!(expected.is_object(), "{key} is not in the other's output");
            // numbers have other digits, and arrays are left out
            let comparable = entry["value"].is_string() || entry["value"].is_i64();
            ensure!(!comparable || entry["value"] == expected["value"], "{key} differs");
        }
        Ok(())
    }

    fn all(
        &self,
        split: Option<PathBuf>,
        hash: Option<PathBuf>,
        record: &mut Record,
    ) -> anyhow::Result<()> {
        let model: OsString = self.model.clone().into();
        let file = |name: &str| -> OsString { self.folder.join(name).into() };
        let script = |name: &str| -> Vec<OsString> {
            vec![python("PYTHON"), "-m".into(), format!("gguf.scripts.{name}").into()]
        };
        if let Some(hash) = hash {
            for option in ["--xxh64", "--sha256"] {
                let theirs = vec![hash.clone().into(), option.into(), model.clone()];
                let ours = self.granule("hash", [option.into(), "-q".into(), model.clone()]);
                let what = format!("hash {option}");
                same_hashes(&self.compare(&what, "llama-gguf-hash", theirs, ours, record)?)?;
            }
        }
        let theirs = [script("gguf_hash"), vec![model.clone()]].concat();
        let both = ["--sha1".into(), "--sha256".into(), "-q".into(), model.clone()];
        let ours = self.granule("hash", both);
        same_hashes(&self.compare(
            "hash --sha1 --sha256",
            "gguf_hash.py",
            theirs,
            ours,
            record,
        )?)?;

        if let Some(split) = split {
            let size: [OsString; 2] = match &self.tensors {
                Some(count) => ["--split-max-tensors".into(), count.into()],
                None => ["--split-max-size".into(), "50M".into()],
            };
            let theirs = [vec![split.clone().into(), "--split".into()], size.to_vec()].concat();
            let theirs = [theirs, vec![model.clone(), file("theirs")]].concat();
            let ours = [size.to_vec(), vec!["-q".into(), model.clone(), file("ours")]].concat();
            let ours = self.granule("split", ours);
            self.compare("split", "llama-gguf-split", theirs, ours, record)?;
            let parts = self.parts("theirs")?;
            for part in &parts {
                let name = part.file_name().unwrap_or_default().display().to_string();
                let ours = part.with_file_name(name.replacen("theirs", "ours", 1));
                ensure!(fs::read(part)? == fs::read(ours)?, "{name} differs");
            }
            let first: OsString = parts.first().context("a part")?.clone().into();
            let joined = self.folder.join("joined.gguf");
            // it refuses to replace a file
            let remove = format!(
                "rm -f '{0}'; exec '{1}' --merge '{2}' '{0}'",
                joined.display(),
                split.display(),
                first.display()
            );
            let theirs = vec!["sh".into(), "-c".into(), remove.into()];
            let ours = self.granule("join", ["-q".into(), first, file("own.gguf")]);
            self.compare("join", "llama-gguf-split", theirs, ours, record)?;
            ensure!(fs::read(&joined)? == fs::read(file("own.gguf"))?, "the joined files differ");
            for name in ["theirs", "ours"] {
                self.parts(name)?.iter().try_for_each(fs::remove_file)?;
            }
            fs::remove_file(&joined)?;
            fs::remove_file(file("own.gguf"))?;
        }
        self.edits(&model, script, record)
    }

    fn edits(
        &self,
        model: &OsString,
        script: impl Fn(&str) -> Vec<OsString>,
        record: &mut Record,
    ) -> anyhow::Result<()> {
        let file = |name: &str| -> OsString { self.folder.join(name).into() };
        let template = "{% for message in messages %}{{ message }}{% endfor %}\n".repeat(40);
        fs::write(file("new.jinja"), template)?;
        let with_template = [
            vec![model.clone(), file("theirs.gguf"), "--force".into()],
            vec!["--chat-template-file".into(), file("new.jinja")],
        ];
        let theirs = [script("gguf_new_metadata"), with_template.concat()].concat();
        let options = ["--chat-template".into(), file("new.jinja"), "-q".into()];
        let copy = [vec![model.clone(), "-o".into(), file("ours.gguf")], options.to_vec()].concat();
        let ours = self.granule("edit", copy);
        self.compare("a template, new file", "gguf_new_metadata.py", theirs.clone(), ours, record)?;
        let same = [file("theirs.gguf"), file("ours.gguf"), "--tensors".into()];
        run(&self.granule("diff", same), "")?; // fails if they differ

        // in place, the room being there; every round has another template
        let reserve = [file("ours.gguf"), "--reserve".into(), "64K".into(), "-q".into()];
        run(&self.granule("edit", reserve), "")?;
        let text = self.folder.join("turn");
        let line = format!(
            "echo x >> '{0}'; exec '{1}' edit '{2}' --set-from tokenizer.chat_template='{0}' -q",
            text.display(),
            self.granule.display(),
            self.folder.join("ours.gguf").display()
        );
        let ours = vec!["sh".into(), "-c".into(), line.into()];
        self.compare("a template, in place", "gguf_new_metadata.py", theirs, ours, record)?;
        let set = |path: OsString, key: &str| [path, key.into()];
        let key = "general.quantization_version";
        let theirs = [
            script("gguf_set_metadata"),
            set(file("theirs.gguf"), key).to_vec(),
            vec!["3".into(), "--force".into()],
        ];
        let ours = [file("ours.gguf"), "--set".into(), format!("{key}=u32:3").into(), "-q".into()];
        let ours = self.granule("edit", ours);
        self.compare("a number, in place", "gguf_set_metadata.py", theirs.concat(), ours, record)?;
        let same = [file("theirs.gguf"), file("ours.gguf"), "--tensors".into()];
        run(&self.granule("diff", same), "").map(drop)
    }

    fn granule(&self, command: &str, options: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
        let line = [self.granule.clone().into(), command.into()];
        line.into_iter().chain(options).collect()
    }

    /// The files of a split set, in their order.
    fn parts(&self, stem: &str) -> anyhow::Result<Vec<PathBuf>> {
        let mut parts = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(&format!("{stem}-")) {
                parts.push(path);
            }
        }
        parts.sort();
        Ok(parts)
    }

    /// Run both in turn, print a line of the table, and return what both said last.
    fn compare(
        &self,
        what: &str,
        peer: &str,
        theirs: Vec<OsString>,
        ours: Vec<OsString>,
        record: &mut Record,
    ) -> anyhow::Result<[String; 2]> {
        let mut runs = [Vec::new(), Vec::new()];
        for _ in 0..self.rounds {
            runs[0].push(run(&theirs, "")?);
            runs[1].push(run(&ours, "")?);
        }
        let of = |runs: &[Run], figure: fn(&Run) -> f64| {
            median(&mut runs.iter().map(figure).collect::<Vec<_>>())
        };
        let seconds: fn(&Run) -> f64 = |run| run.seconds;
        let cpu: fn(&Run) -> f64 = |run| run.cpu_seconds;
        let peak: fn(&Run) -> f64 = |run| run.peak_bytes / 1e6;
        let written: fn(&Run) -> f64 = |run| run.written_bytes / 1e6;
        let last = runs.each_ref().map(|runs| runs.last().map_or("", |run| &run.output).to_owned());
        let [theirs, ours] = runs;
        let name = self.model.file_name().map(Path::new).unwrap_or(Path::new("")).display();
        let figures = [
            ("time", "s", seconds),
            ("CPU time", "s", cpu),
            ("peak memory", "MB", peak),
            ("written", "MB", written),
        ];
        for (figure, unit, measure) in figures {
            let (own, other) = (of(&ours, measure), Some((peer, of(&theirs, measure))));
            // what writes nothing has no row for it
            if own > 0.0 {
                record.add(&format!("{name}, {what}: {figure}"), unit, own, other);
            }
        }
        println!(
            "| {what}, {peer} | {:.3} | {:.3} | {:.1} | {:.1} | {:.0} | {:.0} | {:.3} |",
            of(&theirs, seconds),
            of(&ours, seconds),
            of(&theirs, seconds) / of(&ours, seconds),
            of(&theirs, cpu) / of(&ours, cpu).max(0.001),
            of(&theirs, peak),
            of(&ours, peak),
            of(&ours, written),
        );
        Ok(last)
    }
}

/// Compares the hashes of tensors and of the whole file that both programs have printed: lines of
/// an algorithm, a hash, and a path with the name of a tensor after a colon.
fn same_hashes([theirs, ours]: &[String; 2]) -> anyhow::Result<()> {
    let hashes = |output: &str| -> BTreeSet<(String, String, String)> {
        let lines = output.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (algorithm, hash, name) = (words.next()?, words.next()?, words.next()?);
            let tensor = name.split_once(".gguf").map_or(name, |(_, tensor)| tensor);
            Some((algorithm.to_owned(), hash.to_owned(), tensor.to_owned()))
        });
        lines.collect()
    };
    let (theirs, ours) = (hashes(theirs), hashes(ours));
    ensure!(!ours.is_empty() && ours.is_subset(&theirs), "the hashes differ");
    Ok(())
}
