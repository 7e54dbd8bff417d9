//! No bytes break the reader or the validator: small changes to good and bad files.
//!
//! With `GRANULE_EXHAUSTIVE=1`, every value at every byte of the headers of 20 files and every
//! length of every file are tried, which takes minutes.

use std::fs;
use std::path::PathBuf;

use granule_format::check::{Options, Report};
use granule_format::{Header, check};

const SEEDS: &[&str] = &[
    "valid/ok_arrays_all.gguf",
    "valid/ok_arrays_all_be.gguf",
    "valid/ok_be_tensors.gguf",
    "valid/ok_array_nested_2.gguf",
    "valid/ok_dims_7x3x2.gguf",
    "valid/ok_set_two-00001-of-00002.gguf",
    "valid/ok_type_q4_k.gguf",
    "valid/ok_type_tq1_0.gguf",
    "warned/warn_v1_tensor.gguf",
    "invalid/bad_nest_2000.gguf",
    "valid/ok_scalars_all.gguf",
    "valid/ok_align_8.gguf",
    "valid/ok_name_odd.gguf",
    "valid/ok_types_all_in_one.gguf",
    "valid/ok_v2_full.gguf",
    "valid/ok_kv_only.gguf",
    "valid/ok_file_type_known.gguf",
    "invalid/bad_kvcount_one_less.gguf",
    "invalid/bad_off_overlap_part.gguf",
    "invalid/bad_tname_nul.gguf",
];

/// Bytes that are most often where lengths, counts and types go wrong.
const EDGES: &[u8] = &[0, 1, 2, 7, 8, 9, 12, 13, 31, 32, 64, 127, 128, 254, 255];

fn fixtures() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../fixtures/files"].iter().collect()
}

fn is_exhaustive() -> bool {
    std::env::var_os("GRANULE_EXHAUSTIVE").is_some()
}

/// Check, and compare with the parser: what it refuses must not be valid.
fn examine(file: &[u8], what: &dyn std::fmt::Display) -> Report {
    let report = check(file, &Options::default());
    if let Err(error) = Header::parse(file) {
        assert!(!report.is_valid(false), "{what}: accepted although {error}");
    }
    report
}

#[test]
fn every_length() {
    let mut tried = 0_u64;
    for folder in ["valid", "warned", "invalid"] {
        for entry in fs::read_dir(fixtures().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let file = fs::read(&path).unwrap();
            let most = if is_exhaustive() { usize::MAX } else { 700 };
            let table_end = Header::parse(&file).map_or(0, |header| header.table_end() as usize);
            for length in 0..file.len().min(most) {
                let report = examine(&file[..length], &path.display());
                assert!(length >= table_end || !report.is_valid(false), "{path:?} cut to {length}");
                tried += 1;
            }
        }
    }
    println!("{tried} lengths");
}

#[test]
fn every_byte_of_headers() {
    let mut tried = 0_u64;
    for seed in SEEDS {
        let mut file = fs::read(fixtures().join(seed)).unwrap();
        let header = Header::survey(&file, &granule_format::Limits::DEFAULT).header.unwrap();
        let end = (header.data_offset().max(header.table_end()) as usize).clamp(24, file.len());
        let all: Vec<u8> = (0..=255).collect();
        let values = if is_exhaustive() { &all[..] } else { EDGES };
        let most = if is_exhaustive() { usize::MAX } else { 400 };
        for at in 0..end.min(most) {
            let original = file[at];
            for value in values {
                file[at] = *value;
                let _ = examine(&file, &format_args!("{seed}: {value:#04x} at {at}"));
                tried += 1;
            }
            file[at] = original;
        }
    }
    println!("{tried} changes");
}

/// Boundary values in two places at once, wherever a length, a count or an offset may lie.
#[test]
fn pairs_of_numbers() {
    const NUMBERS: [u64; 6] = [0, 1, 1 << 31, 1 << 32, 1 << 63, u64::MAX];
    let seeds = if is_exhaustive() { SEEDS } else { &SEEDS[4..6] };
    let mut tried = 0_u64;
    for seed in seeds {
        let file = fs::read(fixtures().join(seed)).unwrap();
        let Ok(header) = Header::parse(&file) else { continue };
        let places = numbers(&file, &header);
        for (i, one) in places.iter().enumerate() {
            for two in &places[i + 1..] {
                for (first, second) in NUMBERS.iter().flat_map(|n| NUMBERS.map(|m| (*n, m))) {
                    let mut file = file.clone();
                    file[*one..][..8].copy_from_slice(&first.to_le_bytes());
                    file[*two..][..8].copy_from_slice(&second.to_le_bytes());
                    let _ = examine(
                        &file,
                        &format_args!("{seed}: {first} at {one}, {second} at {two}"),
                    );
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} pairs");
}

/// Where 64-bit numbers lie in a header: counts, lengths of keys, what follows the type of a value,
/// the parts of tensors' entries.
fn numbers(file: &[u8], header: &Header) -> Vec<usize> {
    let mut places = vec![8, 16];
    for span in header.entry_spans().iter().take(12) {
        places.extend([span.key as usize, span.value as usize + 4, span.value as usize + 8]);
    }
    for (tensor, at) in header.tensors().iter().zip(header.tensor_entry_offsets()).take(6) {
        let dimensions = *at as usize + 8 + tensor.name.len() + 4;
        let offset = dimensions + 8 * tensor.shape.dimensions().len() + 4;
        places.extend([*at as usize, offset]);
        places.extend((dimensions..offset - 4).step_by(8));
    }
    places.retain(|at| at + 8 <= file.len());
    places.sort_unstable();
    places.dedup();
    places
}
