//! `granule edit`: metadata and names of tensors of a GGUF file.

mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use granule_convert::edit::{self, Change, Edit, EditOptions, Recovered, Target, Text, Way};
use granule_convert::recipe::parse_size;
use granule_reader::file::has_unfinished_edit;
use regex::Regex;

use super::inspect::filter;
use crate::interrupt;
use crate::output;
use crate::progress::Progress;

/// Change the metadata of a GGUF file, in place where it fits
///
/// The header is written over if the new one fits in front of the tensors; otherwise a new file
/// replaces the old one. If the program is killed, the file is the old or the new one: the next
/// command that opens it says if `granule edit FILE` has to put it right first. What `granule
/// check` would then call invalid is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes are made in this order: removals, renamings, settings. TYPE is u8, i8, u16, i16, u32, i32,
u64, i64, f32, f64, bool or str, or an array of one of them (i32[]), whose VALUE is JSON: '[1, 2]'.
A key that is there keeps its type unless another is given.")]
pub(crate) struct Args {
    /// The GGUF file
    file: PathBuf,
    /// Set a key, or one element of an array: KEY=VALUE, KEY=TYPE:VALUE, KEY[5]=VALUE
    #[arg(long, value_name = "KEY=VALUE", value_parser = Change::set)]
    set: Vec<Change>,
    /// Set a key to the content of FILE: KEY=FILE, KEY=TYPE:FILE
    ///
    /// A string is the whole text. An array is JSON, or has an element in each line.
    #[arg(long, value_name = "KEY=FILE", value_parser = Target::parse)]
    set_from: Vec<(Target, String)>,
    /// Remove a key
    #[arg(long, visible_alias = "remove-metadata", value_name = "KEY")]
    remove: Vec<String>,
    /// Give a key another name: OLD=NEW
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    rename: Vec<(String, String)>,
    /// Replace what matches in the names of tensors: REGEX=TEXT ($1 stands for the first group)
    #[arg(long, value_name = "REGEX=TEXT", value_parser = tensors)]
    rename_tensors: Vec<(Regex, String)>,
    /// Use the chat template in FILE: a template, or a tokenizer_config.json with one or several
    #[arg(
        long,
        visible_aliases = ["chat-template-file", "chat-template-config"],
        value_name = "FILE"
    )]
    chat_template: Option<PathBuf>,
    /// Make the token with this text a special one (e.g. eos='<|im_end|>')
    #[arg(long, value_name = "KIND=TOKEN", value_parser = pair)]
    special_token: Vec<(String, String)>,
    /// Set general.name
    #[arg(long, value_name = "NAME")]
    general_name: Option<String>,
    /// Set general.description
    #[arg(long, value_name = "TEXT")]
    general_description: Option<String>,
    /// Set tokenizer.ggml.pre
    #[arg(long, visible_alias = "pre", value_name = "NAME")]
    pre_tokenizer: Option<String>,
    /// Leave SIZE bytes of room in the header for later edits (e.g. 64K)
    ///
    /// The room is a string of blanks under the key granule.room.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    reserve: Option<std::num::NonZeroU64>,
    /// Write the new file to FILE and leave the old one
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a new file, without room, even if the header fits in place
    #[arg(long, conflicts_with = "output")]
    copy: bool,
    /// Show what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Show nothing but errors (and with --json the JSON)
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON: the changes
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !args.dry_run && has_unfinished_edit(&args.file) {
        put_right(&args.file, args.quiet)?;
    }
    let changes = changes(args)?;
    let options = EditOptions {
        output: args.output.clone(),
        copy: args.copy,
        reserve: args.reserve.map(std::num::NonZeroU64::get),
    };
    let edit = Edit::plan(&args.file, &changes, &options)?;
    if edit.is_shard() && edit.renamed().next().is_some() && !args.quiet {
        output::warn("tensors are renamed in this file of the split set only");
    }
    if !args.dry_run {
        let bytes = if let Way::Copy { bytes } = edit.way() { bytes } else { 0 };
        let progress = Progress::of_bytes(bytes > 0 && !(args.quiet || args.json), bytes);
        let stop = interrupt::flag();
        let done = edit.run(Some(&stop), &|bytes| progress.at(bytes));
        progress.finish();
        done?;
    }
    let path = args.output.as_ref().unwrap_or(&args.file);
    if args.json {
        output::print_json(&report::document(path, &edit))?;
    } else if !args.quiet {
        output::print(&report::text(path, &edit, args.dry_run))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts a file right whose edit was interrupted, and says so.
pub(crate) fn put_right(path: &Path, quiet: bool) -> anyhow::Result<()> {
    let recovered = edit::recover(path)?;
    let what = match recovered {
        Recovered::Old => "an edit was interrupted; the file is as it was before",
        Recovered::New => "an edit was interrupted after its last write; the file is the new one",
        Recovered::Nothing => return Ok(()),
    };
    if !quiet {
        output::note(&format!("{}: {what}", path.display()));
    }
    Ok(())
}

/// The changes that options ask for, in their order.
fn changes(args: &Args) -> anyhow::Result<Vec<Change>> {
    let mut changes: Vec<Change> = args.remove.iter().cloned().map(Change::Remove).collect();
    changes.extend(args.rename.iter().cloned().map(|(from, to)| Change::Rename { from, to }));
    let tensors = args.rename_tensors.iter().cloned();
    changes.extend(tensors.map(|(pattern, to)| Change::RenameTensors { pattern, to }));
    let text = |key: &str, text: &Option<String>| {
        let text = text.clone()?;
        let kind = granule_convert::edit::Kind::from_name("str");
        let target = Target { key: key.to_owned(), index: None, kind };
        Some(Change::Set(target, Text::Argument(text)))
    };
    changes.extend(text("general.name", &args.general_name));
    changes.extend(text("general.description", &args.general_description));
    changes.extend(text("tokenizer.ggml.pre", &args.pre_tokenizer));
    if let Some(path) = &args.chat_template {
        let is_json = path.extension().is_some_and(|end| end == "json");
        let template = Change::chat_template(&read(path)?, is_json);
        changes.push(template.with_context(|| path.display().to_string())?);
    }
    changes.extend(args.set.iter().cloned());
    for (target, path) in &args.set_from {
        changes.push(Change::Set(target.clone(), Text::File(read(Path::new(path))?)));
    }
    let tokens = args.special_token.iter().cloned();
    changes.extend(tokens.map(|(kind, token)| Change::SpecialToken { kind, token }));
    Ok(changes)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let context = || format!("cannot read {}", path.display());
    granule_reader::file::read_to_string(path).with_context(context)
}

/// Two texts with `=` between them.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((one, other)) if !one.is_empty() && !other.is_empty() => {
            Ok((one.to_owned(), other.to_owned()))
        }
        _ => Err(format!("{text:?} has no = between two texts")),
    }
}

fn tensors(text: &str) -> Result<(Regex, String), String> {
    let (pattern, to) = pair(text)?;
    Ok((filter(&pattern)?, to))
}
