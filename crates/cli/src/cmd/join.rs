//! `granule join`: the files of a split set to one.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use granule_convert::Error;
use granule_convert::join::{self, Consumed, Join, JoinOptions};
use serde_json::json;

use crate::interrupt;
use crate::output::{self, counted, note, printable, size};
use crate::progress::Progress;

/// Join the files of a split set to one, with the bytes of llama-gguf-split
///
/// The file gets its name when it is complete.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Any file of the set
    part: PathBuf,
    /// Write to FILE [default: the name of the set, next to it]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same as FILE; - stands for standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    output: Option<PathBuf>,
    /// Delete each part when its bytes are on the disk, which then holds one part more than the
    /// result at most
    ///
    /// If the run is interrupted, the same command continues it.
    #[arg(long)]
    consume: bool,
    /// Leave out the keys of a split set, which llama-gguf-split keeps
    #[arg(long)]
    without_split_keys: bool,
    /// Show what would be written, and write nothing
    #[arg(long, conflicts_with = "consume")]
    dry_run: bool,
    /// Show nothing but errors (and with --json the JSON)
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON: the file that was written
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = JoinOptions { without_split_keys: args.without_split_keys };
    let output = args.file.as_ref().or(args.output.as_ref());
    let to_stream = output.is_some_and(|output| output == Path::new("-"));
    let output = match output {
        Some(output) => output.clone(),
        None => join::default_output(&args.part)?,
    };
    let is_terminal = to_stream && !args.dry_run && io::stdout().is_terminal();
    anyhow::ensure!(!is_terminal, "-o -: standard output is a terminal; pipe it, or name a file");
    anyhow::ensure!(!(to_stream && args.json), "--json would be in the middle of the file");
    let show = !(args.quiet || args.json);
    if args.consume {
        anyhow::ensure!(!to_stream, "--consume deletes parts only when their bytes are in a file");
        let progress = Progress::of_bytes(show, 0);
        let stop = interrupt::flag();
        let done =
            join::consume(&args.part, &output, &options, Some(&stop), &|bytes| progress.at(bytes));
        progress.finish();
        let Consumed { bytes, tensors, parts, continued } = done?;
        if continued > 0 && !args.quiet {
            note(&format!("continued: {} were moved before", counted(continued, "part")));
        }
        return report(args, &output, bytes, tensors, parts);
    }
    let join = Join::plan(&args.part, &options)?;
    let (bytes, tensors, parts) = (join.bytes(), join.tensors(), join.parts().len());
    if !args.dry_run {
        let progress = Progress::of_bytes(show, join.data_bytes());
        let stop = interrupt::flag();
        let on = |bytes| progress.at(bytes);
        let done = match to_stream {
            true => streamed(&join, &stop, &on),
            false => join.write(&output, Some(&stop), &on),
        };
        progress.finish();
        done?;
    }
    if to_stream && !args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    report(args, &output, bytes, tensors, parts)
}

/// Write to standard output. A reader that closes the pipe has seen enough.
fn streamed(
    join: &Join,
    stop: &std::sync::atomic::AtomicBool,
    on: &(dyn Fn(u64) + Sync),
) -> Result<(), Error> {
    let done = stdout().map_or_else(
        |_| join.stream(&mut io::stdout().lock(), Some(stop), on),
        |mut out| join.stream(&mut out, Some(stop), on),
    );
    match done {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Standard output as a file, without the buffer of lines.
#[cfg(unix)]
fn stdout() -> io::Result<std::fs::File> {
    use std::os::fd::AsFd;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(not(unix))]
fn stdout() -> io::Result<std::fs::File> {
    Err(io::ErrorKind::Unsupported.into())
}

fn report(
    args: &Args,
    output: &Path,
    bytes: u64,
    tensors: usize,
    parts: usize,
) -> anyhow::Result<ExitCode> {
    let path = output.display().to_string();
    if args.json {
        output::print_json(&json!({
            "schema": output::SCHEMA,
            "path": path,
            "bytes": bytes,
            "tensors": tensors,
            "parts": parts,
        }))?;
    } else if !args.quiet {
        let (tensors, parts) = (counted(tensors, "tensor"), counted(parts, "part"));
        let path = printable(&path);
        output::print(&format!("{path}  {}  {tensors} of {parts}\n", size(bytes)))?;
    }
    Ok(ExitCode::SUCCESS)
}
