//! Tests of runs that end early, and of runs that continue them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::memory::Memory;
use granule_convert::Error;
use granule_convert::run::{CHUNK_VALUES, Event, OutputFile, RunOptions, Summary, Target, run};
use granule_encode::Effort;
use granule_format::{BlockType, Draft, Endian, Metadata};

const SHAPES: &[&[u64]] =
    &[&[256, 3000], &[32], &[64, 5, 7], &[512, 1000], &[0, 4], &[256, 1200], &[160, 1, 1, 2]];

/// Returns the number of values of all shapes.
fn values() -> u64 {
    SHAPES.iter().map(|shape| shape.iter().product::<u64>()).sum()
}

fn files(source: &Memory, paths: &[&Path], ty: BlockType) -> Vec<OutputFile> {
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
        .map(|(file, i)| Target {
            source: i,
            file,
            tensor: i,
            weights: None,
            effort: Effort::Reference,
            calibrated: false,
        })
        .collect();
    run(source, files(source, paths, BlockType::Q4_0), &targets, options, on)
}

/// Returns options that record every tensor as soon as it is complete.
fn options() -> RunOptions {
    RunOptions { threads: Some(2), note_every: Some(Duration::ZERO), ..RunOptions::default() }
}

/// Runs until this many values are written.
fn interrupt(paths: &[&Path], after: u64) {
    let stop = Arc::new(AtomicBool::new(after == 0));
    let (threads, flag) = (Some(1), Some(Arc::clone(&stop)));
    let options = RunOptions { threads, stop: flag, ..options() };
    let error = convert(&Memory::new(SHAPES), paths, &options, &|event| {
        if let Event::Progress { values } = event {
            stop.fetch_or(values >= after, Ordering::Relaxed);
        }
    })
    .unwrap_err();
    let left = names(paths[0].parent().unwrap()).iter().any(|name| name.ends_with(".resume"));
    assert!(matches!(error, Error::Interrupted { kept } if kept == left), "{error}");
}

fn expected() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    convert(&Memory::new(SHAPES), &[&path], &options(), &|_| ()).unwrap();
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
        interrupt(&[&path], after);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let source = Memory::new(SHAPES);
        let summary = convert(&source, &[&path], &options(), &|_| ()).unwrap();
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
    // the first tensor has 768,000 values, followed by two small ones and one of 512,000 values
    for after in [768_000, 512_000] {
        interrupt(&[&path], after);
        assert_eq!(names(folder.path()), LEFT);
        let journal = fs::read_to_string(folder.path().join(LEFT[1])).unwrap();
        left.push(journal.lines().skip(1).map(str::to_owned).collect::<Vec<_>>());
    }
    assert_eq!(left, [&["0"][..], &["0", "1", "2", "3"]]);
    let summary = convert(&Memory::new(SHAPES), &[&path], &options(), &|_| ()).unwrap();
    assert!(summary.values < values());
    assert_eq!(fs::read(&path).unwrap(), expected());
}

#[test]
fn a_failed_run_leaves_nothing_unless_it_continues_another() {
    for continues in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        if continues {
            interrupt(&[&path], 800_000);
        }
        let mut source = Memory::new(SHAPES);
        source.bad = Some((5, 70_000, f32::NAN));
        let error = convert(&source, &[&path], &options(), &|_| ()).unwrap_err();
        assert!(matches!(error, Error::NotFinite { .. }), "{error}");
        assert_eq!(names(folder.path()), if continues { &LEFT[..] } else { &[] });
        source.bad = None;
        let summary = convert(&source, &[&path], &options(), &|_| ()).unwrap();
        assert_eq!(summary.resumed > 0, continues);
        assert_eq!(fs::read(&path).unwrap(), expected());
    }
}

#[test]
fn a_rerun_says_what_it_continues() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let said = Mutex::new(Vec::new());
    let on = |event: Event<'_>| {
        if let Event::Continued { complete, tensors } = event {
            said.lock().unwrap().push((complete, tensors));
        }
    };
    // the first tensor and the two small ones after it
    interrupt(&[&path], 800_000);
    let summary = convert(&Memory::new(SHAPES), &[&path], &options(), &on).unwrap();
    assert_eq!(*said.lock().unwrap(), [(summary.resumed, SHAPES.len())]);
    assert!(summary.resumed > 0);
    convert(&Memory::new(SHAPES), &[&path], &options(), &on).unwrap();
    assert_eq!(said.lock().unwrap().len(), 1, "a run that begins anew continues nothing");
}

#[test]
fn a_restart_discards_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    interrupt(&[&path], values() / 2);
    assert_eq!(names(folder.path()), LEFT);
    let removed = AtomicU64::new(0);
    let restart = RunOptions { restart: true, ..options() };
    let summary = convert(&Memory::new(SHAPES), &[&path], &restart, &|event| {
        if event == (Event::LeftoverRemoved { path: &path }) {
            removed.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!((summary.unwrap().values, removed.into_inner()), (values(), 1));
    assert_eq!(names(folder.path()), ["model.gguf"]);
    assert_eq!(fs::read(&path).unwrap(), expected());
}

/// A run in which one thing can be changed.
struct Changed {
    source: Memory,
    metadata: Metadata,
    ty: BlockType,
    endian: Endian,
    weights: Option<Vec<f32>>,
    effort: Effort,
}

impl Changed {
    fn run(&self, path: &Path, options: &RunOptions) -> Result<Summary, Error> {
        let mut draft = Draft::new(self.metadata.clone(), self.endian).unwrap();
        for tensor in &self.source.tensors {
            draft.add(&tensor.name, tensor.shape, self.ty.into()).unwrap();
        }
        let target = |i| Target {
            source: i,
            file: 0,
            tensor: i,
            weights: self.weights.as_deref(),
            effort: self.effort,
            calibrated: false,
        };
        let targets: Vec<_> = (0..self.source.tensors.len()).map(target).collect();
        let count = AtomicU64::new(0);
        run(
            &self.source,
            vec![OutputFile { path: path.to_owned(), draft }],
            &targets,
            options,
            &|e| {
                if matches!(e, Event::Tensor { .. }) && count.fetch_add(1, Ordering::Relaxed) == 2 {
                    let stop = options.stop.iter();
                    stop.for_each(|stop| stop.store(true, Ordering::Relaxed));
                }
            },
        )
    }
}

/// Changes one thing that affects the bytes, and nothing else: the run is refused, and the error
/// names the change.
#[test]
fn what_another_run_left_is_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let origin = folder.path().join("origin");
    fs::write(&origin, "one").unwrap();
    let begun = || {
        let mut source = Memory::new(&[&[64, 30], &[64, 30], &[64, 30], &[64, 30]]);
        source.files = vec![origin.clone()];
        let (metadata, ty, endian) = (Metadata::new(), BlockType::Q4_0, Endian::Little);
        Changed { source, metadata, ty, endian, weights: None, effort: Effort::Reference }
    };
    let one_thread = RunOptions { threads: Some(1), ..options() };
    let stopped = || RunOptions { stop: Some(Arc::default()), ..one_thread.clone() };
    let interrupt = || {
        let error = begun().run(&path, &stopped()).unwrap_err();
        assert!(matches!(error, Error::Interrupted { kept: true }), "{error}");
    };
    interrupt();
    let left = || LEFT.map(|name| fs::read(folder.path().join(name)).unwrap());
    let before = left();

    type Change = fn(&mut Changed);
    let changes: [(&str, Change); 10] = [
        ("the selection, arrangement or transformation", |run| run.source.reading = 1),
        ("the selection, arrangement or transformation", |run| run.source.tensors.swap(0, 1)),
        ("the metadata", |run| run.metadata.set("general.name", "another")),
        ("the names, shapes, types or byte order", |run| run.ty = BlockType::Q4_1),
        ("the names, shapes, types or byte order", |run| run.endian = Endian::Big),
        ("the importance weights", |run| run.weights = Some(vec![1.0; 64])),
        ("the effort", |run| run.effort = Effort::Search),
        ("the source files", |run| {
            let path = run.source.files[0].clone();
            let changed = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "two").unwrap();
            // sets the time back, as if nothing had happened
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(changed).unwrap();
        }),
        ("the source files", |run| {
            let longer = run.source.files[0].with_extension("longer");
            fs::write(&longer, "longer").unwrap();
            run.source.files = vec![longer];
        }),
        ("the version or build", |run| {
            let journal = run.source.files[0].with_file_name(LEFT[1]);
            let text = fs::read_to_string(&journal).unwrap();
            let (head, rest) = text.split_once("build=").unwrap();
            let other = if rest.starts_with('0') { "1" } else { "0" };
            fs::write(journal, format!("{head}build={other}{}", &rest[1..])).unwrap();
        }),
    ];
    for (number, (name, change)) in changes.iter().enumerate() {
        let mut run = begun();
        change(&mut run);
        if cfg!(not(unix)) && number == 7 {
            continue; // only the time shows it
        }
        let error = run.run(&path, &one_thread).unwrap_err();
        let Error::OtherRun { differs, .. } = &error else { panic!("{number}: {error}") };
        let swapped = number == 1; // the names of two tensors as well
        assert_eq!(differs.len(), if swapped { 2 } else { 1 }, "{number}: {error}");
        assert!(differs[0].starts_with(name), "{number}: {error}");
        let message = error.to_string();
        assert!(message.contains(name) && message.contains("--restart"), "{message}");
        if number < 7 {
            assert_eq!(left(), before, "the work of the other run is lost");
            let error = run.run(&path, &one_thread).unwrap_err();
            assert!(matches!(error, Error::OtherRun { .. }), "asking twice helps");
        } else {
            fs::write(&origin, "one").unwrap();
            let restart = RunOptions { restart: true, ..stopped() };
            begun().run(&path, &restart).unwrap_err();
        }
    }
    let summary = begun().run(&path, &one_thread).unwrap();
    assert!(summary.resumed > 0);
    let alone = folder.path().join("alone");
    begun().run(&alone, &one_thread).unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(alone).unwrap());
}

/// If one of several outputs cannot be continued, none is touched.
#[test]
fn one_of_several_outputs_that_is_of_another_run_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["a.gguf", "b.gguf"].map(|name| folder.path().join(name));
    interrupt(&[&first], values() / 2);
    interrupt(&[&second], values() / 2);
    let mut source = Memory::new(SHAPES);
    source.reading = 1;
    let error = convert(&source, &[&folder.path().join("c.gguf"), &second], &options(), &|_| ());
    assert!(matches!(&error, Err(Error::OtherRun { path, .. }) if *path == second), "{error:?}");
    let left = [".a.gguf.part", ".a.gguf.resume", ".b.gguf.part", ".b.gguf.resume"];
    assert_eq!(names(folder.path()), left);
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
        interrupt(&[&path], values() / 2);
        damage(&folder.path().join(LEFT[0]));
        let summary = convert(&Memory::new(SHAPES), &[&path], &options(), &|_| ()).unwrap();
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
    convert(&source, &[&path], &options(), &|event| {
        if event == Event::Finishing {
            for restart in [false, true] {
                let options = RunOptions { restart, ..options() };
                let other = convert(&Memory::new(SHAPES), &[&path], &options, &|_| ());
                assert!(matches!(other, Err(Error::Busy { .. })), "{other:?}");
            }
        }
    })
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), expected());
    let twice = convert(&source, &[&path, &path], &options(), &|_| ());
    assert!(matches!(twice, Err(Error::OutputTwice { .. })), "{twice:?}");
    fs::create_dir(folder.path().join(LEFT[0])).unwrap();
    let blocked = convert(&source, &[&path], &options(), &|_| ());
    assert!(matches!(blocked, Err(Error::InTheWay { .. })), "{blocked:?}");
}

#[test]
fn files_that_have_their_names_already_are_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["model.gguf", "second.gguf"].map(|name| folder.path().join(name));
    let paths: [&Path; 2] = [&first, &second];
    // the second file cannot get its final name
    let block = |event: Event<'_>| {
        if event == Event::Finishing {
            fs::create_dir(&second).unwrap();
            fs::write(second.join("file"), "").unwrap();
        }
    };
    let error = convert(&Memory::new(SHAPES), &paths, &options(), &block).unwrap_err();
    assert!(matches!(&error, Error::OutputIsSpecial { path, .. } if *path == second), "{error}");
    let left: [PathBuf; 2] =
        [".model.gguf.resume", ".second.gguf.part"].map(|n| folder.path().join(n));
    assert!(left.iter().all(|path| path.exists()), "{:?}", names(folder.path()));
    fs::remove_dir_all(&second).unwrap();
    let source = Memory::new(SHAPES);
    let summary = convert(&source, &paths, &options(), &|_| ()).unwrap();
    assert_eq!((summary.values, summary.resumed), (0, 2 * SHAPES.len()));
    for path in paths {
        assert_eq!(fs::read(path).unwrap(), expected());
    }
    assert_eq!(names(folder.path()), ["model.gguf", "second.gguf"]);
}
