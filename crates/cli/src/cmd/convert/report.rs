//! Reports of what a conversion would do, and of what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use granule_checkpoint::arch;
use granule_convert::mixture::Kept;
use granule_convert::plan::{Plan, PlannedTensor, Reason, Warning};
use granule_convert::run::Summary;
use granule_convert::verify::{Loss, Verified};
use granule_format::{BlockType, TensorType};
use serde_json::{Map, Value as Json, json};

use super::Job;
use super::input::Input;
use super::size::Chosen;
use crate::models::kind;
use crate::output::{self, Align, Table, count, counted, printable, size, warn as show_warning};

/// Tensors that a summary names for one reason; the others are counted.
pub(super) const NAMED: usize = 5;

/// Show what is odd but no error, on standard error, except for what is odd about the source.
pub(super) fn warn(input: &Input, jobs: &[Job], notes: &[String]) {
    let shown = input.warnings();
    for warning in warnings(input, jobs, notes).iter().filter(|warning| !shown.contains(warning)) {
        show_warning(warning);
    }
}

/// Each warning once, even if several plans have it; `notes` are about the command line.
pub(super) fn warnings(input: &Input, jobs: &[Job], notes: &[String]) -> Vec<String> {
    let mut all: Vec<String> = [notes, input.warnings()].concat();
    for warning in jobs.iter().flat_map(|job| job.plan.warnings()).map(Warning::to_string) {
        if !all.contains(&warning) {
            all.push(warning);
        }
    }
    all
}

/// Show the classes of checkpoints that can be converted, and what they become.
pub(super) fn supported_models(json: bool) -> anyhow::Result<()> {
    let rows = arch::all().iter().chain(arch::projectors()).flat_map(|arch| {
        arch.classes.iter().map(|class| [arch.models.as_str(), kind(arch), class, &arch.name])
    });
    // Descriptions of one class differ by what else their configs say.
    let rows: BTreeSet<_> = rows.collect();
    if json {
        let models = rows.iter().map(|[models, kind, class, name]| {
            json!({ "models": models, "kind": kind, "class": class, "architecture": name })
        });
        let models: Vec<Json> = models.collect();
        return output::print_json(&json!({ "schema": output::SCHEMA, "models": models }));
    }
    let columns = ["models", "kind", "class", "architecture"];
    let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
    for row in rows {
        table.row(row.map(str::to_owned));
    }
    output::print(&table.render())
}

/// The plan as a table, with its sums.
pub(super) fn plan(plan: &Plan) -> String {
    let mut table = Table::new(&[
        ("name", Align::Left),
        ("shape", Align::Left),
        ("from", Align::Left),
        ("to", Align::Left),
        ("bytes", Align::Right),
        ("why", Align::Left),
    ]);
    for tensor in plan.tensors() {
        table.row([
            printable(&tensor.name),
            tensor.shape.to_string(),
            tensor.stored.to_string(),
            tensor.target.to_string(),
            tensor.target_bytes.to_string(),
            why(tensor),
        ]);
    }
    let (weights, bytes) = (weights(plan), plan.target_bytes());
    let mut text = table.render();
    text += &format!(
        "{}, {} weights: {} -> {}, {}\n",
        counted(plan.tensors().len(), "tensor"),
        count(weights),
        size(plan.stored_bytes()),
        size(bytes),
        bits_per_weight(bytes, weights),
    );
    text += &types(plan);
    text += &fallbacks(plan);
    text += &files(plan);
    text
}

/// Which tensors of a checkpoint are in types of blocks that hold them exactly, and why not the
/// others. Names `most` of the others.
pub(super) fn exactness(input: &Input, most: usize) -> String {
    let all = input.exactness();
    if all.is_empty() {
        return String::new();
    }
    let plain: Vec<_> =
        all.iter().filter_map(|one| Some((one, one.why_plain.as_deref()?))).collect();
    let mut text = format!(
        "  exact: {} of {} in types of blocks\n",
        all.len() - plain.len(),
        counted(all.len(), "matrix").replace("matrixs", "matrices"),
    );
    for (one, why) in plain.iter().take(most) {
        text += &format!("    {} stays {}: {why}\n", printable(&one.tensor), one.ty);
    }
    if plain.len() > most {
        text += &format!("    and {} more (--dry-run lists them)\n", plain.len() - most);
    }
    text
}

/// The contents of each file of a split set.
fn files(plan: &Plan) -> String {
    if plan.shards() < 2 {
        return String::new();
    }
    let mut files = vec![(0_usize, 0_u64); plan.shards() as usize];
    for tensor in plan.tensors() {
        let (tensors, bytes) = &mut files[tensor.shard as usize];
        *tensors += 1;
        *bytes = bytes.saturating_add(tensor.target_bytes);
    }
    let mut text = format!("  {} files:\n", files.len());
    for (number, (tensors, bytes)) in (1..).zip(files) {
        text += &format!("    {number}: {}, {}\n", counted(tensors, "tensor"), size(bytes));
    }
    text
}

fn why(tensor: &PlannedTensor) -> String {
    let reason = match &tensor.reason {
        Reason::Copied => "copied".to_owned(),
        Reason::Kept(kept) => format!("kept: {}", why_kept(kept)),
        Reason::Default => "default".to_owned(),
        Reason::Rule(rule) => rule.clone(),
        Reason::TokenEmbeddingType => "--token-embedding-type".to_owned(),
        Reason::OutputTensorType => "--output-tensor-type".to_owned(),
        Reason::Pattern(pattern) => format!("--tensor-type {}", printable(pattern)),
        Reason::Edited(reason) => printable(reason).to_string(),
        other => format!("{other:?}"),
    };
    let reason = match tensor.calibrated {
        true => format!("{reason}; by the model's inputs"),
        false => reason,
    };
    match tensor.wanted {
        Some(wanted) => format!("{reason}; {wanted} does not fit the rows"),
        None => reason,
    }
}

fn why_kept(kept: &Kept) -> String {
    match kept {
        Kept::OneDimension => "one dimension".to_owned(),
        Kept::NotAWeight => "not a weight".to_owned(),
        Kept::Exception(part) => format!("{part} is never quantized"),
        Kept::Output => "--leave-output-tensor".to_owned(),
        Kept::Integers => "integers".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The summary for people: a few lines for each result.
pub(super) fn text(jobs: &[Job], summary: &Summary) -> String {
    let mut text = String::new();
    for (job, files) in by_job(jobs, summary) {
        for (path, bytes) in files {
            text += &format!("{}: {}\n", printable(&path.display().to_string()), size(*bytes));
        }
        let plan = &job.plan;
        text += &format!(
            "  {} weights, {} (source {})\n",
            count(weights(plan)),
            bits_per_weight(plan.target_bytes(), weights(plan)),
            size(plan.stored_bytes()),
        );
        text += &types(plan);
        text += &fallbacks(plan);
        text += &job.chosen.as_ref().map(Chosen::text).unwrap_or_default();
    }
    if summary.resumed > 0 {
        let tensors = counted(summary.resumed, "tensor");
        text += &format!("{tensors} had been completed by an interrupted run\n");
    }
    let seconds = summary.elapsed.as_secs_f64();
    text += &format!(
        "{seconds:.1} s, {} weights/s, {}/s read\n",
        count(rate(summary.values, seconds)),
        size(rate(summary.source_bytes, seconds)),
    );
    text + &summary.verified.as_ref().map_or(String::new(), as_verified)
}

/// What was verified, and the error of the encoding.
fn as_verified(verified: &Verified) -> String {
    let mut text = format!(
        "verified: {} rows of {} are what the source says\n",
        count(verified.rows),
        counted(verified.tensors, "tensor"),
    );
    if !verified.errors.is_empty() {
        let error =
            |(ty, loss): (&BlockType, &Loss)| format!("{ty} {:.2} %", 100.0 * loss.relative());
        let errors: Vec<_> = verified.errors.iter().map(error).collect();
        text += &format!("  relative error: {}\n", errors.join(", "));
    }
    text
}

/// The summary for programs.
pub(super) fn json(warnings: Vec<String>, input: &Input, jobs: &[Job], summary: &Summary) -> Json {
    let exact = input
        .exactness()
        .iter()
        .map(|one| json!({ "tensor": one.tensor, "type": one.ty.name(), "reason": one.why_plain }));
    let results: Vec<Json> = by_job(jobs, summary).map(|(job, files)| result(job, files)).collect();
    json!({
        "schema": output::SCHEMA,
        "results": results,
        "source_bytes": summary.source_bytes,
        "weights_read": summary.values,
        "tensors_resumed": summary.resumed,
        "seconds": summary.elapsed.as_secs_f64(),
        "verified": summary.verified.as_ref().map(|verified| json!({
            "tensors": verified.tensors,
            "rows": verified.rows,
            "relative_errors": verified
                .errors
                .iter()
                .map(|(ty, loss)| (ty.name().to_owned(), loss.relative().into()))
                .collect::<Map<String, Json>>(),
        })),
        "exact": exact.collect::<Vec<_>>(),
        "warnings": warnings,
    })
}

fn result(job: &Job, files: &[(PathBuf, u64)]) -> Json {
    let plan = &job.plan;
    let files: Vec<Json> = files
        .iter()
        .map(|(path, bytes)| json!({ "path": path.display().to_string(), "bytes": bytes }))
        .collect();
    let fallbacks: Vec<Json> = plan
        .fallbacks()
        .map(|(tensor, bytes)| {
            json!({
                "tensor": tensor.name,
                "wanted": tensor.wanted.map(|ty| ty.name()),
                "target": tensor.target.to_string(),
                "extra_bytes": bytes,
            })
        })
        .collect();
    let types: Map<String, Json> = count_types(plan)
        .into_values()
        .map(|(ty, tensors)| (ty.to_string(), tensors.into()))
        .collect();
    let (weights, bytes) = (weights(plan), plan.target_bytes());
    let bits = (weights > 0).then(|| bytes as f64 * 8.0 / weights as f64);
    let mut document = json!({
        "type": plan.file_type().name(),
        "files": files,
        "weights": weights,
        "data_bytes": bytes,
        "bits_per_weight": bits,
        "tensors_by_type": types,
        "fallbacks": fallbacks,
    });
    if let Some(chosen) = &job.chosen {
        document["size"] = chosen.json();
    }
    document
}

/// The files that each plan produced.
fn by_job<'j>(
    jobs: &'j [Job],
    summary: &'j Summary,
) -> impl Iterator<Item = (&'j Job, &'j [(PathBuf, u64)])> {
    let mut files = summary.files.as_slice();
    jobs.iter().map(move |job| {
        let own;
        (own, files) = files.split_at((job.plan.shards().max(1) as usize).min(files.len()));
        (job, own)
    })
}

fn weights(plan: &Plan) -> u64 {
    let values = |tensor: &PlannedTensor| tensor.shape.values().unwrap_or(0);
    plan.tensors().iter().fold(0, |sum, tensor| sum.saturating_add(values(tensor)))
}

fn bits_per_weight(bytes: u64, weights: u64) -> String {
    match weights {
        0 => "no weights".to_owned(),
        _ => format!("{:.2} bits/weight", bytes as f64 * 8.0 / weights as f64),
    }
}

fn rate(amount: u64, seconds: f64) -> u64 {
    // a run is never shorter than the clock can tell
    (amount as f64 / seconds.max(1e-6)) as u64
}

fn count_types(plan: &Plan) -> BTreeMap<u32, (TensorType, u64)> {
    let mut counts = BTreeMap::new();
    for tensor in plan.tensors() {
        counts.entry(tensor.target.id()).or_insert((tensor.target, 0)).1 += 1;
    }
    counts
}

fn types(plan: &Plan) -> String {
    if plan.tensors().is_empty() {
        return String::new();
    }
    let parts: Vec<String> =
        count_types(plan).values().map(|(ty, tensors)| format!("{ty} {tensors}")).collect();
    format!("  tensors: {}\n", parts.join(", "))
}

fn fallbacks(plan: &Plan) -> String {
    let all: Vec<_> = plan.fallbacks().collect();
    if all.is_empty() {
        return String::new();
    }
    let extra = all.iter().fold(0_i64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let sign = if extra < 0 { "-" } else { "+" };
    let mut text = format!(
        "  fallbacks: the rows of {} are not whole blocks of the type, {sign}{} \
         (--no-fallback makes that an error)\n",
        counted(all.len(), "tensor"),
        size(extra.unsigned_abs()),
    );
    for (tensor, _) in all.iter().take(NAMED) {
        let wanted = tensor.wanted.map_or("", |ty| ty.name());
        text += &format!("    {}: {wanted} -> {}\n", printable(&tensor.name), tensor.target);
    }
    if all.len() > NAMED {
        text += &format!("    and {} more (--dry-run lists them)\n", all.len() - NAMED);
    }
    text
}
