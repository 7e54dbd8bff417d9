//! Parsing the command line: the command, or what is wrong.
//!
//! Errors of `clap` take the program's own form: what is wrong, then either a suggestion or the
//! usage.

use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};
use granule_format::nearest::{did_you_mean, distance, nearest};

use crate::args::Cli;
use crate::cmd::Command;
use crate::{foreign, output};

/// Options that discard or allow something. They are suggested for a single slip only:
/// a guess must not lose anything.
const RISKY: &[&str] =
    &["--allow-missing", "--allow-requantize", "--prune-layers", "--restart", "--resume"];

/// What the arguments ask for.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) command: Command,
    /// The command's name.
    pub(crate) name: String,
}

/// Parse the arguments, the program's name first. If no command is to be run, everything has been
/// said (help, version, what is wrong), and the exit status is returned.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Parsed, ExitCode> {
    if let Some(problem) = one_dash(arguments) {
        output::report_error(&problem);
        return Err(ExitCode::from(2));
    }
    try_parse(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match error.print() {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                output::report_error(&format!("cannot write to standard output: {error}"));
                ExitCode::from(2)
            }
            _ => ExitCode::SUCCESS,
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // if standard error cannot be written, there is nothing left to do
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            output::report_error(&message(&error, arguments));
            ExitCode::from(2)
        }
    })
}

fn try_parse(arguments: &[OsString]) -> Result<Parsed, clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let command = Cli::from_arg_matches(&matches)?.command;
    Ok(Parsed { command, name: matches.subcommand_name().unwrap_or_default().to_owned() })
}

/// A long name with one dash, such as `-outfile`, would be a short option with a value: `-o
/// utfile`.
fn one_dash(arguments: &[OsString]) -> Option<String> {
    let level = Level::of(arguments);
    let known: Vec<&str> = level
        .command
        .get_arguments()
        .flat_map(|argument| argument.get_long_and_visible_aliases().unwrap_or_default())
        .collect();
    let words = arguments.iter().skip(1).take_while(|word| *word != "--");
    let names = words.filter_map(|word| word.to_str()?.split('=').next()?.strip_prefix('-'));
    let name = names.into_iter().find(|name| known.contains(name))?;
    Some(format!("unknown option -{name}; did you mean --{name}?"))
}

/// What is wrong with these arguments.
#[cfg(test)]
pub(crate) fn message_for(arguments: &[&str]) -> String {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    message(&try_parse(&arguments).expect_err("a wrong command line"), &arguments)
}

/// The message: what is wrong in one line, and the usage in a second one if the syntax is wrong.
fn message(error: &clap::Error, arguments: &[OsString]) -> String {
    let mut level = Level::of(arguments);
    let argument = text(error, ContextKind::InvalidArg);
    let option = argument.split([' ', '=']).next().unwrap_or_default();
    let value = text(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::ValueValidation => {
            let problem = error.source().map(ToString::to_string).unwrap_or_default();
            match problem.contains(&format!("{value:?}")) {
                true => format!("{option}: {problem}"),
                false => format!("{option} {value}: {problem}"),
            }
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            level.with_usage(&format!("{argument}: the value is missing"))
        }
        ErrorKind::InvalidValue => {
            let valid = texts(error, ContextKind::ValidValue);
            let near = nearest(&value, valid.iter().map(String::as_str));
            let hint = match near.as_slice() {
                [] => format!("; it can be {}", valid.join(", ")),
                names => did_you_mean(names),
            };
            format!("{option} {value}: there is no such value{hint}")
        }
        ErrorKind::UnknownArgument if option.starts_with('-') => level.unknown_option(option),
        ErrorKind::UnknownArgument => {
            level.with_usage(&format!("{argument:?}: nothing is expected here"))
        }
        ErrorKind::InvalidSubcommand => {
            let name = text(error, ContextKind::InvalidSubcommand);
            level.unknown_command(&name)
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = texts(error, ContextKind::InvalidArg).join(", ");
            level.with_usage(&format!("missing: {missing}"))
        }
        ErrorKind::ArgumentConflict => {
            let prior = texts(error, ContextKind::PriorArg).join(", ");
            if prior == argument {
                format!("{argument} is given twice")
            } else {
                format!("{argument} cannot be used with {prior}")
            }
        }
        ErrorKind::TooManyValues if !option.starts_with('-') => {
            level.with_usage(&format!("{value:?}: nothing is expected here"))
        }
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues if !value.is_empty() => {
            level.with_usage(&format!("{option}: the value {value:?} is one too many"))
        }
        ErrorKind::InvalidUtf8 => "an argument is not valid Unicode".to_owned(),
        _ => level.with_usage(first_paragraph(&error.to_string())),
    }
}

/// The command or subcommand that the line was meant for.
struct Level {
    command: clap::Command,
    /// `granule convert`.
    name: String,
}

impl Level {
    fn of(arguments: &[OsString]) -> Self {
        let mut program = Cli::command();
        // fills in the full names of commands
        program.build();
        let mut level = Self { name: program.get_name().to_owned(), command: program };
        for word in arguments.iter().skip(1).filter(|word| *word != "help") {
            let inner = word.to_str().and_then(|word| level.command.find_subcommand(word)).cloned();
            match inner {
                Some(command) => {
                    level.name = format!("{} {}", level.name, command.get_name());
                    level.command = command;
                }
                None if word.to_string_lossy().starts_with('-') => {}
                None => break,
            }
        }
        level
    }

    fn with_usage(&mut self, problem: &str) -> String {
        let usage = self.command.render_usage().to_string();
        let usage: Vec<&str> = usage.split_whitespace().collect();
        format!("{problem}\n{} (`{} --help` says more)", usage.join(" "), self.name)
    }

    fn unknown_option(&mut self, option: &str) -> String {
        if let Some(answer) = foreign::option(self.command.get_name(), option) {
            return answer;
        }
        let shown = self.command.get_arguments().filter(|argument| !argument.is_hide_set());
        let known: Vec<String> = shown
            .flat_map(|argument| argument.get_long_and_visible_aliases().unwrap_or_default())
            .map(|name| format!("--{name}"))
            .collect();
        let mut near = nearest(option, known.iter().map(String::as_str));
        near.retain(|name| !RISKY.contains(name) || distance(name, option) == 1);
        let problem = format!("unknown option {option}{}", did_you_mean(&near));
        self.with_usage(&problem)
    }

    fn unknown_command(&mut self, name: &str) -> String {
        if let Some(answer) = foreign::command(name) {
            return answer;
        }
        let known: Vec<&str> = self
            .command
            .get_subcommands()
            .flat_map(|command| {
                std::iter::once(command.get_name()).chain(command.get_visible_aliases())
            })
            .collect();
        let near = did_you_mean(&nearest(name, known.iter().copied()));
        self.with_usage(&format!("unknown command {name:?}{near}"))
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    texts(error, kind).join(", ")
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// What `clap` says first, without its own prefix.
fn first_paragraph(said: &str) -> &str {
    let said = said.split("\n\n").next().unwrap_or_default();
    said.strip_prefix("error: ").unwrap_or(said).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_and_how_it_is_used() {
        for (line, expected) in [
            (
                "inspcet a",
                "unknown command \"inspcet\"; did you mean inspect?\nUsage: granule <COMMAND>",
            ),
            ("frobnicate", "unknown command \"frobnicate\"\nUsage: granule <COMMAND>"),
            ("inspect", "missing: <FILE>...\nUsage: granule inspect [OPTIONS] <FILE>... ("),
            ("types a", "\"a\": nothing is expected here\nUsage: granule types [OPTIONS] ("),
            (
                "inspect a --metdata",
                "unknown option --metdata; did you mean --metadata?\nUsage: granule inspect ",
            ),
            ("inspect a --zzz", "unknown option --zzz\nUsage: granule inspect "),
            (
                "convert a --output",
                "--output <PATH>: the value is missing\nUsage: granule convert ",
            ),
            ("convert a --out-type f16", "unknown option --out-type; did you mean --outtype?\n"),
            (
                "convert a --quiet=1",
                "--quiet: the value \"1\" is one too many\nUsage: granule convert ",
            ),
            ("quantize a b Q4_0 8 9", "\"9\": nothing is expected here\nUsage: granule convert "),
            ("help fly", "unknown command \"fly\"\nUsage: granule <COMMAND>"),
            ("check a --json --quiet", "--json cannot be used with --quiet"),
            ("quantize a -o b -o c", "--output <PATH> is given twice"),
        ] {
            let said =
                message_for(&["granule"].into_iter().chain(line.split(' ')).collect::<Vec<_>>());
            assert!(said.starts_with(expected), "{line}: {said}");
            assert!(said.lines().count() <= 2, "{line}: {said}");
        }
    }

    /// `-outfile x` must not write to a file of the name `utfile`.
    #[test]
    fn long_names_have_two_dashes() {
        let said = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            one_dash(&words)
        };
        for (line, option) in [
            ("granule convert a -outfile b", Some("outfile")),
            ("granule convert a -type=Q8_0", Some("type")),
            ("granule check -strict a", Some("strict")),
            ("granule convert a -tQ8_0 -o b -j2", None),
            ("granule inspect -- -json", None),
        ] {
            let expected =
                option.map(|name| format!("unknown option -{name}; did you mean --{name}?"));
            assert_eq!(said(line), expected, "{line}");
        }
    }

    /// What loses or allows something is suggested for one slip, not for two.
    #[test]
    fn no_dangerous_guess() {
        for (option, suggested) in [
            ("--resum", true),
            ("--ressume", true),
            ("--reuse", false),
            ("--resumed-run", false),
            ("--resu", false),
            ("--allow-requantise", true),
            ("--allow-quantize", false),
            ("--allow", false),
        ] {
            let said = message_for(&["granule", "convert", "a", option]);
            let risky = RISKY.iter().any(|name| said.contains(&format!(" {name}?")));
            assert_eq!(risky, suggested, "{option}: {said}");
        }
    }
}
