//! Spelling and words of documents and comments, and the width of all lines.
//!
//! A checker of its own, because it needs no download: it finds a slip that it has in its table and
//! nothing else, so it is never wrong about a name.

mod words;

use std::fs;
use std::path::Path;

use anyhow::bail;

use super::markdown::{text_lines, without_code};
use super::{Outcome, files};
use words::{ALLOWED, BANNED, HOUSE_STYLE, MISSPELT};
use xtask::run::root;

/// Columns of a line, in comments and documents too.
const WIDTH: usize = 100;

pub(super) fn check() -> anyhow::Result<Outcome> {
    let mut found = 0;
    for extension in ["md", "rs"] {
        for path in files(extension)? {
            let text = fs::read_to_string(&path)?;
            let name = path.strip_prefix(root()).unwrap_or(&path);
            let lines = if extension == "md" { text_lines(&text) } else { comments(&text) };
            let mut all = problems(name, &text, &lines);
            if extension == "rs" {
                all.extend(wide_code(&text));
            }
            for problem in all {
                println!("{}{problem}", name.display());
                found += 1;
            }
        }
    }
    if found > 0 {
        bail!("{found} places to correct; the words are in tools/xtask/src/ci/prose/words.rs");
    }
    Ok(Outcome::Passed)
}

/// The comments of a Rust file, with the numbers of their lines. What follows code is left out.
fn comments(source: &str) -> Vec<(usize, String)> {
    let lines = (1..).zip(source.lines().map(str::trim_start));
    lines
        .filter(|(_, line)| line.starts_with("//"))
        .map(|(number, line)| (number, without_code(line)))
        .collect()
}

/// What is wrong with a file: `:LINE: problem`.
fn problems(name: &Path, text: &str, lines: &[(usize, String)]) -> Vec<String> {
    let held = HOUSE_STYLE.iter().any(|path| name.starts_with(path));
    let whole: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines {
        let lower = line.to_lowercase();
        let mut report = |table: &[(&str, &str)]| {
            for (word, better) in table {
                if has_word(&lower, word) && !allowed(name, word, line) {
                    found.push(format!(":{number}: {word:?}: better: {better}"));
                }
            }
        };
        report(MISSPELT);
        if held {
            report(BANNED);
        }
        let columns = whole[number - 1].chars().count();
        // rows of tables and addresses cannot be broken
        let breakable = !line.trim_start().starts_with('|') && !line.contains("://");
        if held && breakable && columns > WIDTH {
            found.push(format!(":{number}: {columns} columns, more than {WIDTH}"));
        }
    }
    found
}

/// Lines of code that are too wide: the formatter leaves those with long strings as they are.
fn wide_code(source: &str) -> Vec<String> {
    let lines = (1..).zip(source.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
    let columns = lines.map(|(number, line)| (number, line.chars().count()));
    columns
        .filter(|(_, columns)| *columns > WIDTH)
        .map(|(number, columns)| format!(":{number}: {columns} columns, more than {WIDTH}"))
        .collect()
}

/// Whether words stand in a line, as a whole; both in lower case.
fn has_word(line: &str, words: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(words).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + words.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

fn allowed(name: &Path, word: &str, line: &str) -> bool {
    let row = |(path, allowed, part, _): &(&str, &str, &str, &str)| {
        name == Path::new(path) && *allowed == word && line.contains(part)
    };
    ALLOWED.iter().any(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_in_text_and_comments() {
        let source = "/// Recieve it.\nfn behind() {} // behind\n    // behind `beside`\n";
        let found = problems(Path::new("tools/xtask/src/x.rs"), source, &comments(source));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with(":1: \"recieve\": "), "{found:?}");
        assert!(found[1].starts_with(":3: \"behind\": "), "{found:?}");

        let long = format!("# A\n\n{}\n\n| {} |\n", "word ".repeat(21), "cell ".repeat(30));
        let found = problems(Path::new("tools/xtask/README.md"), &long, &text_lines(&long));
        assert_eq!(found, [":3: 105 columns, more than 100"]);
        let code = format!("fn f() {{\n    g(\"{}\")\n}}\n", "word ".repeat(19));
        assert_eq!(wide_code(&code), [":2: 104 columns, more than 100"]);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("so many rows", "so many"));
        assert!(!has_word("also many", "so many"));
        assert!(!has_word("behinds", "behind"));
    }

    /// The tables are in order and in lower case, and each row of what is allowed is needed.
    #[test]
    fn tables_are_in_order() {
        for table in [BANNED, MISSPELT] {
            assert!(table.iter().map(|(word, _)| word).is_sorted(), "sort the table");
            assert!(table.iter().all(|(word, _)| *word == word.to_lowercase()));
        }
        for (path, word, part, _) in ALLOWED {
            let text = fs::read_to_string(root().join(path)).unwrap_or_default();
            let needed = text.lines().any(|line| {
                line.contains(part) && has_word(&without_code(line).to_lowercase(), word)
            });
            assert!(needed, "{path} no longer has {word:?} in {part:?}");
        }
    }
}
