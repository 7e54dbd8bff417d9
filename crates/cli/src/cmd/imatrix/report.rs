//! What was summed, for people and as JSON.

use std::path::Path;

use granule_convert::calibration::Collected;
use granule_encode::{ColumnStatistics, ImportanceSums};
use serde_json::{Value as Json, json};

use super::Args;
use crate::output::{self, Align, Table, counted, printable};

/// Warnings about chunks that were left and experts that no token met.
pub(super) fn warnings(args: &Args, found: &Collected) -> Vec<String> {
    let mut warnings: Vec<String> = found.lost.iter().map(ToString::to_string).collect();
    let entries = &found.sums.entries;
    if args.process_output && !entries.contains_key("output.weight") {
        let what = "--process-output has no effect: the model has no tensor output.weight";
        warnings.push(what.to_owned());
    }
    if args.all_experts && entries.values().all(|entry| entry.rows.len() == 1) {
        warnings.push("--all-experts has no effect: the model has no experts".to_owned());
    }
    let unmet: Vec<(&str, f64)> = found.unmet().collect();
    if let Some((name, share)) = unmet.iter().min_by(|a, b| a.1.total_cmp(&b.1)) {
        warnings.push(format!(
            "{} have experts that no token met; worst is {name}, where {:.1} % were met: use more \
             text, or --all-experts",
            counted(unmet.len(), "tensor"),
            100.0 * share
        ));
    }
    warnings
}

pub(super) fn summary(sums: &ImportanceSums, output: Option<&Path>) -> String {
    let of = format!(
        "{} over {} of {} tokens",
        counted(sums.entries.len(), "tensor"),
        counted(sums.chunks as usize, "chunk"),
        sums.chunk_tokens
    );
    match output {
        Some(path) => format!("{}  {of}\n", printable(&path.display().to_string())),
        None => format!("{of}\n"),
    }
}

/// The table of statistics, in the order of the names.
pub(super) fn statistics(sums: &ImportanceSums) -> String {
    let right = |name| (name, Align::Right);
    let mut table = Table::new(&[
        ("tensor", Align::Left),
        right("columns"),
        right("sum"),
        right("min"),
        right("max"),
        right("mean"),
        right("deviation"),
        right("active %"),
        right("entropy"),
        right("of most %"),
        right("above %"),
        right("similarity"),
    ]);
    for (name, of) in sums.statistics() {
        let similarity = of.similarity.map_or(String::new(), |cosine| format!("{cosine:.4}"));
        table.row([
            printable(name),
            of.columns.to_string(),
            format!("{:.2}", of.total),
            format!("{:.4}", of.least),
            format!("{:.4}", of.most),
            format!("{:.4}", of.mean),
            format!("{:.4}", of.deviation),
            format!("{:.2}", 100.0 * of.active),
            format!("{:.3}", of.entropy),
            format!("{:.2}", 100.0 * relative_entropy(&of)),
            format!("{:.2}", 100.0 * of.outstanding),
            similarity,
        ]);
    }
    table.render()
}

/// The entropy as a share of the largest possible.
fn relative_entropy(of: &ColumnStatistics) -> f64 {
    let most = (of.columns as f64).log2();
    if most > 0.0 { of.entropy / most } else { 1.0 }
}

pub(super) fn document(args: &Args, found: &Collected) -> Json {
    let sums = &found.sums;
    let mut document = json!({
        "schema": output::SCHEMA,
        "path": args.output.as_ref().map(|path| path.display().to_string()),
        "datasets": sums.datasets,
        "chunks": sums.chunks,
        "chunk_tokens": sums.chunk_tokens,
        "tensors": sums.entries.len(),
        "lost_chunks": found.lost.iter().map(|lost| lost.place.chunk).collect::<Vec<_>>(),
        "unmet": found.unmet().map(|(name, share)| json!({ "tensor": name, "met": share }))
            .collect::<Vec<_>>(),
        "warnings": warnings(args, found),
    });
    if args.statistics {
        let row = |(name, of): (&str, ColumnStatistics)| {
            json!({
                "tensor": name,
                "columns": of.columns,
                "sum": of.total,
                "min": of.least,
                "max": of.most,
                "mean": of.mean,
                "deviation": of.deviation,
                "active": of.active,
                "entropy_bits": of.entropy,
                "relative_entropy": relative_entropy(&of),
                "above_deviation": of.outstanding,
                "similarity": of.similarity,
            })
        };
        document["statistics"] = sums.statistics().into_iter().map(row).collect();
    }
    document
}
