//! The bodies of the fuzz targets over their seeds and over the corpora in `fixtures/fuzz`, which
//! libFuzzer found.
//!
//! One test at a time: what each input allocates is counted.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use granule_fuzz_bodies::memory::{Counting, alone};
use granule_fuzz_bodies::{TARGETS, bounded, seeds};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn main() {
    alone("everything", everything);
}

fn everything() {
    // what is made once is no input's doing
    for target in TARGETS {
        for seed in seeds(target).iter().take(8) {
            (target.run)(seed);
        }
    }
    for target in TARGETS {
        let folder = root().join("fixtures/fuzz").join(target.name);
        let mut inputs = seeds(target);
        let corpus = names(&folder);
        assert!(!corpus.is_empty(), "{}: no corpus", target.name);
        inputs.extend(corpus.iter().map(|name| fs::read(folder.join(name)).unwrap()));
        for (i, input) in inputs.iter().enumerate() {
            assert!(input.len() <= target.max_bytes, "{} {i}", target.name);
            let run = std::panic::catch_unwind(|| bounded(target, input));
            let name =
                i.checked_sub(inputs.len() - corpus.len()).and_then(|i| corpus.iter().nth(i));
            assert!(run.is_ok(), "{}: input {i} ({name:?})", target.name);
        }
        println!("{}: {} inputs", target.name, inputs.len());
    }

    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names(&root().join("fixtures/fuzz")), targets, "a corpus without a target");
    let files = names(&root().join("fuzz/fuzz_targets"));
    let files: BTreeSet<String> = files.iter().map(|name| name.replace(".rs", "")).collect();
    assert_eq!(files, targets, "fuzz/fuzz_targets has a file for each target");
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml lacks {name}");
    }
}
