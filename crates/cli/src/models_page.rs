//! `docs/models.md` lists what the code knows, and the README counts it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs};

use granule_checkpoint::arch;

use crate::foreign;
use crate::models::kind;

/// The table of architectures and their classes.
fn architectures() -> String {
    let mut rows = BTreeMap::<(&str, &str, &str), BTreeSet<&str>>::new();
    for arch in arch::all().iter().chain(arch::projectors()) {
        let own = arch.classes.iter().map(String::as_str);
        rows.entry((&arch.models, kind(arch), &arch.name)).or_default().extend(own);
    }
    let mut table = "| models | kind | architecture | classes |\n|---|---|---|---|\n".to_owned();
    for ((models, kind, name), classes) in rows {
        let classes: Vec<String> = classes.iter().map(|class| format!("`{class}`")).collect();
        table += &format!("| {models} | {kind} | `{name}` | {} |\n", classes.join(", "));
    }
    table
}

/// How much is known: the README's table.
fn counts() -> String {
    let texts = arch::all().iter();
    let architectures: BTreeSet<&str> = texts.clone().map(|arch| &*arch.name).collect();
    let texts: BTreeSet<&str> = texts.flat_map(|arch| &arch.classes).map(String::as_str).collect();
    let projectors = arch::projectors().iter().flat_map(|arch| &arch.classes);
    let projectors: BTreeSet<&str> = projectors.map(String::as_str).collect();
    let missing: usize = foreign::planned().map(|(names, _)| names.len()).sum();
    format!(
        "| what | known |\n|---|---|\n\
         | classes of text models, in architectures of llama.cpp | {} in {} |\n\
         | classes with a part for images or sound (`--mmproj`) | {} |\n\
         | options and commands of other tools that are not there yet | {missing} |\n",
        texts.len(),
        architectures.len(),
        projectors.len(),
    )
}

/// The table of what other tools can do and Granule cannot.
fn missing() -> String {
    let mut table = "| option or command | until then |\n|---|---|\n".to_owned();
    for (names, meanwhile) in foreign::planned() {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        table += &format!("| {} | {meanwhile} |\n", names.join(", "));
    }
    table
}

/// The page with a table in the place that `<!-- NAME -->` and `<!-- end -->` enclose.
fn with_table(page: &str, name: &str, table: &str) -> String {
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = page.split_once(&begin).expect("the page has a place for the table");
    let (_, after) = rest.split_once("<!-- end -->").expect("the place ends");
    format!("{before}{begin}\n{table}\n<!-- end -->{after}")
}

/// Compare a page with the page that the tables make of it, or write it.
fn hold(name: &str, tables: &[(&str, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    let page = fs::read_to_string(&path).expect("the page");
    let expected =
        tables.iter().fold(page.clone(), |page, (name, table)| with_table(&page, name, table));
    if env::var_os("GRANULE_UPDATE").is_some() {
        fs::write(&path, expected).expect("the page can be written");
    } else {
        assert!(page == expected, "{name} is out of date: run with GRANULE_UPDATE=1");
    }
}

#[test]
fn the_page_lists_what_the_code_knows() {
    let tables = [("architectures", architectures()), ("missing", missing())];
    hold("docs/models.md", &tables);
}

#[test]
fn the_readme_counts_what_the_code_knows() {
    hold("README.md", &[("counts", counts())]);
}
