//! Measurements as rows of CSV files, one file a day: `benches/record/<date>.csv`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use granule_reader::isa::Isa;
use xtask::run::root;

const HEADER: &str =
    "date,commit,processor,isa,bench,case,against,unit,granule,reference,ratio,command";

/// A measurement, and what it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) processor: String,
    pub(crate) isa: String,
    pub(crate) bench: String,
    pub(crate) case: String,
    /// The other side; empty if there is none.
    pub(crate) against: String,
    pub(crate) unit: String,
    pub(crate) granule: f64,
    pub(crate) reference: Option<f64>,
    pub(crate) command: String,
}

impl Row {
    /// How many times better Granule is: of speeds its own by the other, of times and bytes the
    /// other by its own.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let per_second = self.unit.ends_with("/s");
        self.reference
            .map(|other| if per_second { self.granule / other } else { other / self.granule })
    }

    fn line(&self) -> String {
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let ratio = self.ratio().map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let cells = [
            &self.date,
            &self.commit,
            &self.processor,
            &self.isa,
            &self.bench,
            &self.case,
            &self.against,
            &self.unit,
            &number(Some(self.granule)),
            &number(self.reference),
            &ratio,
            &self.command,
        ];
        cells.map(|cell| quoted(cell)).join(",")
    }

    fn parse(line: &str) -> anyhow::Result<Self> {
        let cells = cells(line);
        let [date, commit, processor, isa, bench, case, against, unit, own, other, _, command] =
            <[String; 12]>::try_from(cells).ok().context("a row has 12 cells")?;
        let granule = own.parse()?;
        let reference = if other.is_empty() { None } else { Some(other.parse()?) };
        Ok(Self {
            date,
            commit,
            processor,
            isa,
            bench,
            case,
            against,
            unit,
            granule,
            reference,
            command,
        })
    }
}

fn quoted(cell: &str) -> String {
    match cell.contains([',', '"']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut inside = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if inside && characters.peek() == Some(&'"') => {
                characters.next();
                cells.last_mut().expect("one cell at least").push('"');
            }
            '"' => inside = !inside,
            ',' if !inside => cells.push(String::new()),
            c => cells.last_mut().expect("one cell at least").push(c),
        }
    }
    cells
}

/// The rows of one run of a benchmark.
#[derive(Debug)]
pub(crate) struct Record {
    start: Row,
    rows: Vec<Row>,
}

impl Record {
    /// Begin the record of `bench`, which was called with these arguments.
    pub(crate) fn begin(bench: &str, arguments: &[String]) -> Self {
        // which folders a machine has does not matter
        let shown = arguments.iter().map(|argument| match Path::new(argument).file_name() {
            Some(name) if Path::new(argument).is_absolute() => name.to_string_lossy(),
            _ => argument.into(),
        });
        let shown = shown.collect::<Vec<_>>().join(" ");
        let start = Row {
            date: said_by("date", &["+%F"]),
            commit: commit(),
            processor: processor(),
            isa: Isa::detect().name().to_owned(),
            bench: bench.to_owned(),
            case: String::new(),
            against: String::new(),
            unit: String::new(),
            granule: 0.0,
            reference: None,
            command: format!("cargo xtask bench {bench} {shown}"),
        };
        Self { start, rows: Vec::new() }
    }

    /// Add a measurement with the instruction set in use.
    pub(crate) fn add(&mut self, case: &str, unit: &str, granule: f64, other: Option<(&str, f64)>) {
        let isa = self.start.isa.clone();
        self.add_with(&isa, case, unit, granule, other);
    }

    /// Add a measurement with the instruction set `isa`.
    pub(crate) fn add_with(
        &mut self,
        isa: &str,
        case: &str,
        unit: &str,
        granule: f64,
        other: Option<(&str, f64)>,
    ) {
        self.rows.push(Row {
            isa: isa.to_owned(),
            case: case.to_owned(),
            against: other.map_or(String::new(), |(name, _)| name.to_owned()),
            unit: unit.to_owned(),
            granule: rounded(granule),
            reference: other.map(|(_, value)| rounded(value)),
            ..self.start.clone()
        });
    }

    /// Append the rows to the file of their day, if there are any.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(self) -> anyhow::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let path = folder().join(format!("{}.csv", self.start.date));
        let mut text = if path.exists() { String::new() } else { format!("{HEADER}\n") };
        self.rows.iter().for_each(|row| text += &(row.line() + "\n"));
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(text.as_bytes())?;
        println!("\n{} rows were added to {}", self.rows.len(), path.display());
        Ok(())
    }
}

/// A number with four significant digits.
fn rounded(value: f64) -> f64 {
    let digits = 3 - value.abs().max(1e-9).log10().floor() as i32;
    let scale = 10_f64.powi(digits.clamp(0, 9));
    (value * scale).round() / scale
}

/// All rows of all days, oldest first.
///
/// # Errors
/// If a file cannot be read, or is not a record.
pub(crate) fn read() -> anyhow::Result<Vec<Row>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder())? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut rows = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        let mut lines = text.lines();
        ensure!(lines.next() == Some(HEADER), "{}: the first line differs", path.display());
        for (number, line) in (2..).zip(lines) {
            let row = Row::parse(line);
            rows.push(row.with_context(|| format!("{}, line {number}", path.display()))?);
        }
    }
    Ok(rows)
}

fn folder() -> PathBuf {
    root().join("benches/record")
}

/// The commit that is measured, with `+` if files differ from it.
fn commit() -> String {
    let clean = said_by("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    said_by("git", &["rev-parse", "--short", "HEAD"]) + if clean { "" } else { "+" }
}

/// The name of the processor; where the system does not tell, of its architecture.
fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned()
}

/// What a program prints, or nothing if it cannot be run.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    output.map_or(String::new(), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let mut record = Record::begin("files", &["--model".into(), "a, \"b\".gguf".into()]);
        record.add("Q4_K_M: time", "s", 0.234_56, Some(("llama.cpp", 1.4)));
        record.add_with("avx2", "Q4_K", "GB/s", 12.0, None);
        let [first, second] = &record.rows[..] else { panic!("two rows") };
        for row in [first, second] {
            assert_eq!(Row::parse(&row.line()).unwrap(), *row);
        }
        assert_eq!((first.granule, first.reference), (0.2346, Some(1.4)));
        assert_eq!((first.ratio().unwrap() * 10.0).round(), 60.0);
        assert_eq!((second.isa.as_str(), second.ratio()), ("avx2", None));
        assert!(Row::parse("a,b").is_err());
    }

    /// Also that the committed ratios are those of their rows.
    #[test]
    fn committed_records_can_be_read() {
        let rows = read().unwrap();
        assert!(rows.len() > 300, "{}", rows.len());
        for row in rows {
            assert!(row.granule > 0.0 && !row.processor.is_empty(), "{row:?}");
            assert_eq!(row.against.is_empty(), row.reference.is_none(), "{row:?}");
            assert_eq!(Row::parse(&row.line()).unwrap(), row);
        }
    }
}
