//! Finished files are compared with their source.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "common/memory.rs"]
mod memory;

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

use granule_convert::plan::run_all;
use granule_convert::recipe::Split;
use granule_convert::run::RunOptions;
use granule_convert::verify::{SAMPLED_ROWS, verify};
use granule_convert::{Error, Plan, Recipe};
use granule_format::{BlockType, Endian};
use granule_reader::Model;
use memory::Memory;

const SHAPES: &[&[u64]] = &[&[256, 300], &[32], &[64, 5, 7], &[0, 4], &[160, 1, 1, 2]];

/// Tensors that are quantized: the values of others are copied.
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
        Plan::as_is(&source, &split).unwrap(),
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
        let row_bytes = tensor.info().bytes().unwrap() / tensor.rows();
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
