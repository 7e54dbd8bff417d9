//! `spec/mixtures.md` shows the tables that the code uses.

use std::fs;
use std::path::PathBuf;

const BEGIN: &str = "<!-- tables: made from the code -->\n";
const END: &str = "<!-- end of tables -->\n";

/// With `GRANULE_UPDATE=1` in the environment, the test updates the page.
#[test]
fn the_page_shows_the_tables() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/mixtures.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the tables");
    let (_, after) = rest.split_once(END).expect("the place for the tables ends");
    let tables = granule_convert::mixture::page();
    let expected = format!("{before}{BEGIN}\n{tables}\n{END}{after}");
    if std::env::var_os("GRANULE_UPDATE").is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert!(page == expected, "spec/mixtures.md is out of date: run with GRANULE_UPDATE=1");
    }
}
