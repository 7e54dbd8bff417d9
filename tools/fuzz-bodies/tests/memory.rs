//! What opening and checking allocate is bounded by the size of the file, whatever the file says.
//!
//! One test: everything that is allocated is counted.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::fs;
use std::path::Path;

use granule_format::check::Options;
use granule_format::{Header, check};
use granule_fuzz_bodies::big::{KINDS, vocabulary};
use granule_fuzz_bodies::memory::{Counting, Usage, alone, measure};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that may be allocated for each byte of the file, and for any file.
struct Bound {
    factor: usize,
    base: usize,
}

/// Opening: every key, name and value is copied once, and vectors grow by doubling.
const OPEN: Bound = Bound { factor: 8, base: 64 << 10 };

/// Checking: the header twice, and the findings.
const CHECK: Bound = Bound { factor: 12, base: 512 << 10 };

#[derive(Default)]
struct Most {
    open: f64,
    check: f64,
    files: usize,
}

impl Most {
    fn examine(&mut self, what: &dyn std::fmt::Display, file: &[u8]) {
        let (open, _) = measure(|| drop(Header::parse(file)));
        self.open = self.open.max(OPEN.check(what, file, open));
        let (checked, _) = measure(|| drop(check(file, &Options::default())));
        self.check = self.check.max(CHECK.check(what, file, checked));
        self.files += 1;
    }
}

impl Bound {
    /// How many times the file was allocated, beyond the base.
    fn check(&self, what: &dyn std::fmt::Display, file: &[u8], usage: Usage) -> f64 {
        let most = self.factor * file.len() + self.base;
        assert!(
            usage.peak <= most && usage.largest <= most && usage.left == 0,
            "{what}: {usage:?} for {} bytes, at most {most}",
            file.len()
        );
        usage.peak.saturating_sub(self.base) as f64 / file.len().max(1) as f64
    }
}

fn main() {
    alone("allocation_is_bounded_by_the_file", allocation_is_bounded_by_the_file);
}

fn allocation_is_bounded_by_the_file() {
    let mut most = Most::default();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/files");
    for folder in ["valid", "warned", "invalid"] {
        for entry in fs::read_dir(files.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let mut file = fs::read(&path).unwrap();
            most.examine(&path.display(), &file);
            // large numbers wherever a count or a length may lie
            let end = Header::parse(&file).map_or(200, |header| header.table_end() as usize);
            for at in 0..end.min(file.len().saturating_sub(8)).min(300) {
                for number in [1 << 10, 1 << 31, 1 << 61, u64::MAX] {
                    let bytes = u64::to_le_bytes(number);
                    let old: [u8; 8] = file[at..at + 8].try_into().unwrap();
                    file[at..at + 8].copy_from_slice(&bytes);
                    most.examine(&format_args!("{} at {at}", path.display()), &file);
                    file[at..at + 8].copy_from_slice(&old);
                }
            }
        }
    }
    println!("{} small files: open {:.1}, check {:.1}", most.files, most.open, most.check);
    for (kind, make) in KINDS {
        let mut most = Most::default();
        // the last file is a little larger than a power of two, where a vector has just grown
        for count in [1000, 40_000, (1 << 17) + 1] {
            most.examine(kind, &make(count));
        }
        println!("{kind}: open {:.1}, check {:.1}", most.open, most.check);
    }
    let mut most = Most::default();
    most.examine(&"vocabulary", &vocabulary(262_144));
    println!("vocabulary: open {:.1}, check {:.1}", most.open, most.check);
}
