//! `docs/models.md` lists what the code knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs};

use granule_checkpoint::arch;

use crate::foreign;

/// The table of architectures and their classes.
fn architectures() -> String {
    let mut rows = BTreeMap::<(&str, &str), BTreeSet<&str>>::new();
    for arch in arch::all().iter().chain(arch::projectors()) {
        let own = arch.classes.iter().map(String::as_str);
        rows.entry((&arch.models, &arch.name)).or_default().extend(own);
    }
    let mut table = "| models | architecture | classes |\n|---|---|---|\n".to_owned();
    for ((models, name), classes) in rows {
        let classes: Vec<String> = classes.iter().map(|class| format!("`{class}`")).collect();
        table += &format!("| {models} | `{name}` | {} |\n", classes.join(", "));
    }
    table
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

#[test]
fn the_page_lists_what_the_code_knows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/models.md");
    let page = fs::read_to_string(&path).expect("the page");
    let expected = with_table(&page, "architectures", &architectures());
    let expected = with_table(&expected, "missing", &missing());
    if env::var_os("GRANULE_UPDATE").is_some() {
        fs::write(&path, expected).expect("the page can be written");
    } else {
        assert!(page == expected, "docs/models.md is out of date: run with GRANULE_UPDATE=1");
    }
}
