//! Output on the terminal: results, messages, tables, numbers for people.

use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

use crate::advice;
use crate::source::hidden;

/// The number under `schema` in the JSON of every command, as `docs/program.md` describes it. A
/// document that only gains keys keeps its number.
pub(crate) const SCHEMA: u32 = 1;

/// Write to standard output. A reader that has seen enough and closed the pipe (`| head`) is no
/// failure.
///
/// # Errors
/// Any other fault, such as a full disk.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// Write a value as indented JSON with a line break after it.
///
/// # Errors
/// As [`print()`].
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Report on standard error why `command` failed: what is wrong, and on a second line what to do.
pub(crate) fn report_failure(error: &anyhow::Error, command: &str) {
    report_error(&failure_text(error, command));
}

/// Report an error on standard error; the text may have several lines.
pub(crate) fn report_error(text: &str) {
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    say("error", "\x1b[1;31m", &lines.join("\n"));
}

/// Report on standard error something odd that is not a failure.
pub(crate) fn warn(text: &str) {
    say("warning", "\x1b[1;33m", &printable(text));
}

/// The one form of all messages: `granule: error: ...`. The word is coloured if standard error is a
/// terminal, unless `NO_COLOR` is set.
fn say(word: &str, colour: &str, text: &str) {
    // if standard error cannot be written either, there is nothing left to do
    let text = hidden(text);
    let _ = writeln!(anstream::stderr().lock(), "granule: {colour}{word}:\x1b[0m {text}");
}

/// The error and its causes, then what to do.
fn failure_text(error: &anyhow::Error, command: &str) -> String {
    let mut text = format!("{error:#}");
    if let Some(advice) = error.chain().find_map(|cause| advice::on(cause, command)) {
        text += "\n";
        text += &advice;
    }
    text
}

/// Say what the program does, on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "granule: {}", hidden(&printable(text)));
}

/// The text with control characters escaped: names and values come from files that anybody may have
/// written.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// The text, printable and cut to about `most` characters.
pub(crate) fn abridged(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return printable(text);
    }
    let head: String = text.chars().take(most).collect();
    printable(&head) + "..."
}

/// Bytes for people: `987 B`, `1.25 MB` (decimal units).
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1000 { format!("{bytes} B") } else { scaled(bytes, "B") }
}

/// A count for people: `987`, `134.5 M`.
pub(crate) fn count(number: u64) -> String {
    if number < 10_000 { number.to_string() } else { scaled(number, "") }
}

/// A number of things: `1 tensor`, `2 tensors`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn scaled(number: u64, unit: &str) -> String {
    let (mut value, mut steps) = (number as f64, 0);
    // 999.95 would be shown as 1000.0
    while value >= 999.95 && steps < 6 {
        value /= 1000.0;
        steps += 1;
    }
    let prefix = ["", "k", "M", "G", "T", "P", "E"][steps];
    let digits = if value < 10.0 { 2 } else { 1 };
    format!("{value:.digits$} {prefix}{unit}")
}

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows of text in columns.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            columns: columns.iter().map(|(_, align)| *align).collect(),
            rows: vec![columns.iter().map(|(name, _)| (*name).to_owned()).collect()],
        }
    }

    /// Append a row with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Widest column in characters; longer cells push the rest of their line to the right.
    const WIDEST: usize = 100;

    /// The table as text, each line indented by two blanks, without trailing blanks.
    pub(crate) fn render(&self) -> String {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> =
            (0..self.columns.len()).map(|column| width(column).min(Self::WIDEST)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, align), width) in row.iter().zip(&self.columns).zip(&widths) {
                let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
                line.extend(match align {
                    Align::Left => ["  ", cell, &blanks],
                    Align::Right => ["  ", &blanks, cell],
                });
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_or_four_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.00 MB"),
            (1_250_000_000, "1.25 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!((count(9999), count(134_515_008)), ("9999".into(), "134.5 M".into()));
    }

    #[test]
    fn nothing_from_a_file_acts_on_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\r\n\u{202e}ä\"'\\"), "a\\u{1b}[2Jb\\r\\n\\u{202e}ä\"'\\");
        assert_eq!(abridged("äöü", 2), "äö...");
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[("name", Align::Left), ("bytes", Align::Right)]);
        table.row(["ä".into(), "12345".into()]);
        table.row(["long name".into(), "1".into()]);
        assert_eq!(table.render(), "  name       bytes\n  ä          12345\n  long name      1\n");
        table.row(["x".repeat(100_000), "2".into()]);
        assert!(table.render().len() < 100_500);
    }
}
