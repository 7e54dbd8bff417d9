//! `--part`: the files of a result in shares for several machines.

use std::str::FromStr;

use anyhow::bail;
use granule_convert::run::{Part, PartError};
use serde_json::{Value as Json, json};

use super::Job;
use crate::output::{self, Align, Table, counted, printable, size};

/// What `--part` asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parts {
    /// To list them.
    List,
    /// To write one.
    One(Part),
}

impl FromStr for Parts {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "list" => Ok(Self::List),
            text => text.parse().map(Self::One),
        }
    }
}

/// Refuse parts of what has none.
pub(super) fn refuse(parts: Parts, jobs: &[Job]) -> anyhow::Result<()> {
    let [job] = jobs else {
        bail!("--part is for the files of one result; give one type with -t");
    };
    let files = job.plan.shards();
    if files == 1 {
        bail!("--part: the result is one file; --split-max-size makes several");
    }
    match parts {
        Parts::One(part) if part.count() > files => {
            bail!("--part {part}: the result has {files} files, so it has at most as many parts")
        }
        _ => Ok(()),
    }
}

/// Say which files are written.
pub(super) fn note(part: Part, job: &Job) {
    let files = job.plan.shards();
    let own = part.share(files as usize);
    let which = match own.len() {
        1 => format!("file {}", own.end),
        _ => format!("files {} to {}", own.start + 1, own.end),
    };
    output::note(&format!("part {part}: {which} of {files}; sums are of the whole result"));
}

/// A file of the result.
struct File {
    path: String,
    tensors: usize,
    bytes: u64,
    reads: u64,
}

/// List the files of a result, each a part by itself: what is written, and what is read for it.
pub(super) fn list(job: &Job, json: bool) -> anyhow::Result<()> {
    let files = files(job)?;
    if json {
        return output::print_json(&document(&files));
    }
    let mut table = Table::new(&[
        ("part", Align::Right),
        ("file", Align::Left),
        ("tensors", Align::Right),
        ("size", Align::Right),
        ("reads", Align::Right),
    ]);
    for (number, file) in (1..).zip(&files) {
        table.row([
            format!("{number}/{}", files.len()),
            printable(&file.path),
            file.tensors.to_string(),
            size(file.bytes),
            size(file.reads),
        ]);
    }
    let sum = |of: fn(&File) -> u64| size(files.iter().map(of).sum());
    let (written, read) = (sum(|file| file.bytes), sum(|file| file.reads));
    let count = counted(files.len(), "file");
    output::print(&format!("{}{count}, {written}; {read} are read\n", table.render()))
}

fn files(job: &Job) -> anyhow::Result<Vec<File>> {
    let plan = &job.plan;
    let of = |shard: u32| plan.tensors().iter().filter(move |tensor| tensor.shard == shard);
    let drafts = plan.drafts()?;
    let files =
        (0..).zip(drafts.iter().zip(plan.paths(&job.path))).map(|(shard, (draft, path))| File {
            path: path.display().to_string(),
            tensors: of(shard).count(),
            bytes: draft.header().len() as u64 + draft.data_bytes(),
            reads: of(shard).map(|tensor| tensor.stored_bytes).sum(),
        });
    Ok(files.collect())
}

fn document(files: &[File]) -> Json {
    let parts = (1..).zip(files).map(|(number, file)| {
        json!({
            "part": format!("{number}/{}", files.len()),
            "path": file.path,
            "tensors": file.tensors,
            "bytes": file.bytes,
            "source_bytes": file.reads,
        })
    });
    json!({ "schema": output::SCHEMA, "parts": parts.collect::<Vec<_>>() })
}
