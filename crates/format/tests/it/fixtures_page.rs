//! `fixtures/README.md` lists every folder, its size, and tests and pages that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../.."].iter().collect()
}

/// The files below a folder, but for what builds leave.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            found.push(path);
        } else if path.file_name().is_none_or(|name| name != "target") {
            files(&path, found);
        }
    }
}

/// The rows of the table with this head: the cells.
fn table<'p>(page: &'p str, head: &str) -> Vec<Vec<&'p str>> {
    let rows = page.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// The name in the first cell, which may be a link.
fn name<'p>(row: &[&'p str]) -> &'p str {
    row[0].split('`').nth(1).unwrap()
}

#[test]
fn the_page_lists_every_folder() {
    let fixtures = root().join("fixtures");
    let entries = fs::read_dir(&fixtures).unwrap().map(|entry| entry.unwrap().path());
    let folders = entries.filter(|path| path.is_dir());
    let folders: BTreeSet<_> =
        folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let page = fs::read_to_string(fixtures.join("README.md")).unwrap();
    for head in ["| Folder | Holds |", "| Folder | How |"] {
        let rows = table(&page, head);
        let listed: BTreeSet<_> = rows.iter().map(|row| name(row).to_owned()).collect();
        assert_eq!(listed, folders, "{head}");
    }
}

#[test]
fn tests_and_pages_and_sizes_are_those_of_the_page() {
    let (mut sources, fixtures) = (Vec::new(), root().join("fixtures"));
    files(&root().join("crates"), &mut sources);
    files(&root().join("tools"), &mut sources);
    let page = fs::read_to_string(fixtures.join("README.md")).unwrap();
    for row in table(&page, "| Folder | Holds |") {
        let folder = name(&row);
        let readme = fixtures.join(folder).join("README.md");
        assert_eq!(row[0].contains(&format!("({folder}/README.md)")), readme.exists(), "{folder}");
        for test in row[3].split('`').filter(|text| text.ends_with(".rs")) {
            let is_there = sources.iter().any(|path| {
                path.file_name().is_some_and(|name| name == test)
                    && fs::read_to_string(path).is_ok_and(|text| text.contains(folder))
            });
            assert!(is_there, "{folder}: no {test} that names it");
        }
        let mut held = Vec::new();
        files(&fixtures.join(folder), &mut held);
        let bytes: u64 = held.iter().map(|path| path.metadata().unwrap().len()).sum();
        let stated: f64 = row[2].trim_end_matches(" MB").parse().unwrap();
        let actual = bytes as f64 / 1e6;
        // roughly: fixtures grow
        let is_near = (stated - actual).abs() <= 0.1 || (0.5..2.0).contains(&(stated / actual));
        assert!(is_near, "{folder}: {actual:.1} MB");
    }
}
