use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use granule_reader::Model;
use serde_json::{Value, json};

use super::peer::Peer;
use super::{clock, median};
use crate::record::Record;

/// Openings in one process after the first, whose mean is taken. The file is closed before it is
/// opened again.
const TIMES: u32 = 10;

/// A table of time and memory of opening a file, by fresh processes in turn.
pub(super) fn compare(path: &Path, rounds: usize, record: &mut Record) -> anyhow::Result<()> {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    let request = json!({ "work": "open", "path": path, "times": TIMES });
    for _ in 0..rounds {
        theirs.push(Peer::reference()?.ask(&request)?.context("the reference opens files")?);
        let output = std::process::Command::new(std::env::current_exe()?)
            .args(["bench", "reader", "--open-alone"])
            .arg(path)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ours.push(serde_json::from_slice(&output.stdout)?);
    }
    println!("| opening | ggml | Granule | ratio | aim |\n|---|---|---|---|---|");
    for (name, key, unit) in [
        ("CPU time, ms", "seconds", 1e3),
        ("CPU time of the first in a process, ms", "first", 1e3),
        ("memory kept, MB", "kept", 1e-6),
        ("peak memory, MB", "peak", 1e-6),
    ] {
        let middle = |answers: &[Value]| {
            let mut numbers: Vec<f64> = answers.iter().filter_map(|a| a[key].as_f64()).collect();
            median(&mut numbers) * unit
        };
        let (theirs, ours) = (middle(&theirs), middle(&ours));
        let ratio = theirs / ours;
        let aim = match (key, ratio >= 10.0) {
            ("seconds" | "first", true) => "10, met",
            ("seconds" | "first", false) => "10, missed",
            _ => "",
        };
        let (what, unit) = name.rsplit_once(", ").context("the unit comes last")?;
        record.add(&format!("opening: {what}"), unit, ours, Some(("ggml", theirs)));
        println!("| {name} | {theirs:.2} | {ours:.2} | {ratio:.1} | {aim} |");
    }
    println!();
    Ok(())
}

/// Open a file in this process, which has done nothing else, and print what `compute.py` answers to
/// `open`.
pub(super) fn alone(path: &Path) -> anyhow::Result<()> {
    let before = memory("VmRSS")?;
    fs::write("/proc/self/clear_refs", "5")?; // the peak starts anew
    let mut model = None;
    let mut open = || {
        drop(model.take());
        model = Some(Model::open(path));
    };
    let first = clock::seconds(1, &mut open);
    let (kept, peak) = (memory("VmRSS")? - before, memory("VmHWM")? - before);
    let seconds = clock::seconds(TIMES, &mut open);
    let model = model.context("it was opened")??;
    ensure!(model.tensors().len() > 0, "no tensors");
    println!("{}", json!({ "first": first, "seconds": seconds, "kept": kept, "peak": peak }));
    Ok(())
}

/// Bytes of memory of this process.
fn memory(name: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes: f64 = line.context("memory")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0)
}
