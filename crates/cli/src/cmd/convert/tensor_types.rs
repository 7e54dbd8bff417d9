//! `--tensor-type` and `--tensor-type-file`: the first pattern wins, so the order counts, and a
//! file's entries stand where the file is named.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, value_parser};
use granule_convert::recipe::TensorTypeOverride;

/// The patterns in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct TensorTypes {
    pub(crate) entries: Vec<TensorTypeOverride>,
    /// The files that some of them come from.
    pub(crate) files: Vec<PathBuf>,
}

const ONE: &str = "tensor-type";
const FILE: &str = "tensor-type-file";

impl clap::Args for TensorTypes {
    fn augment_args(command: Command) -> Command {
        command
            .arg(
                Arg::new(ONE)
                    .long(ONE)
                    .value_name("REGEX=TYPE")
                    .help("The type of tensors whose name contains a match; the first that matches wins")
                    .action(ArgAction::Append)
                    .value_parser(str::parse::<TensorTypeOverride>)
                    .help_heading("Quantization"),
            )
            .arg(
                Arg::new(FILE)
                    .long(FILE)
                    .value_name("FILE")
                    .help("A file with entries for --tensor-type, separated by blanks or line breaks")
                    .action(ArgAction::Append)
                    .value_parser(value_parser!(PathBuf))
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
        if let (Some(at), Some(values)) = (matches.indices_of(ONE), matches.get_many(ONE)) {
            placed.extend(at.zip(values.map(|value: &TensorTypeOverride| vec![value.clone()])));
        }
        if let (Some(at), Some(paths)) = (matches.indices_of(FILE), matches.get_many(FILE)) {
            for (at, path) in at.zip(paths) {
                placed.push((at, read(path)?));
            }
        }
        placed.sort_by_key(|(at, _)| *at);
        let entries = placed.into_iter().flat_map(|(_, entries)| entries).collect();
        let files = matches.get_many(FILE).into_iter().flatten().cloned().collect();
        Ok(Self { entries, files })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn read(path: &PathBuf) -> Result<Vec<TensorTypeOverride>, clap::Error> {
    let fail = |problem: &dyn std::fmt::Display| {
        let message = format!("--{FILE} {}: {problem}\n", path.display());
        clap::Error::raw(ErrorKind::ValueValidation, message)
    };
    let text = granule_reader::file::read_to_string(path).map_err(|error| fail(&error))?;
    text.split_whitespace().map(|entry| entry.parse().map_err(|error| fail(&error))).collect()
}
