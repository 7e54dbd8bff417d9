//! The codebooks in `spec/codebooks` are the tables that the code uses, and their page says what is
//! in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use granule_format::block::codebook::{iq1, iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs, iq4_nl, signs};

type Entries = Vec<Vec<i16>>;

/// The tables of the code by the names of their files.
fn tables() -> Vec<(&'static str, Entries)> {
    fn entries<T: Copy + Into<i16>, const N: usize>(table: &[[T; N]]) -> Entries {
        table.iter().map(|entry| entry.map(Into::into).to_vec()).collect()
    }
    let signs = signs::SIGNS.map(|signs| [0, 1, 2, 3, 4, 5, 6, 7].map(|i| sign(signs, i)));
    vec![
        ("iq1.txt", entries(&iq1::GRID)),
        ("iq2_s.txt", entries(&iq2_s::GRID)),
        ("iq2_xs.txt", entries(&iq2_xs::GRID)),
        ("iq2_xxs.txt", entries(&iq2_xxs::GRID)),
        ("iq3_s.txt", entries(&iq3_s::GRID)),
        ("iq3_xxs.txt", entries(&iq3_xxs::GRID)),
        ("iq4_nl.txt", entries(&iq4_nl::LEVELS.map(|level| [level]))),
        ("signs.txt", entries(&signs)),
    ]
}

fn sign(signs: u8, i: u32) -> i16 {
    if signs >> i & 1 == 1 { -1 } else { 1 }
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../spec/codebooks"].iter().collect()
}

/// A file, read by nothing but the rules of the page.
fn read(name: &str) -> Entries {
    let text = fs::read_to_string(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(text.is_ascii() && text.ends_with('\n') && text.starts_with("# "), "{name}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').map(|value| value.parse().unwrap()).collect()).collect()
}

#[test]
fn files_hold_the_tables_of_the_code() {
    for (name, table) in tables() {
        let entries = read(name);
        assert_eq!(entries.len(), table.len(), "{name}: number of entries");
        for (index, (stored, entry)) in entries.iter().zip(&table).enumerate() {
            assert_eq!(stored, entry, "{name}: entry {index}");
        }
    }
}

#[test]
fn the_page_lists_the_files() {
    let page = fs::read_to_string(folder().join("README.md")).unwrap();
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let files: BTreeSet<_> = files.map(|name| name.into_string().unwrap()).collect();
    let tables = tables();
    let known = tables.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(files, known.chain(["README.md".to_owned()]).collect());
    for (name, table) in &tables {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let sizes = [table.len().to_string(), table[0].len().to_string()];
        assert_eq!(cells[2..4], sizes, "{name}");
        let values: BTreeSet<i16> = table.iter().flatten().copied().collect();
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        let listed = match &values[..] {
            [first, .., last] if values.len() > 8 => format!("from {first} to {last}"),
            _ => values.join(", "),
        };
        assert_eq!(cells[4], listed, "{name}");
    }
}
