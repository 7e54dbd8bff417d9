//! `granule diff`: two models compared.

pub(crate) mod values;

use std::process::ExitCode;

use anyhow::bail;
use granule_convert::diff::{
    self, Described, DiffOptions, Difference, Errors, MetadataChange, Tensors,
};
use granule_convert::run::Event;
use granule_reader::Source;
use regex::Regex;
use serde_json::{Value as Json, json};

use super::inspect::filter;
use crate::output::{self, Align, Table, counted, printable};
use crate::progress::Progress;
use crate::source::{self, Place};
use crate::{interrupt, threads};

/// Compare two models: metadata, tensors and values; exit status 1 if they differ
///
/// Each is a GGUF file, any file of a split set, or the folder of a checkpoint, which is compared
/// as the file that `granule convert DIR` would make of it. Errors are those of B's values if A's
/// are taken for the true ones.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without --metadata and --tensors both are compared.")]
pub(crate) struct Args {
    /// The first model
    #[arg(value_name = "A")]
    before: Place,
    /// The second model
    #[arg(value_name = "B")]
    after: Place,
    /// Compare the metadata
    #[arg(long)]
    metadata: bool,
    /// Compare the tensors
    #[arg(long)]
    tensors: bool,
    /// Compare only keys and tensors whose name matches (e.g. 'blk\.0\.')
    #[arg(long, value_name = "REGEX", value_parser = filter)]
    filter: Option<Regex>,
    /// Work with COUNT threads [default, and 0: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Show nothing but errors (and with --json the JSON): the exit status tells
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let threads = threads::bounded(args.threads, args.quiet);
    let (before, after) = (source::open_as_file(&args.before)?, source::open_as_file(&args.after)?);
    let (before, after) = (before.as_ref(), after.as_ref());
    let all = !(args.metadata || args.tensors);
    let wanted = |name: &str| args.filter.as_ref().is_none_or(|filter| filter.is_match(name));
    let matches = |source: &dyn Source| {
        let keys = source.metadata().iter().filter(|_| all || args.metadata);
        let tensors = source.tensors().iter().filter(|_| all || args.tensors);
        keys.map(|entry| &entry.key).chain(tensors.map(|it| &it.name)).any(|name| wanted(name))
    };
    if let Some(filter) = args.filter.as_ref().filter(|_| !(matches(before) || matches(after))) {
        bail!(
            "no name matches --filter {:?} (case counts), so nothing was compared",
            filter.as_str()
        );
    }
    let mut metadata = Vec::new();
    if all || args.metadata {
        metadata = diff::metadata(before.metadata(), after.metadata());
        metadata.retain(|change| wanted(change.key));
    }
    let tensors = match all || args.tensors {
        true => Some(tensors(args, before, after, &wanted, threads)?),
        false => None,
    };
    let same = metadata.is_empty() && tensors.as_ref().is_none_or(|it| it.differences.is_empty());
    if args.json {
        output::print_json(&document(&metadata, tensors.as_ref(), same))?;
    } else if !args.quiet {
        output::print(&text(&metadata, tensors.as_ref(), all || args.metadata))?;
    }
    Ok(ExitCode::from(u8::from(!same)))
}

fn tensors(
    args: &Args,
    before: &dyn Source,
    after: &dyn Source,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    threads: Option<usize>,
) -> anyhow::Result<Tensors> {
    let progress = Progress::new(!(args.quiet || args.json));
    let tensors = before.tensors().len();
    let named = before.tensors().iter().filter(|tensor| wanted(&tensor.name));
    let values = named.filter_map(|tensor| tensor.shape.values()).sum();
    progress.on(&Event::Started { values, tensors, resumed: 0 });
    let stop = interrupt::flag();
    let options = DiffOptions { filter: wanted, threads, stop: Some(&stop) };
    let found = diff::tensors(before, after, &options, &|values| {
        progress.on(&Event::Progress { values });
    });
    progress.finish();
    Ok(found?)
}

fn text(metadata: &[MetadataChange<'_>], tensors: Option<&Tensors>, of_metadata: bool) -> String {
    let mut text = String::new();
    if of_metadata {
        text += &match metadata.len() {
            0 => "metadata: no difference\n".to_owned(),
            keys => format!("metadata: {} differ\n", counted(keys, "key")),
        };
        text.extend(metadata.iter().map(values::line));
    }
    let Some(Tensors { same, differences }) = tensors else { return text };
    text += &match differences.len() {
        0 => format!("tensors: no difference, {same} are the same\n"),
        differing => format!("tensors: {} differ, {same} are the same\n", differing),
    };
    let mut table = Table::new(&[
        ("tensor", Align::Left),
        ("type", Align::Left),
        ("relative error", Align::Right),
        ("greatest", Align::Right),
        ("cosine", Align::Right),
        ("not finite", Align::Right),
    ]);
    let mut rows = 0;
    for difference in differences {
        let described = |is: &Described| format!("{} [{}]", is.ty, is.shape);
        match difference {
            Difference::Removed { name, described: is } => {
                text += &format!("  - {} {}\n", printable(name), described(is));
            }
            Difference::Added { name, described: is } => {
                text += &format!("  + {} {}\n", printable(name), described(is));
            }
            Difference::Renamed { before, after, .. } => {
                text += &format!("  {} -> {}\n", printable(before), printable(after));
            }
            Difference::Shape { name, before, after } => {
                let (name, before, after) = (printable(name), described(before), described(after));
                text += &format!("  ~ {name}: {before} -> {after}\n");
            }
            Difference::Values { name, before, after, errors } => {
                let ty = match before == after {
                    true => before.to_string(),
                    false => format!("{before} -> {after}"),
                };
                rows += 1;
                let numbers = errors.map_or([const { String::new() }; 4], numbers);
                table.row([printable(name), ty].into_iter().chain(numbers));
            }
            _ => {}
        }
    }
    if rows > 0 {
        text += &table.render();
    }
    text
}

fn numbers(errors: Errors) -> [String; 4] {
    [
        format!("{:.3e}", errors.relative),
        format!("{:.3e}", errors.greatest),
        format!("{:.8}", errors.cosine),
        if errors.not_finite > 0 { errors.not_finite.to_string() } else { String::new() },
    ]
}

fn document(metadata: &[MetadataChange<'_>], tensors: Option<&Tensors>, same: bool) -> Json {
    let tensors = tensors.map(|Tensors { same, differences }| {
        json!({
            "same": same,
            "differences": differences.iter().map(difference).collect::<Vec<_>>(),
        })
    });
    json!({
        "schema": output::SCHEMA,
        "same": same,
        "metadata": metadata.iter().map(values::json).collect::<Vec<_>>(),
        "tensors": tensors,
    })
}

fn difference(difference: &Difference) -> Json {
    let described =
        |is: &Described| json!({ "type": is.ty.to_string(), "shape": is.shape.dimensions() });
    match difference {
        Difference::Removed { name, described: is } => {
            json!({ "kind": "removed", "name": name, "before": described(is) })
        }
        Difference::Added { name, described: is } => {
            json!({ "kind": "added", "name": name, "after": described(is) })
        }
        Difference::Renamed { before, after, described: is } => json!({
            "kind": "renamed",
            "name": before,
            "after_name": after,
            "before": described(is),
        }),
        Difference::Shape { name, before, after } => json!({
            "kind": "shape",
            "name": name,
            "before": described(before),
            "after": described(after),
        }),
        Difference::Values { name, before, after, errors } => json!({
            "kind": "values",
            "name": name,
            "before": { "type": before.to_string() },
            "after": { "type": after.to_string() },
            "errors": errors.map(|errors| json!({
                "differing": errors.differing,
                // infinite has no form in JSON
                "relative": errors.relative.is_finite().then_some(errors.relative),
                "greatest": errors.greatest,
                "greatest_row": errors.greatest_at.0,
                "greatest_column": errors.greatest_at.1,
                "cosine": errors.cosine,
                "not_finite": errors.not_finite,
            })),
        }),
        _ => Json::Null,
    }
}
