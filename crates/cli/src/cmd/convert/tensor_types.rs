//! `--tensor-type` and `--tensor-type-file`: the first pattern wins, so the order counts, and a
//! file's entries stand where the file is named.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use granule_convert::recipe::TensorTypeOverride;

/// The patterns in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct TensorTypes {
    pub(crate) patterns: Vec<TensorTypeOverride>,
    /// The files that some of them come from.
    pub(crate) files: Vec<PathBuf>,
    /// The files that have no pattern.
    pub(crate) empty: Vec<PathBuf>,
}

/// A file of patterns that was read.
type Entries = (PathBuf, Vec<TensorTypeOverride>);

const ONE: &str = "tensor-type";
const FILE: &str = "tensor-type-file";

impl clap::Args for TensorTypes {
    fn augment_args(command: Command) -> Command {
        command
            .arg(
                Arg::new(ONE)
                    .long(ONE)
                    .value_name("REGEX=TYPE")
                    .help(
                        "Set the type of tensors whose name matches (e.g. ffn_down=Q6_K); the \
                         first match wins",
                    )
                    .action(ArgAction::Append)
                    .value_parser(str::parse::<TensorTypeOverride>)
                    .help_heading("Quantization"),
            )
            .arg(
                Arg::new(FILE)
                    .long(FILE)
                    .value_name("FILE")
                    .help(
                        "Read entries for --tensor-type from a file, separated by blanks or \
                         line breaks",
                    )
                    .action(ArgAction::Append)
                    .value_parser(PathBufValueParser::new().try_map(read))
                    .help_heading("Quantization"),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TensorTypes {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut placed: Vec<(usize, Vec<TensorTypeOverride>)> = Vec::new();
        let (mut files, mut empty) = (Vec::new(), Vec::new());
        if let (Some(at), Some(values)) = (matches.indices_of(ONE), matches.get_many(ONE)) {
            placed.extend(at.zip(values.map(|value: &TensorTypeOverride| vec![value.clone()])));
        }
        if let (Some(at), Some(read)) =
            (matches.indices_of(FILE), matches.get_many::<Entries>(FILE))
        {
            for (at, (path, entries)) in at.zip(read) {
                placed.push((at, entries.clone()));
                files.push(path.clone());
                empty.extend(entries.is_empty().then(|| path.clone()));
            }
        }
        placed.sort_by_key(|(at, _)| *at);
        let patterns = placed.into_iter().flat_map(|(_, entries)| entries).collect();
        Ok(Self { patterns, files, empty })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Read the patterns of a file. Errors are text without the path, which the option adds.
fn read(path: PathBuf) -> Result<Entries, String> {
    let text = granule_reader::file::read_to_string(&path).map_err(|error| error.to_string())?;
    let entries = text.split_whitespace().map(str::parse).collect::<Result<_, _>>();
    Ok((path, entries.map_err(|error: granule_convert::RecipeError| error.to_string())?))
}
