//! Tests of runs: the bytes do not depend on threads, and a failed run leaves nothing.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::memory::Memory;
use granule_convert::Error;
use granule_convert::run::{Event, OutputFile, RunOptions, Summary, Target, run};
use granule_encode::{Effort, encode_rows};
use granule_format::{BlockType, Draft, Endian, Metadata};
use granule_reader::Model;
use granule_reader::isa::Isa;

/// Converts all tensors to `ty` in one file at `path`.
fn convert(source: &Memory, path: &Path, ty: BlockType, threads: usize) -> Result<Summary, Error> {
    convert_to(source, vec![file(source, path, ty)], None, threads)
}

fn file(source: &Memory, path: &Path, ty: BlockType) -> OutputFile {
    let mut draft = Draft::new(Metadata::new(), Endian::Little).unwrap();
    for tensor in &source.tensors {
        draft.add(&tensor.name, tensor.shape, ty.into()).unwrap();
    }
    OutputFile { path: path.to_owned(), draft }
}

fn convert_to(
    source: &Memory,
    files: Vec<OutputFile>,
    weights: Option<&[f32]>,
    threads: usize,
) -> Result<Summary, Error> {
    let targets: Vec<_> = (0..files.len())
        .flat_map(|file| (0..source.tensors.len()).map(move |i| (file, i)))
        .map(|(file, i)| Target {
            source: i,
            file,
            tensor: i,
            weights,
            effort: Effort::Reference,
            calibrated: false,
        })
        .collect();
    let options = RunOptions { threads: Some(threads), ..RunOptions::default() };
    run(source, files, &targets, &options, &|_| ())
}

const SHAPES: &[&[u64]] =
    &[&[256, 3000], &[32], &[64, 5, 7], &[512, 1000], &[0, 4], &[160, 1, 1, 2]];

#[test]
fn the_bytes_are_those_of_the_encoder_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let source = Memory::new(SHAPES);
    for threads in [1, 2, 7] {
        let path = folder.path().join(format!("{threads}.gguf"));
        let summary = convert(&source, &path, BlockType::Q4_0, threads).unwrap();
        assert_eq!(summary.files, [(path.clone(), fs::metadata(&path).unwrap().len())]);
        let model = Model::open(&path).unwrap();
        for (i, tensor) in source.tensors.iter().enumerate() {
            let rows = tensor.shape.rows().unwrap();
            let values = source.values(i, 0..rows);
            let mut expected = vec![0; values.len() / 32 * 18];
            if !values.is_empty() {
                let row = tensor.shape.row() as usize;
                encode_rows(Isa::SCALAR, BlockType::Q4_0, &values, row, None, &mut expected)
                    .unwrap();
            }
            assert_eq!(
                model.tensor_at(i).read_rows(0..rows as usize).unwrap(),
                expected,
                "{tensor:?}"
            );
        }
    }
}

#[test]
fn several_files_are_written_in_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let source = Memory::new(SHAPES);
    let types = [BlockType::Q4_0, BlockType::F32, BlockType::Q8_0];
    let path = |name: &str| folder.path().join(name);
    let files = types.map(|ty| file(&source, &path(ty.name()), ty));
    let reads = AtomicU64::new(0);
    let targets: Vec<_> = (0..3)
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
    let summary = run(&source, files.to_vec(), &targets, &RunOptions::default(), &|event| {
        if let Event::Progress { values } = event {
            reads.fetch_max(values, Ordering::Relaxed);
        }
    })
    .unwrap();
    let values: u64 = source.tensors.iter().map(|tensor| tensor.shape.values().unwrap()).sum();
    assert_eq!((summary.values, reads.into_inner()), (values, values));
    for ty in types {
        let alone = path("alone");
        convert(&source, &alone, ty, 2).unwrap();
        assert_eq!(fs::read(path(ty.name())).unwrap(), fs::read(&alone).unwrap(), "{ty}");
    }
}

#[test]
fn each_matrix_has_its_own_weights() {
    let folder = tempfile::tempdir().unwrap();
    // twice, for the fourth dimension
    let source = Memory::new(&[&[64, 5, 3, 2]]);
    let weights: Vec<f32> = (0..64 * 3).map(|i| 1.0 + (i % 13) as f32 * (i / 64) as f32).collect();
    let path = folder.path().join("out.gguf");
    convert_to(&source, vec![file(&source, &path, BlockType::Q4_0)], Some(&weights), 2).unwrap();
    let model = Model::open(&path).unwrap();
    let mut plain = Vec::new();
    for matrix in 0..6 {
        let rows = 5 * matrix..5 * (matrix + 1);
        let values = source.values(0, rows.clone());
        let weights = &weights[64 * (matrix as usize % 3)..][..64];
        let mut expected = vec![0; 5 * 2 * 18];
        for (weights, out) in [(None, &mut plain), (Some(weights), &mut expected)] {
            out.resize(5 * 2 * 18, 0);
            encode_rows(Isa::SCALAR, BlockType::Q4_0, &values, 64, weights, out).unwrap();
        }
        let rows = rows.start as usize..rows.end as usize;
        assert_eq!(model.tensor_at(0).read_rows(rows).unwrap(), expected);
        assert_ne!(plain, expected, "the weights of matrix {matrix} must matter");
    }
}

#[test]
fn a_failed_run_leaves_the_folder_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.gguf");
    fs::write(&path, "what was there before").unwrap();
    for (threads, value) in [(1, f32::NAN), (2, f32::INFINITY), (7, f32::NAN)] {
        let mut source = Memory::new(SHAPES);
        source.bad = Some((3, 512 * 300 + 17, value));
        let error = convert(&source, &path, BlockType::Q4_0, threads).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "tensor \"tensor 3\", row 300, column 17: the value is {value}; only finite values \
                 can be encoded"
            )
        );
        assert_eq!(fs::read(&path).unwrap(), b"what was there before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
    }
}

#[test]
fn copied_tensors_are_looked_at_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = Memory::new(SHAPES);
    source.bad = Some((0, 256 * 40 + 2, f32::NEG_INFINITY));
    let error = convert(&source, &folder.path().join("out"), BlockType::F32, 2).unwrap_err();
    assert!(matches!(error, Error::Defect { row: 40, block: 2, .. }), "{error}");
}

#[test]
fn values_beyond_the_range_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = Memory::new(SHAPES);
    source.bad = Some((2, 64 * 6 + 33, 1e6));
    let error = convert(&source, &folder.path().join("out"), BlockType::F16, 2).unwrap_err();
    assert!(
        matches!(error, Error::Range { row: 6, column: 33, value: 1e6, ty: BlockType::F16, .. }),
        "{error}"
    );
    let said = error.to_string();
    assert!(said.contains("65504") && said.contains("BF16"), "{said}");
    assert!(!said.contains("damaged"), "{said}");
}

#[test]
fn what_can_be_known_is_said_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let source = Memory::new(SHAPES);
    let to = |path: &Path| convert(&source, path, BlockType::Q4_0, 1).unwrap_err();
    assert!(matches!(to(&folder.path().join("none/out.gguf")), Error::NoFolder { .. }));
    assert!(matches!(to(folder.path()), Error::OutputIsSpecial { .. }));
    let huge = Memory::new(&[&[1 << 20, 1 << 35]]);
    let error = convert(&huge, &folder.path().join("out"), BlockType::F32, 1).unwrap_err();
    assert!(matches!(error, Error::Space { .. }), "{error}");
}
