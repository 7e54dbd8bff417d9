//! `granule hash`: hashes of tensor data.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use granule_convert::WholeFile;
use granule_convert::hash::manifest::{self, Compared, Manifest, Outcome};
use granule_convert::hash::{Algorithm, HashOptions, Hashes, hash};
use granule_convert::run::Event;
use granule_reader::Source;
use serde_json::{Value as Json, json};

use crate::output::{self, printable};
use crate::progress::Progress;
use crate::source::{self, Place};
use crate::{interrupt, threads};

/// Hash the tensors of a model, each and all together
///
/// Only the data counts, not the metadata: a split set and the file that it is joined to have the
/// same hashes. The lines are those of llama-gguf-hash, and so are the lines that --check reads;
/// the exit status is 1 if a hash differs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Without --xxh64, --sha1, --sha256, --blake3, --uuid and --all it is \
                        --sha256; with --check the strongest that the manifest has.")]
pub(crate) struct Args {
    /// A GGUF file, any file of a split set, or the folder of a checkpoint
    source: Place,
    /// XXH64: fast, finds accidents only
    #[arg(long)]
    xxh64: bool,
    /// SHA-1
    #[arg(long)]
    sha1: bool,
    /// SHA-256
    #[arg(long)]
    sha256: bool,
    /// BLAKE3
    #[arg(long)]
    blake3: bool,
    /// A UUID of the whole model, as llama-gguf-hash makes it
    #[arg(long)]
    uuid: bool,
    /// xxh64, sha1, sha256 and blake3
    #[arg(long)]
    all: bool,
    /// Hash all tensors together only
    #[arg(long)]
    no_layer: bool,
    /// Compare with the hashes in MANIFEST
    #[arg(short, long, value_name = "MANIFEST")]
    check: Option<PathBuf>,
    /// Write the lines to MANIFEST [default: standard output]
    #[arg(short, long, value_name = "MANIFEST", conflicts_with = "check")]
    output: Option<PathBuf>,
    /// Work with COUNT threads [default, and 0: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Show no progress, and with --check only hashes that differ
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let threads = threads::bounded(args.threads, args.quiet);
    let source = source::open_as_file(&args.source)?;
    let source = source.as_ref();
    let name = args.source.display().to_string();
    let Some(path) = &args.check else {
        let hashes = hashes(args, source, &algorithms(args, &[Algorithm::Sha256]), threads, true)?;
        return written(args, source, &name, &hashes);
    };
    let manifest = read(path)?;
    let context = || path.display().to_string();
    let strongest = Algorithm::STRONGEST_FIRST.iter().copied();
    let strongest = strongest.filter(|algorithm| manifest.algorithms().contains(algorithm));
    let algorithms = algorithms(args, strongest.take(1).collect::<Vec<_>>().as_slice());
    let of_tensors = manifest.has_tensors(&name, source).with_context(context)?;
    let hashes = hashes(args, source, &algorithms, threads, of_tensors)?;
    let compared = manifest.compare(&name, source, &hashes).with_context(context)?;
    compared_with(args, &name, &compared)
}

/// The algorithms that options ask for, else the default.
fn algorithms(args: &Args, default: &[Algorithm]) -> Vec<Algorithm> {
    let asked = |algorithm: &&Algorithm| match algorithm {
        Algorithm::Xxh64 => args.xxh64 || args.all,
        Algorithm::Sha1 => args.sha1 || args.all,
        Algorithm::Sha256 => args.sha256 || args.all,
        Algorithm::Blake3 => args.blake3 || args.all,
        Algorithm::Uuid => args.uuid,
        _ => false,
    };
    let asked: Vec<_> = Algorithm::ALL.iter().filter(asked).copied().collect();
    if asked.is_empty() { default.to_vec() } else { asked }
}

fn read(path: &Path) -> anyhow::Result<Manifest> {
    let context = || format!("cannot read {}", path.display());
    let text = granule_reader::file::read_to_string(path).with_context(context)?;
    Manifest::parse(&text).with_context(|| path.display().to_string())
}

fn hashes(
    args: &Args,
    source: &dyn Source,
    algorithms: &[Algorithm],
    threads: Option<usize>,
    of_tensors: bool,
) -> anyhow::Result<Vec<Hashes>> {
    let progress = Progress::new(!args.quiet);
    let tensors = source.tensors().len();
    let values = source.tensors().iter().filter_map(|tensor| tensor.shape.values()).sum();
    progress.on(&Event::Started { values, tensors, resumed: 0 });
    let stop = interrupt::flag();
    let options = HashOptions {
        algorithms,
        tensors: of_tensors && !args.no_layer,
        threads,
        stop: Some(&stop),
    };
    let found = hash(source, &options, &|values| progress.on(&Event::Progress { values }));
    progress.finish();
    Ok(found?)
}

/// Write the lines, or their JSON.
fn written(
    args: &Args,
    source: &dyn Source,
    name: &str,
    hashes: &[Hashes],
) -> anyhow::Result<ExitCode> {
    let lines = manifest::write(name, source, hashes);
    if let Some(path) = &args.output {
        let inputs = source.inputs();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let mut file = WholeFile::create(path, &inputs)?;
        let context = || format!("cannot write {}", path.display());
        file.write_all(lines.as_bytes()).with_context(context)?;
        file.finish()?;
    }
    if args.json {
        output::print_json(&document(name, source, hashes))?;
    } else if args.output.is_none() {
        let text: String = lines.lines().map(|line| printable(line) + "\n").collect();
        output::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn document(name: &str, source: &dyn Source, hashes: &[Hashes]) -> Json {
    let of = |hash: &dyn Fn(&Hashes) -> Option<String>| -> serde_json::Map<String, Json> {
        let pairs = hashes.iter().filter_map(|hashes| Some((hashes.algorithm, hash(hashes)?)));
        pairs.map(|(algorithm, hash)| (algorithm.to_string(), hash.into())).collect()
    };
    let tensors = source.tensors().iter().enumerate().map(|(index, tensor)| {
        json!({
            "name": tensor.name,
            "hashes": of(&|hashes| hashes.tensors.get(index).cloned()),
        })
    });
    json!({
        "schema": output::SCHEMA,
        "path": name,
        "hashes": of(&|hashes| Some(hashes.whole.clone())),
        "tensors": tensors.collect::<Vec<_>>(),
    })
}

/// Say how the hashes compare with the manifest.
fn compared_with(args: &Args, name: &str, compared: &[Compared]) -> anyhow::Result<ExitCode> {
    let has = |outcome| compared.iter().filter(|it| it.outcome == outcome).count();
    let same = compared.len() == has(Outcome::Same) + has(Outcome::NotListed);
    // a hash that is listed nowhere proves nothing
    let proven = has(Outcome::Same) > 0;
    if args.json {
        let rows = compared.iter().map(|it| {
            json!({
                "algorithm": it.algorithm.name(),
                "tensor": it.tensor,
                "hash": (it.outcome != Outcome::Missing).then_some(&it.hash),
                "outcome": it.outcome.name(),
            })
        });
        let compared: Vec<_> = rows.collect();
        output::print_json(&json!({
            "schema": output::SCHEMA,
            "path": name,
            "same": same && proven,
            "compared": compared,
        }))?;
    } else {
        let mut text = String::new();
        for it in compared {
            let is_shown = !args.quiet || it.outcome != Outcome::Same;
            if is_shown {
                let of = it.tensor.as_ref().map_or(String::new(), |tensor| format!(":{tensor}"));
                let (hash, outcome) = (&it.hash, it.outcome.text());
                let line = format!("{:<8}  {hash}  {name}{of}  -  {outcome}", it.algorithm);
                text += &(printable(&line) + "\n");
            }
        }
        if !args.quiet {
            let differing = has(Outcome::Differs) + has(Outcome::Missing);
            text += &match (same, proven) {
                (true, true) => format!("{}: as in the manifest\n", printable(name)),
                (true, false) => format!("{}: no hash is in the manifest\n", printable(name)),
                (false, _) if differing == 1 => {
                    format!("{}: 1 hash is not as in the manifest\n", printable(name))
                }
                (false, _) => {
                    format!("{}: {differing} hashes are not as in the manifest\n", printable(name))
                }
            };
        }
        output::print(&text)?;
    }
    Ok(ExitCode::from(u8::from(!(same && proven))))
}
