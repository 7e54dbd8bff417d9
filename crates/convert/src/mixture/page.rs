use std::fmt::Write;

use granule_format::FileType;

use super::rule::{Position, Rule, Table, words};
use super::tables::TABLES;
use super::{category, eligible, fallback};

/// Returns the tables of file types, exceptions, categories, rules and fallbacks as Markdown: the
/// generated part of `spec/mixtures.md`.
pub fn page() -> String {
    let mut out = String::new();
    out.push_str(
        "### File types\n\n| file type | number | default type | other names |\n\
         |---|---|---|---|\n",
    );
    for file_type in FileType::ALL {
        let number = file_type.number().map_or("the source's".to_owned(), |n| n.to_string());
        let default = file_type.default_type().map_or("each its own", |ty| ty.name());
        row(&mut out, &[file_type.name(), &number, default, &file_type.aliases().join(", ")]);
    }
    out.push_str("\n### Exceptions\n\n| name | architecture |\n|---|---|\n");
    for (name, architecture) in eligible::exceptions() {
        row(&mut out, &[&name, if architecture.is_empty() { "any" } else { architecture }]);
    }
    out.push_str("\n### Categories\n\n| category | name |\n|---|---|\n");
    for (category, name) in category::signs() {
        row(&mut out, &[&category.to_string(), &name]);
    }
    for (i, table) in TABLES.iter().enumerate() {
        describe(&mut out, i + 1, table);
    }
    out.push_str("\n### Fallbacks\n\n| rows are not whole blocks of | instead |\n|---|---|\n");
    for (wanted, instead) in fallback::fallbacks() {
        row(&mut out, &[wanted.name(), instead.name()]);
    }
    row(&mut out, &["other types with blocks of 32", "F16"]);
    row(&mut out, &["these instead, either", "F16"]);
    row(&mut out, &["Q1_0, NVFP4", "refused"]);
    out
}

fn describe(out: &mut String, number: usize, table: &Table) {
    let mut scope = match table.file_types {
        [] => "Every file type".to_owned(),
        some => names(some),
    };
    if !table.when.is_empty() {
        scope = format!("{scope}; {}", words(table.when));
    }
    let position = match table.position {
        Position::None => "",
        Position::Counter => " `i` counts.",
        Position::Layer => " `i` counts, or is the layer.",
    };
    let uncounted = if table.counts { "" } else { "\nCounters do not advance." };
    let title = table.title;
    // writing to a String cannot fail
    let _ = write!(out, "\n### {number}. {title}\n\n{scope}.{position}{uncounted}\n\n");
    out.push_str("| file type | when | type |\n|---|---|---|\n");
    for rule in table.rules {
        describe_rule(out, "", rule);
    }
    for rule in table.afterwards {
        describe_rule(out, "then: ", rule);
    }
}

fn describe_rule(out: &mut String, prefix: &str, rule: &Rule) {
    let file_types = match rule.file_types {
        [] => "any".to_owned(),
        some => names(some),
    };
    let when = format!("{prefix}{}", words(rule.when));
    row(out, &[&file_types, &when, rule.gives.map_or("default", |ty| ty.name())]);
}

fn names(file_types: &[FileType]) -> String {
    file_types.iter().map(|file_type| file_type.name()).collect::<Vec<_>>().join(", ")
}

fn row(out: &mut String, cells: &[&str]) {
    out.push('|');
    for cell in cells {
        let _ = match *cell {
            "" => write!(out, " |"),
            cell => write!(out, " {cell} |"),
        };
    }
    out.push('\n');
}
