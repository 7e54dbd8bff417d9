//! Runs that end early, and runs that continue them.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/memory.rs"]
mod memory;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use granule_convert::Error;
use granule_convert::run::{CHUNK_VALUES, Event, OutputFile, RunOptions, Summary, Target, run};
use granule_format::{BlockType, Draft, Endian, Metadata};
use memory::Memory;

const SHAPES: &[&[u64]] =
    &[&[256, 3000], &[32], &[64, 5, 7], &[512, 1000], &[0, 4], &[256, 1200], &[160, 1, 1, 2]];

/// All values of the shapes.
fn values() -> u64 {
    SHAPES.iter().map(|shape| shape.iter().product::<u64>()).sum()
}

fn files(paths: &[&Path], ty: BlockType) -> Vec<OutputFile> {
    let source = Memory::new(SHAPES);
    let file = |path: &&Path| {
        let mut draft = Draft::new(Metadata::new(), Endian::Little).unwrap();
        for tensor in &source.tensors {
            draft.add(&tensor.name, tensor.shape, ty.into()).unwrap();
        }
        OutputFile { path: path.to_path_buf(), draft }
    };
    paths.iter().map(file).collect()
}

fn convert(
    source: &Memory,
    paths: &[&Path],
    options: &RunOptions,
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Summary, Error> {
    let targets: Vec<_> = (0..paths.len())
        .flat_map(|file| (0..SHAPES.len()).map(move |i| (file, i)))
        .map(|(file, i)| Target { source: i, file, tensor: i, weights: None })
        .collect();
    run(source, files(paths, BlockType::Q4_0), &targets, options, on)
}

/// Notes every tensor as soon as it is complete.
fn options(resume: bool) -> RunOptions {
    let note_every = Some(Duration::ZERO);
    RunOptions { threads: Some(2), resume, note_every, ..RunOptions::default() }
}

/// Run until so many values are done.
fn interrupt(paths: &[&Path], after: u64, resume: bool) {
    let stop = Arc::new(AtomicBool::new(after == 0));
    let (threads, flag) = (Some(1), Some(Arc::clone(&stop)));
    let options = RunOptions { threads, stop: flag, ..options(resume) };
    let error = convert(&Memory::new(SHAPES), paths, &options, &|event| {
        if let Event::Progress { values } = event {
            stop.fetch_or(values >= after, Ordering::Relaxed);
        }
    })
    .unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
}

fn expected() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    convert(&Memory::new(SHAPES), &[&path], &options(false), &|_| ()).unwrap();
    fs::read(path).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const LEFT: [&str; 2] = [".model.gguf.part", ".model.gguf.resume"];

#[test]
fn an_interrupted_run_is_continued() {
    let expected = expected();
    let mut resumed = 0;
    for after in (0..values() - 4 * CHUNK_VALUES).step_by(CHUNK_VALUES as usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        fs::write(&path, "old").unwrap();
        interrupt(&[&path], after, false);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let source = Memory::new(SHAPES);
        let summary = convert(&source, &[&path], &options(true), &|_| ()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), expected);
        assert_eq!(names(folder.path()), ["model.gguf"]);
        assert_eq!(summary.values, source.read.into_inner());
        assert_eq!(summary.resumed > 0, summary.values < values(), "{summary:?}");
        resumed = resumed.max(summary.resumed);
    }
    assert!(resumed >= 3, "no run had anything to continue");
}

#[test]
fn a_run_can_be_interrupted_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut left = Vec::new();
    // the first tensor has 768,000 values; then come two small ones and one of 512,000 values
    for after in [768_000, 512_000] {
        interrupt(&[&path], after, true);
        assert_eq!(names(folder.path()), LEFT);
        let journal = fs::read_to_string(folder.path().join(LEFT[1])).unwrap();
        left.push(journal.lines().skip(1).map(str::to_owned).collect::<Vec<_>>());
    }
    assert_eq!(left, [&["0"][..], &["0", "1", "2", "3"]]);
    let summary = convert(&Memory::new(SHAPES), &[&path], &options(true), &|_| ()).unwrap();
    assert!(summary.values < values());
    assert_eq!(fs::read(&path).unwrap(), expected());
}

#[test]
fn a_failed_run_leaves_what_it_completed_only_if_it_was_to_be_resumable() {
    for resume in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        let mut source = Memory::new(SHAPES);
        source.bad = Some((5, 70_000, f32::NAN));
        let error = convert(&source, &[&path], &options(resume), &|_| ()).unwrap_err();
        assert!(matches!(error, Error::NotFinite { .. }), "{error}");
        assert_eq!(names(folder.path()), if resume { &LEFT[..] } else { &[] });
        source.bad = None;
        let summary = convert(&source, &[&path], &options(resume), &|_| ()).unwrap();
        assert_eq!(summary.resumed > 0, resume);
        assert_eq!(fs::read(&path).unwrap(), expected());
    }
}

#[test]
fn without_resume_what_is_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    interrupt(&[&path], values() / 2, false);
    assert_eq!(names(folder.path()), LEFT);
    let removed = AtomicU64::new(0);
    let summary = convert(&Memory::new(SHAPES), &[&path], &options(false), &|event| {
        if event == (Event::LeftoverRemoved { path: &path }) {
            removed.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!((summary.unwrap().values, removed.into_inner()), (values(), 1));
    assert_eq!(names(folder.path()), ["model.gguf"]);
    assert_eq!(fs::read(&path).unwrap(), expected());
}

#[test]
fn what_another_run_left_is_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    interrupt(&[&path], values() / 2, false);
    // the same file, but from another tensor of the same shape and type
    let mut source = Memory::new(SHAPES);
    source.tensors[0].name = "another".to_owned();
    let error = convert(&source, &[&path], &options(true), &|_| ()).unwrap_err();
    assert!(matches!(error, Error::OtherRun { .. }), "{error}");
    assert!(error.to_string().contains("--resume"), "{error}");
    assert_eq!(names(folder.path()), LEFT, "the work of the other run is lost");
    convert(&Memory::new(SHAPES), &[&path], &options(true), &|_| ()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), expected());
}

#[test]
fn damaged_leftovers_are_not_trusted() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("shorter", |part| {
            fs::OpenOptions::new().write(true).open(part).unwrap().set_len(999).unwrap()
        }),
        ("another header", |part| {
            let mut bytes = fs::read(part).unwrap();
            bytes[20] ^= 1;
            fs::write(part, bytes).unwrap();
        }),
        ("gone", |part| fs::remove_file(part).unwrap()),
        ("no journal", |part| fs::remove_file(part.with_extension("resume")).unwrap()),
        ("no journal of ours", |part| fs::write(part.with_extension("resume"), "x").unwrap()),
    ];
    for (name, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        interrupt(&[&path], values() / 2, false);
        damage(&folder.path().join(LEFT[0]));
        let summary = convert(&Memory::new(SHAPES), &[&path], &options(true), &|_| ()).unwrap();
        assert_eq!(summary.resumed, 0, "{name}");
        assert_eq!(fs::read(&path).unwrap(), expected(), "{name}");
        assert_eq!(names(folder.path()), ["model.gguf"], "{name}");
    }
}

#[test]
fn two_runs_for_one_file_at_a_time_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let source = Memory::new(SHAPES);
    convert(&source, &[&path], &options(false), &|event| {
        if event == Event::Finishing {
            for resume in [false, true] {
                let other = convert(&Memory::new(SHAPES), &[&path], &options(resume), &|_| ());
                assert!(matches!(other, Err(Error::Busy { .. })), "{other:?}");
            }
        }
    })
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), expected());
    let twice = convert(&source, &[&path, &path], &options(false), &|_| ());
    assert!(matches!(twice, Err(Error::OutputTwice { .. })), "{twice:?}");
    fs::create_dir(folder.path().join(LEFT[0])).unwrap();
    let blocked = convert(&source, &[&path], &options(false), &|_| ());
    assert!(matches!(blocked, Err(Error::InTheWay { .. })), "{blocked:?}");
}

#[test]
fn files_that_have_their_names_already_are_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["model.gguf", "second.gguf"].map(|name| folder.path().join(name));
    let paths: [&Path; 2] = [&first, &second];
    // the second file cannot get its name
    let block = |event: Event<'_>| {
        if event == Event::Finishing {
            fs::create_dir(&second).unwrap();
            fs::write(second.join("file"), "").unwrap();
        }
    };
    let error = convert(&Memory::new(SHAPES), &paths, &options(true), &block).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if *path == second), "{error}");
    let left: [PathBuf; 2] =
        [".model.gguf.resume", ".second.gguf.part"].map(|n| folder.path().join(n));
    assert!(left.iter().all(|path| path.exists()), "{:?}", names(folder.path()));
    fs::remove_dir_all(&second).unwrap();
    let source = Memory::new(SHAPES);
    let summary = convert(&source, &paths, &options(true), &|_| ()).unwrap();
    assert_eq!((summary.values, summary.resumed), (0, 2 * SHAPES.len()));
    for path in paths {
        assert_eq!(fs::read(path).unwrap(), expected());
    }
    assert_eq!(names(folder.path()), ["model.gguf", "second.gguf"]);
}
