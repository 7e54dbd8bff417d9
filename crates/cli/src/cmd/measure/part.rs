//! `--part`, and what `--merge` makes of the files that it writes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use granule_convert::run::Part;
use granule_convert::text_part::{Kind, TextPart, read_all};
use granule_infer::measure::Measured;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Args, Candidate, Cut, report, warn};
use crate::output::{self, counted, printable};

/// What is the same for all parts.
#[derive(Serialize, Deserialize)]
struct About {
    models: Vec<String>,
    /// Whether an original was measured too, and whether there is a base.
    original: bool,
    base: bool,
    chunks: usize,
    /// Of the original, if there is one, and of each model.
    identities: Vec<String>,
}

/// Writes what was measured of a part.
pub(super) fn save(
    args: &Args,
    part: Part,
    path: &Path,
    candidates: &[Candidate<'_>],
    original: Option<&Measured>,
    cuts: &[Cut],
) -> anyhow::Result<ExitCode> {
    let (all, first) = cuts.first().map_or((0, 0), |cut| (cut.all, cut.first));
    let about = About {
        models: candidates.iter().map(|it| it.path.display().to_string()).collect(),
        original: original.is_some(),
        base: args.base.is_some(),
        chunks: all,
        identities: cuts.iter().map(|cut| cut.identity.clone()).collect(),
    };
    let about = serde_json::to_value(about)?;
    let measured: Vec<&Measured> =
        candidates.iter().map(|candidate| &candidate.measured).chain(original).collect();
    let content = Measured::to_bytes(&measured);
    let inputs = args.models.iter().chain(&args.against).filter(|place| place.is_file());
    let inputs: Vec<&Path> = inputs.map(|place| &**place).chain(args.base.as_deref()).collect();
    TextPart { kind: Kind::Scores, part, about, content }.write(path, &inputs)?;
    let own = part.share(all).len();
    if args.json {
        output::print_json(&json!({
            "schema": output::SCHEMA,
            "path": path.display().to_string(),
            "part": part.to_string(),
            "first_chunk": first,
            "chunks": own,
            "of_chunks": all,
        }))?;
    } else if !args.quiet {
        let name = printable(&path.display().to_string());
        output::print(&format!("{name}  part {part}: {} of {all}\n", counted(own, "chunk")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what all parts of a run have measured.
pub(super) fn merged(args: &Args) -> anyhow::Result<ExitCode> {
    let parts = read_all(&args.merge, Kind::Scores)?;
    let first = parts.first().context("there are no parts")?;
    let about: About = serde_json::from_value(first.about.clone())
        .with_context(|| format!("{}: the part is damaged", args.merge[0].display()))?;
    let mut all = vec![Measured::default(); about.models.len() + usize::from(about.original)];
    for part in &parts {
        let own = Measured::from_bytes(&part.content).filter(|own| own.len() == all.len());
        let own = own.with_context(|| format!("part {} is damaged", part.part))?;
        all.iter_mut().zip(own).for_each(|(all, own)| all.append(own));
    }
    let names: Vec<PathBuf> = about.models.iter().map(PathBuf::from).collect();
    let original = if about.original { all.pop() } else { None };
    let mut candidates = Vec::new();
    for (path, measured) in names.iter().zip(all) {
        if measured.scores.is_empty() {
            let lost = measured.lost.first().map(ToString::to_string).unwrap_or_default();
            bail!("{}: no chunk is left: {lost}", path.display());
        }
        candidates.push(Candidate { path, measured, weights: None });
    }
    if !args.quiet {
        warn(&candidates);
    }
    match args.json {
        true => output::print_json(&report::document(&candidates, original.as_ref()))?,
        false => output::print(&report::text(&candidates))?,
    }
    Ok(ExitCode::SUCCESS)
}
