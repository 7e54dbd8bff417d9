//! `--moments`: second moments for `convert --effort 2`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use granule_convert::tune::feedback;
use serde_json::json;

use super::Args;
use crate::output::{self, counted, printable};
use crate::progress::Steps;
use crate::source::{self, Place};
use crate::{model, threads};

/// Runs a model over the texts, or a part of them, and writes the moments of its inputs.
pub(super) fn collect(args: &Args, path: &Place, to: &Path) -> anyhow::Result<ExitCode> {
    let texts = args.texts.read()?;
    let threads = threads::bounded(args.threads, args.quiet);
    let source = source::open(path)?;
    let model = model::open(path, source.as_ref())?;
    let chunks = args.texts.cut(&model::tokenizer(path, &model)?, &texts)?;
    let steps = Steps::new(!(args.quiet || args.json), model.layers());
    let (part, all_experts) = (args.part, args.all_experts);
    let lost = threads::pool(threads)?.install(|| {
        let on = &mut |layer| steps.on(layer);
        feedback::save_moments(&model, &chunks, all_experts, to, part, on)
    });
    steps.finish(false)?;
    let lost = lost.with_context(|| format!("cannot run {}", path.display()))?;
    if !args.quiet {
        lost.iter().for_each(|lost| output::warn(&lost.to_string()));
    }
    if args.json {
        output::print_json(&json!({
            "schema": output::SCHEMA,
            "path": to.display().to_string(),
            "part": part.map(|part| part.to_string()),
            "chunks": chunks.len(),
            "chunk_tokens": chunks.chunk_tokens(),
            "lost_chunks": lost.iter().map(|lost| lost.place.chunk).collect::<Vec<_>>(),
        }))?;
    } else if !args.quiet {
        let name = printable(&to.display().to_string());
        let of = part.map_or(String::new(), |part| format!("part {part} of "));
        output::print(&format!("{name}  {of}{}\n", counted(chunks.len(), "chunk")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts parts together.
pub(super) fn join(
    args: &Args,
    parts: &[PathBuf],
    matrices: &[PathBuf],
) -> anyhow::Result<ExitCode> {
    let Some(to) = args.output.as_deref() else {
        bail!("parts of --moments are put together in a file: name it with --output")
    };
    if args.statistics {
        bail!("--statistics has no effect: these are parts of --moments");
    }
    if let (Some(path), _) | (_, Some(path)) =
        (args.source.as_deref(), matrices.first().map(PathBuf::as_path))
    {
        bail!("{}: only parts of --moments can be put together with others", path.display());
    }
    let tensors = feedback::join(parts, to)?;
    if args.json {
        let path = to.display().to_string();
        let (schema, parts) = (output::SCHEMA, parts.len());
        output::print_json(&json!({
            "schema": schema, "path": path, "tensors": tensors, "parts": parts,
        }))?;
    } else if !args.quiet {
        let name = printable(&to.display().to_string());
        let (tensors, parts) = (counted(tensors, "tensor"), counted(parts.len(), "part"));
        output::print(&format!("{name}  {tensors} of {parts}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
