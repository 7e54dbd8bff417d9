//! `--part`, and what `--merge` makes of the files that it writes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use granule_convert::calibration::Collected;
use granule_convert::run::Part;
use granule_convert::text_part::{Kind, TextPart, read_all};
use granule_infer::statistics;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Args, RUN, Run};
use crate::output::{self, counted, printable};

/// What is the same for all parts.
#[derive(Serialize, Deserialize)]
struct About {
    identity: String,
    datasets: Vec<String>,
    chunks: usize,
    chunk_tokens: usize,
}

/// Writes what was found in a part.
pub(super) fn save(args: &Args, part: Part, run: &Run, path: &Path) -> anyhow::Result<ExitCode> {
    let mut content = Vec::new();
    run.found.to_bytes(&mut content);
    let about = About {
        identity: run.identity.clone(),
        datasets: run.datasets.clone(),
        chunks: run.all,
        chunk_tokens: run.chunk_tokens,
    };
    let about = serde_json::to_value(about)?;
    let model: Vec<&Path> = args.source.as_deref().filter(|it| it.is_file()).into_iter().collect();
    TextPart { kind: Kind::Sums, part, about, content }.write(path, &model)?;
    args.running.done(RUN)?;
    let lost = &run.found.lost;
    if !args.quiet {
        lost.iter().for_each(|lost| output::warn(&lost.to_string()));
    }
    if args.json {
        output::print_json(&json!({
            "schema": output::SCHEMA,
            "path": path.display().to_string(),
            "part": part.to_string(),
            "first_chunk": run.first,
            "chunks": run.chunks,
            "of_chunks": run.all,
            "chunk_tokens": run.chunk_tokens,
            "lost_chunks": lost.iter().map(|lost| lost.place.chunk).collect::<Vec<_>>(),
        }))?;
    } else if !args.quiet {
        let name = printable(&path.display().to_string());
        let chunks = counted(run.chunks, "chunk");
        output::print(&format!("{name}  part {part}: {chunks} of {}\n", run.all))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts all parts of a run together.
pub(super) fn join(paths: &[PathBuf]) -> anyhow::Result<Collected> {
    let parts = read_all(paths, Kind::Sums)?;
    let first = parts.first().context("there are no parts")?;
    let about: About = serde_json::from_value(first.about.clone())
        .with_context(|| format!("{}: the part is damaged", paths[0].display()))?;
    let mut found = statistics::Collected::default();
    for part in &parts {
        let own = statistics::Collected::from_bytes(&part.content);
        let own = own.with_context(|| format!("part {} is damaged", part.part))?;
        found.merge(own).with_context(|| format!("cannot add part {}", part.part))?;
    }
    if let Some(lost) = found.lost.first().filter(|_| found.lost.len() >= about.chunks) {
        bail!("no chunk of the text is left: {lost}");
    }
    Ok(Collected::of(found, about.datasets, about.chunks, about.chunk_tokens))
}
