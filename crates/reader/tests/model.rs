//! The ways of opening a file give the same tensors, and what does not fit is an error.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use granule_reader::format::container::{SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS, ShardName};
use granule_reader::format::{
    BlockType, Draft, Endian, ErrorKind, Limits, Metadata, Shape, Writer,
};
use granule_reader::{Error, Model, OpenOptions, ReadAt, SetFault, Tensor, Unsupported};

/// A file with these tensors; the bytes of each are 0, 1, 2, ...
fn file(metadata: Metadata, endian: Endian, tensors: &[(&str, &[u64], BlockType)]) -> Vec<u8> {
    let mut draft = Draft::new(metadata, endian).unwrap();
    for (name, dimensions, ty) in tensors {
        draft.add(name, Shape::new(dimensions).unwrap(), (*ty).into()).unwrap();
    }
    let infos = draft.tensors().to_vec();
    let mut writer = Writer::start(Vec::new(), draft).unwrap();
    for info in infos {
        let mut bytes: Vec<u8> = (0..info.bytes().unwrap()).map(|i| (i % 120) as u8).collect();
        if endian == Endian::Big {
            info.ty.known().unwrap().swap_bytes(&mut bytes);
        }
        let mut data = writer.tensor(&info.name).unwrap();
        data.write_all(&bytes).unwrap();
        data.finish().unwrap();
    }
    writer.finish().unwrap()
}

const TENSORS: &[(&str, &[u64], BlockType)] = &[
    ("norm", &[5], BlockType::F32),
    ("half", &[6, 3], BlockType::F16),
    ("blk.0.w", &[64, 4, 2], BlockType::Q4_0),
    ("blk.1.w", &[256, 3], BlockType::Q4_K),
];

fn decode_all(model: &Model) -> Vec<(String, Vec<u32>)> {
    let decode = |tensor: Tensor<'_>| {
        let values = tensor.to_vec().unwrap();
        let bits = values.iter().map(|value: &f32| value.to_bits()).collect();
        (tensor.name().to_owned(), bits)
    };
    model.tensors().map(decode).collect()
}

/// A storage that lends nothing.
struct OnlyReads(Vec<u8>);

impl ReadAt for OnlyReads {
    fn read_exact_at(&self, out: &mut [u8], start: u64) -> io::Result<()> {
        self.0.read_exact_at(out, start)
    }

    fn len(&self) -> io::Result<u64> {
        ReadAt::len(&self.0)
    }
}

fn map(path: &Path) -> Result<Model, Error> {
    // SAFETY: the tests do not change the files that they map.
    unsafe { Model::map(path) }
}

#[test]
fn three_ways_and_both_byte_orders_agree() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for endian in [Endian::Little, Endian::Big] {
        let path = folder.path().join("model.gguf");
        let bytes = file(Metadata::new(), endian, TENSORS);
        fs::write(&path, &bytes).unwrap();
        seen.push(decode_all(&Model::open(&path).unwrap()));
        seen.push(decode_all(&map(&path).unwrap()));
        seen.push(decode_all(&Model::from_bytes(bytes).unwrap()));
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(seen[0].len(), TENSORS.len());
    for other in &seen[1..] {
        assert_eq!(&seen[0], other);
    }
}

#[test]
fn a_range_of_rows_is_that_part_of_the_tensor() {
    let model = Model::from_bytes(file(Metadata::new(), Endian::Little, TENSORS)).unwrap();
    let tensor = model.tensor("blk.0.w").unwrap();
    assert_eq!((tensor.row_values(), tensor.rows()), (64, 8));
    let mut whole = vec![0.0; 64 * 8];
    tensor.decode_rows(0..8, &mut whole).unwrap();
    let mut part = vec![0.0; 64 * 3];
    tensor.decode_rows(4..7, &mut part).unwrap();
    assert_eq!(part, whole[64 * 4..64 * 7]);
    tensor.decode_rows(8..8, &mut []).unwrap();
    assert_eq!(tensor.bytes().unwrap().len(), 8 * 36);
    assert_eq!(tensor.read_rows(1..2).unwrap(), &tensor.bytes().unwrap()[36..72]);
}

#[test]
fn limits_hold_for_every_way_of_opening() {
    let long = "n".repeat(65);
    let bytes = file(Metadata::new(), Endian::Little, &[(&long, &[32], BlockType::Q4_0)]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, &bytes).unwrap();
    type Open<'o> = &'o dyn Fn(OpenOptions) -> Result<Model, Error>;
    let ways: [(&str, Open<'_>); 6] = [
        ("open", &|options| options.open(&path)),
        ("alone", &|options| options.alone(true).open(&path)),
        // SAFETY: the test does not change the file that it maps.
        ("map", &|options| unsafe { options.map(&path) }),
        ("bytes", &|options| options.bytes(bytes.clone())),
        ("storage", &|options| options.storage(OnlyReads(bytes.clone()))),
        ("shards", &|options| options.shards([bytes.clone()])),
    ];
    for (way, open) in ways {
        let error = open(Model::options()).unwrap_err();
        let Error::Format { source, .. } = &error else { panic!("{way}: {error}") };
        assert_eq!(source.kind, ErrorKind::LongName { bytes: 65, most: 64 }, "{way}");
        let limits = Limits::DEFAULT.with_tensor_name_bytes(65);
        let model = open(Model::options().limits(limits)).unwrap();
        assert!(model.tensor(&long).is_some(), "{way}");
    }
}

#[test]
fn bytes_of_any_owner_can_be_opened() {
    let bytes = file(Metadata::new(), Endian::Little, TENSORS);
    let expected = decode_all(&Model::from_bytes(bytes.clone()).unwrap());
    let shared: Arc<[u8]> = bytes.clone().into();
    assert_eq!(decode_all(&Model::from_bytes(shared).unwrap()), expected);
    let forever: &'static [u8] = bytes.leak();
    let model = Model::from_bytes(forever).unwrap();
    assert_eq!(decode_all(&model), expected);
    assert_eq!((model.shards()[0].path(), model.shards()[0].bytes()), (None, Some(forever)));
}

#[test]
fn every_storage_gives_the_same_tensors() {
    let bytes = file(Metadata::new(), Endian::Little, TENSORS);
    let expected = decode_all(&Model::from_bytes(bytes.clone()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, &bytes).unwrap();
    let forever: &'static [u8] = bytes.clone().leak();
    let shared: Arc<[u8]> = bytes.clone().into();
    let dynamic: Box<dyn ReadAt> = Box::new(shared.clone());
    let lent = [true, true, true, true, false, false];
    let models = [
        Model::from_storage(bytes.clone()),
        Model::from_storage(forever),
        Model::from_storage(shared),
        Model::from_storage(dynamic),
        Model::from_storage(fs::File::open(&path).unwrap()),
        Model::from_storage(OnlyReads(bytes)),
    ];
    for (model, lent) in models.into_iter().zip(lent) {
        let model = model.unwrap();
        assert_eq!(decode_all(&model), expected);
        assert_eq!(model.tensor_at(1).bytes().is_some(), lent);
    }
}

#[test]
fn tensors_are_walked_from_both_ends() {
    let model = Model::from_bytes(file(Metadata::new(), Endian::Little, TENSORS)).unwrap();
    let names: Vec<_> = TENSORS.iter().map(|(name, ..)| *name).collect();
    assert_eq!((&model).into_iter().map(Tensor::name).collect::<Vec<_>>(), names);
    let mut tensors = model.tensors();
    assert_eq!(tensors.len(), 4);
    assert_eq!(tensors.next_back().map(Tensor::name), Some(names[3]));
    assert_eq!(
        tensors.clone().rev().map(Tensor::name).collect::<Vec<_>>(),
        ["blk.0.w", "half", "norm"]
    );
    assert_eq!((tensors.nth(1).map(Tensor::name), tensors.len()), (Some(names[1]), 1));
}

#[test]
fn rows_that_cannot_be_counted_are_not_supported() {
    // no values, but four times 2^62 rows, of a type whose size nobody can check
    let tensors: &[(&str, &[u64], _)] = &[("huge", &[0, 77, 4], BlockType::F32)];
    let mut bytes = file(Metadata::new(), Endian::Little, tensors);
    let dimension = bytes.windows(8).position(|bytes| bytes == 77_u64.to_le_bytes()).unwrap();
    bytes[dimension..][..8].copy_from_slice(&(1_u64 << 62).to_le_bytes());
    bytes[dimension + 16..][..4].copy_from_slice(&999_u32.to_le_bytes());
    let error = Model::from_bytes(bytes).unwrap_err();
    assert_eq!(error.to_string(), "tensor \"huge\": it is too large for this platform");
}

#[test]
fn one_file_of_a_set_can_be_opened_alone() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path(), [0, 1], 2, 4);
    let path = folder.path().join("model-00002-of-00002.gguf");
    let bytes = fs::read(&path).unwrap();
    let options = Model::options().alone(true);
    // SAFETY: the test does not change the file that it maps.
    let mapped = unsafe { options.map(&path) }.unwrap();
    let all = [options.open(&path).unwrap(), mapped, options.bytes(bytes.clone()).unwrap()];
    for model in all {
        assert_eq!((model.shards().len(), model.tensors().len()), (1, 2));
    }
    let error = Model::from_bytes(bytes).unwrap_err();
    let expected = "data without a path: this is one of 2 files of a split set; \
                    give all, or open it alone";
    assert_eq!(error.to_string(), expected);
}

/// The messages of an error and its causes.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}

#[test]
fn every_cause_is_told_once_and_every_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (absent, wrong) = (folder.path().join("absent.gguf"), folder.path().join("wrong.gguf"));
    fs::write(&wrong, "text").unwrap();
    let mut metadata = Metadata::new();
    metadata.set(SHARD_COUNT, "two");
    let odd = file(metadata, Endian::Little, &[]);
    let magic = "not a GGUF file: it begins with [74, 65, 78, 74], expected 47 47 55 46 (\"GGUF\") \
                 (at byte 0)";
    for (opened, expected) in [
        (Model::open(&absent), [format!("cannot read {}", absent.display()), String::new()]),
        (Model::open(&wrong), [format!("cannot open {}", wrong.display()), magic.to_owned()]),
        (
            Model::from_bytes(b"text".to_vec()),
            ["cannot open data without a path".to_owned(), magic.to_owned()],
        ),
        (
            Model::from_bytes(odd),
            [
                "cannot open data without a path".to_owned(),
                "the metadata value of \"split.count\" has type String, expected an integer"
                    .to_owned(),
            ],
        ),
    ] {
        let found = chain(&opened.unwrap_err());
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], expected[0]);
        // the system has its own words
        assert!(expected[1].is_empty() || found[1] == expected[1], "{found:?}");
        assert!(!found[0].contains(&found[1]) && !found[1].contains(&found[0]), "{found:?}");
    }
}

#[test]
fn a_tensor_that_is_not_there_is_none() {
    let model = Model::from_bytes(file(Metadata::new(), Endian::Little, TENSORS)).unwrap();
    assert!(model.tensor("absent").is_none());
}

#[test]
fn an_unknown_type_can_be_seen_but_not_decoded() {
    let mut bytes = file(Metadata::new(), Endian::Little, &[("future", &[32], BlockType::Q4_0)]);
    // the number of the type follows the name (8 + 6 bytes), the count (4) and the dimension (8)
    bytes[24 + 26..][..4].copy_from_slice(&999_u32.to_le_bytes());
    let model = Model::from_bytes(bytes).unwrap();
    let tensor = model.tensor("future").unwrap();
    assert_eq!((tensor.ty().id(), tensor.bytes()), (999, None));
    let error = tensor.decode_rows(0..1, &mut [0.0; 32]).unwrap_err();
    let expected = Unsupported::Type(999);
    assert!(matches!(&error, Error::Unsupported { reason, .. } if *reason == expected), "{error}");
    let mut reader = tensor.row_reader(..);
    for error in [tensor.to_vec().unwrap_err(), reader.next_row().unwrap_err()] {
        assert_eq!(error.to_string(), "tensor \"future\": type 999 is unknown to this version");
    }
}

#[test]
fn a_file_that_shrinks_after_opening_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, file(Metadata::new(), Endian::Little, TENSORS)).unwrap();
    let model = Model::open(&path).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(500).unwrap();
    let error = model.tensor("blk.1.w").unwrap().decode_rows(0..3, &mut [0.0; 768]).unwrap_err();
    assert!(matches!(&error, Error::Io { path: Some(at), .. } if *at == path), "{error}");
}

fn write_set(folder: &Path, numbers: [u16; 2], count: u16, total: i32) {
    let name = ShardName { stem: "model".into(), number: 1, count: 2 };
    for (i, file_name) in name.all().enumerate() {
        let mut metadata = Metadata::new();
        metadata.set(SHARD_NUMBER, numbers[i]);
        metadata.set(SHARD_COUNT, count);
        metadata.set(SHARD_TENSORS, total);
        let bytes = file(metadata, Endian::Little, &TENSORS[2 * i..2 * i + 2]);
        fs::write(folder.join(file_name), bytes).unwrap();
    }
}

#[test]
fn any_shard_opens_the_set() {
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path(), [0, 1], 2, 4);
    let single = Model::from_bytes(file(Metadata::new(), Endian::Little, TENSORS)).unwrap();
    for number in 1..=2 {
        let path = folder.path().join(format!("model-0000{number}-of-00002.gguf"));
        for model in [Model::open(&path).unwrap(), map(&path).unwrap()] {
            assert_eq!(decode_all(&model), decode_all(&single));
            assert_eq!(model.metadata().integer::<u16>(SHARD_NUMBER), Ok(Some(0)));
        }
    }
    let files = ShardName::parse("model-00001-of-00002.gguf").unwrap();
    let files = files.all().map(|name| fs::read(folder.path().join(name)).unwrap());
    assert_eq!(decode_all(&Model::options().shards(files).unwrap()), decode_all(&single));
    fs::remove_file(folder.path().join("model-00001-of-00002.gguf")).unwrap();
    let error = Model::open(folder.path().join("model-00002-of-00002.gguf")).unwrap_err();
    assert!(error.to_string().contains("model-00001-of-00002.gguf"), "{error}");
}

#[test]
fn shards_that_do_not_belong_together_are_an_error() {
    for (numbers, count, total, expected) in [
        ([0, 0], 2, 4, SetFault::Number { found: 0, expected: 1 }),
        ([1, 0], 2, 4, SetFault::Number { found: 1, expected: 0 }),
        ([0, 1], 3, 4, SetFault::Count { found: 3, expected: 2 }),
        ([0, 1], 2, 5, SetFault::Tensors { found: 5, expected: 4 }),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write_set(folder.path(), numbers, count, total);
        let error = Model::open(folder.path().join("model-00001-of-00002.gguf")).unwrap_err();
        assert!(matches!(&error, Error::Set { fault, .. } if *fault == expected), "{error}");
        let files = ShardName::parse("model-00001-of-00002.gguf").unwrap();
        let files = files.all().map(|name| fs::read(folder.path().join(name)).unwrap());
        let error = Model::options().shards(files).unwrap_err();
        assert!(matches!(&error, Error::Set { fault, .. } if *fault == expected), "{error}");
    }
}

#[test]
fn folders_and_missing_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Model::open(folder.path()), Err(Error::Io { .. })));
    assert!(matches!(Model::open(folder.path().join("none.gguf")), Err(Error::Io { .. })));
    let empty = folder.path().join("empty.gguf");
    fs::write(&empty, "").unwrap();
    assert!(matches!(Model::open(&empty), Err(Error::Format { .. })));
    assert!(map(&empty).is_err());
}
