//! Tests of the comparison of finished files with their source.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::memory::Memory;
use granule_convert::plan::run_all;
use granule_convert::recipe::Split;
use granule_convert::run::{Event, RunOptions, Summary};
use granule_convert::verify::{Cause, SAMPLED_ROWS, verify};
use granule_convert::{Error, Plan, Recipe};
use granule_format::{BlockType, Endian};
use granule_reader::Model;

const SHAPES: &[&[u64]] = &[&[256, 300], &[32], &[64, 5, 7], &[0, 4], &[160, 1, 1, 2]];

/// Returns tensors that are quantized; the values of others are copied.
fn source() -> Memory {
    let mut source = Memory::new(SHAPES);
    for (index, tensor) in source.tensors.iter_mut().enumerate() {
        tensor.name = format!("blk.{index}.ffn_up.weight");
    }
    source
}

fn plan(source: &Memory, file_type: &str) -> Plan {
    Plan::new(source, &Recipe::new(file_type.parse().unwrap()), None).unwrap()
}

fn make(source: &Memory, plan: &Plan, path: &Path) {
    run_all(source, &[(plan, path)], None, &RunOptions::default(), &|_| ()).unwrap();
}

#[test]
fn what_was_written_is_what_the_source_says() {
    let folder = tempfile::tempdir().unwrap();
    let source = source();
    let tensors = Some(NonZeroU64::new(2).unwrap());
    let split = Split { max_tensors: tensors, ..Split::NONE };
    let plans = [
        plan(&source, "Q4_0"),
        plan(&source, "Q8_0").with_endian(Endian::Big),
        plan(&source, "F16"),
        Plan::as_is(&source, &split, false).unwrap(),
    ];
    for (number, plan) in plans.iter().enumerate() {
        let path = folder.path().join(format!("{number}.gguf"));
        make(&source, plan, &path);
        let verified = verify(&source, &[(plan, &path)], None, Some(2)).unwrap();
        assert_eq!(verified.tensors, SHAPES.len());
        assert_eq!(verified.rows, SAMPLED_ROWS + 1 + SAMPLED_ROWS + 4 + 2);
        let error = |ty| verified.errors.get(&ty).map_or(0.0, |loss| loss.relative());
        match number {
            0 => assert!((0.05..0.15).contains(&error(BlockType::Q4_0)), "{verified:?}"),
            1 => assert!((0.002..0.01).contains(&error(BlockType::Q8_0)), "{verified:?}"),
            2 => assert!(error(BlockType::F16) < 0.001, "{verified:?}"),
            _ => assert!(verified.errors.is_empty()),
        }
    }
}

#[test]
fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let source = source();
    let path = folder.path().join("model.gguf");
    let plan = plan(&source, "Q4_0");
    make(&source, &plan, &path);
    let whole = fs::read(&path).unwrap();
    let model = Model::open(&path).unwrap();
    for (index, row, in_sample) in [(0, 0, true), (0, 299, true), (0, 1, false), (2, 34, true)] {
        let tensor = model.tensor_at(index);
        let row_bytes = tensor.info().bytes().unwrap() / tensor.rows() as u64;
        let mut bytes = whole.clone();
        let at =
            model.shards()[0].header().data_offset() + tensor.info().offset + row * row_bytes + 3;
        bytes[at as usize] ^= 1;
        fs::write(&path, bytes).unwrap();
        let found = verify(&source, &[(&plan, &path)], None, None);
        match found {
            Err(Error::Differs { tensor: name, row: Some(found), .. }) if in_sample => {
                assert_eq!((name.as_str(), found), (tensor.name(), row));
            }
            Ok(_) => assert!(!in_sample, "row {row} of tensor {index}"),
            other => panic!("{other:?}"),
        }
    }
    make(&source, &self::plan(&source, "Q8_0"), &path);
    let found = verify(&source, &[(&plan, &path)], None, None).unwrap_err();
    assert!(matches!(found, Error::Differs { row: None, .. }), "{found}");
}

/// Runs plans with `--verify`; `at` is called when the files are complete under their temporary
/// names.
fn make_verified(
    source: &Memory,
    plans: &[(&Plan, &Path)],
    options: RunOptions,
    at: &(dyn Fn() + Sync),
) -> Result<Summary, Error> {
    let options = RunOptions { verify: true, threads: Some(1), ..options };
    run_all(source, plans, None, &options, &|event| {
        if event == Event::Verifying {
            at();
        }
    })
}

/// Changes a byte of the last tensor of an unfinished file.
fn damage(path: &Path) {
    let name = format!(".{}.part", path.file_name().unwrap().to_str().unwrap());
    let part = path.with_file_name(name);
    let mut bytes = fs::read(&part).unwrap();
    // before the padding
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last] ^= 1;
    fs::write(part, bytes).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_does_not_verify_gets_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let source = source();
    let (small, large) = (plan(&source, "Q4_0"), plan(&source, "Q8_0").with_endian(Endian::Big));
    let [first, second] = ["first.gguf", "second.gguf"].map(path);
    fs::write(&first, "old").unwrap();
    let plans = [(&small, first.as_path()), (&large, second.as_path())];
    for bad in [&first, &second] {
        let made = make_verified(&source, &plans, RunOptions::default(), &|| {
            assert_eq!(fs::read(&first).unwrap(), b"old", "verified too late");
            damage(bad);
        });
        let Err(Error::Differs { path, cause, .. }) = &made else { panic!("{made:?}") };
        assert_eq!(path, bad);
        assert_eq!(*cause, Cause::Written { continued: false, changed: None });
        let message = made.unwrap_err().to_string();
        assert!(message.contains("memory or the disk") && message.contains("nothing was replaced"));
        assert_eq!(names(folder.path()), ["first.gguf"], "{message}");
        assert_eq!(fs::read(&first).unwrap(), b"old");
    }
    let summary = make_verified(&source, &plans, RunOptions::default(), &|| ()).unwrap();
    let verified = summary.verified.unwrap();
    assert_eq!(verified, verify(&source, &plans, None, None).unwrap());
    assert_eq!(verified.tensors, 2 * SHAPES.len());
    assert_eq!(names(folder.path()), ["first.gguf", "second.gguf"]);
}

#[test]
fn a_damaged_header_does_not_verify() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let source = source();
    let made =
        make_verified(&source, &[(&plan(&source, "Q4_0"), &path)], RunOptions::default(), &|| {
            let part = folder.path().join(".model.gguf.part");
            let mut bytes = fs::read(&part).unwrap();
            bytes[30] ^= 1;
            fs::write(part, bytes).unwrap();
        });
    assert!(matches!(made, Err(Error::Differs { row: None, .. })), "{made:?}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn the_cause_is_told_where_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let origin: PathBuf = folder.path().join("origin");
    fs::write(&origin, "one").unwrap();
    let mut source = source();
    source.files = vec![origin.clone()];
    let plan = plan(&source, "Q4_0");
    let plans = [(&plan, path.as_path())];

    let made = make_verified(&source, &plans, RunOptions::default(), &|| {
        damage(&path);
        fs::write(&origin, "other").unwrap();
    });
    let message = made.unwrap_err().to_string();
    assert!(message.contains("origin changed during the run"), "{message}");

    // stopped while verifying: everything is complete, and is then damaged
    let stop = Arc::new(AtomicBool::new(false));
    let note_every = Some(Duration::ZERO);
    let options = RunOptions { stop: Some(Arc::clone(&stop)), note_every, ..RunOptions::default() };
    let stopped = make_verified(&source, &plans, options, &|| stop.store(true, Ordering::Relaxed));
    assert!(matches!(stopped, Err(Error::Interrupted { kept: true })), "{stopped:?}");
    let left = fs::read(folder.path().join(".model.gguf.part")).unwrap();
    damage(&path);
    let made = make_verified(&source, &plans, RunOptions::default(), &|| ());
    let Err(Error::Differs { cause: Cause::Written { continued: true, changed: None }, .. }) = made
    else {
        panic!("{made:?}")
    };
    let message = made.unwrap_err().to_string();
    assert!(message.contains("an interrupted run had left"), "{message}");
    assert_eq!(names(folder.path()), ["origin"], "it is known to be wrong");

    let summary = make_verified(&source, &plans, RunOptions::default(), &|| ()).unwrap();
    assert_eq!(summary.resumed, 0);
    assert_eq!(fs::read(&path).unwrap(), left);
}
