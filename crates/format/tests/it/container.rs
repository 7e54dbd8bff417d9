//! Writing and reading headers: what is written is read back, in every form that is written, and
//! damaged headers give errors.

use std::io::Write;

use granule_format::{
    Array, BlockType, Counted, Draft, Endian, ErrorKind, Header, HeaderParser, Limits, Metadata,
    Shape, StringArray, TensorType, Value, Writer,
};
use proptest::prelude::*;

/// Metadata with every type of value and of array.
fn every_value() -> Metadata {
    let values = [
        Value::U8(200),
        Value::I8(-100),
        Value::U16(60_000),
        Value::I16(-30_000),
        Value::U32(4_000_000_000),
        Value::I32(-2_000_000_000),
        Value::F32(-0.1),
        Value::Bool(true),
        Value::String("gränule".into()),
        Value::U64(u64::MAX),
        Value::I64(i64::MIN),
        Value::F64(1e300),
    ];
    let arrays = [
        Array::U8(vec![1, 255]),
        Array::I8(vec![-1]),
        Array::U16(vec![]),
        Array::I16(vec![-2, 3]),
        Array::U32(vec![7; 3]),
        Array::I32(vec![-7]),
        Array::F32(vec![0.5, f32::INFINITY]),
        Array::Bool(vec![true, false]),
        Array::String(["a", "", "ccc"].into_iter().collect()),
        Array::U64(vec![1 << 60]),
        Array::I64(vec![-1]),
        Array::F64(vec![0.25]),
        Array::Array(vec![Array::U8(vec![1]), Array::Array(vec![Array::Bool(vec![])])]),
    ];
    let mut metadata = Metadata::new();
    for (i, value) in values.into_iter().chain(arrays.map(Value::Array)).enumerate() {
        metadata.set(&format!("test.value_{i}"), value);
    }
    metadata
}

fn file(endian: Endian) -> Vec<u8> {
    let mut metadata = every_value();
    metadata.set("general.alignment", 64_u32);
    let mut draft = Draft::new(metadata, endian).unwrap();
    for (name, dimensions, ty) in [
        ("a", &[3, 5][..], BlockType::F32),
        ("b.weight", &[256, 2, 3], BlockType::Q4_K),
        ("c", &[7], BlockType::I8),
    ] {
        draft.add(name, Shape::new(dimensions).unwrap(), ty.into()).unwrap();
    }
    let tensors = draft.tensors().to_vec();
    let mut writer = Writer::start(Vec::new(), draft).unwrap();
    for tensor in tensors {
        let mut data = writer.tensor(&tensor.name).unwrap();
        data.write_all(&vec![7; tensor.bytes().unwrap() as usize]).unwrap();
        data.finish().unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    for endian in [Endian::Little, Endian::Big] {
        let file = file(endian);
        let header = Header::parse(&file).unwrap();
        assert_eq!((header.version(), header.endian(), header.alignment()), (3, endian, 64));
        let mut expected = every_value();
        expected.set("general.alignment", 64_u32);
        assert_eq!(header.metadata(), &expected);
        let shapes: Vec<_> = header
            .tensors()
            .iter()
            .map(|t| (t.name.as_str(), t.shape.to_string(), t.offset))
            .collect();
        assert_eq!(
            shapes,
            [
                ("a", "3 x 5".into(), 0),
                ("b.weight", "256 x 2 x 3".into(), 64),
                ("c", "7".into(), 960)
            ]
        );
        assert_eq!(header.tensor("b.weight").unwrap().ty, TensorType::Known(BlockType::Q4_K));
        assert_eq!(header.tensor("d"), None);
        assert_eq!(header.data_offset() + 960 + 64, file.len() as u64);
    }
}

#[test]
fn every_truncation_is_an_error() {
    let file = file(Endian::Little);
    for length in 0..file.len() - 57 {
        assert!(Header::parse(&file[..length]).is_err(), "{length} bytes");
        let survey = Header::survey(&file[..length], &Limits::DEFAULT);
        assert!(!survey.faults.is_empty(), "{length} bytes");
    }
}

#[test]
fn a_prefix_asks_for_more() {
    let file = file(Endian::Big);
    let whole = Header::parse(&file).unwrap();
    let mut prefix = 0;
    loop {
        match Header::parse_prefix(&file[..prefix], file.len() as u64, &Limits::DEFAULT) {
            Ok(header) => break assert_eq!(header, whole),
            Err(error) => match error.kind {
                ErrorKind::PrefixTooShort { need } => {
                    assert!(need as usize > prefix, "{error}");
                    prefix = need as usize;
                }
                _ => panic!("{error}"),
            },
        }
    }
    assert!(prefix <= whole.data_offset() as usize);
}

#[test]
fn a_parser_goes_on_where_it_stopped() {
    for endian in [Endian::Little, Endian::Big] {
        let file = file(endian);
        let whole = Header::parse(&file).unwrap();
        let mut parser = HeaderParser::new(file.len() as u64, &Limits::DEFAULT);
        let found = (0..=file.len()).find_map(|length| {
            match parser.parse(&file[parser.position() as usize..length]) {
                Ok(header) => Some((length, header)),
                Err(error) if matches!(error.kind, ErrorKind::PrefixTooShort { .. }) => None,
                Err(error) => panic!("{length} bytes: {error}"),
            }
        });
        assert_eq!(found, Some((whole.table_end() as usize, whole)));
    }
}

#[test]
fn counts_are_compared_with_the_file() {
    for (at, what) in [(8, Counted::Tensors), (16, Counted::Entries)] {
        for count in [1 << 20, 1 << 60, u64::MAX] {
            let mut file = file(Endian::Little);
            file[at..at + 8].copy_from_slice(&u64::to_le_bytes(count));
            let error = Header::parse(&file).unwrap_err();
            assert!(
                matches!(error.kind, ErrorKind::Count { what: found, .. } if found == what),
                "{error}"
            );
        }
    }
}

#[test]
fn no_limit_lets_nesting_overflow_the_stack() {
    const LEVELS: usize = 1_000_000;
    let mut metadata = Metadata::new();
    metadata.set("deep", Array::Array(Vec::new()));
    let mut file = Draft::new(metadata, Endian::Little).unwrap().header();
    // arrays of one array each, instead of the type and the count at the end
    file.truncate(file.len() - 12);
    for _ in 0..LEVELS {
        file.extend(9_u32.to_le_bytes());
        file.extend(1_u64.to_le_bytes());
    }
    file.extend([0; 12]);
    let limits = Limits::DEFAULT.with_array_depth(u32::MAX);
    let error = Header::parse_prefix(&file, file.len() as u64, &limits).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Nesting(128));
    assert!(!Header::survey(&file, &limits).faults.is_empty());
}

#[test]
fn a_large_vocabulary_comes_back() {
    let strings: StringArray = (0..300_000).map(|i| format!("token {i}")).collect();
    let mut metadata = Metadata::new();
    metadata.set("tokenizer.ggml.tokens", Array::String(strings));
    let file = Draft::new(metadata.clone(), Endian::Little).unwrap().header();
    let header = Header::parse(&file).unwrap();
    assert_eq!(header.metadata(), &metadata);
    let tokens = header.metadata().strings("tokenizer.ggml.tokens").unwrap().unwrap();
    assert_eq!(tokens.get_str(299_999), Some("token 299999"));
}

proptest! {
    #[test]
    fn no_bytes_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        version in 1_u32..4,
        big: bool,
    ) {
        if bytes.len() > 8 {
            bytes[..4].copy_from_slice(b"GGUF");
            let version = if big { version.to_be_bytes() } else { version.to_le_bytes() };
            bytes[4..8].copy_from_slice(&version);
        }
        let parsed = Header::parse(&bytes);
        let survey = Header::survey(&bytes, &Limits::DEFAULT);
        prop_assert_eq!(parsed.is_err(), !survey.faults.is_empty());
    }

    #[test]
    fn no_mutation_panics(
        changes in prop::collection::vec((0_usize..1200, any::<u8>()), 1..8),
        big: bool,
    ) {
        let mut bytes = file(if big { Endian::Big } else { Endian::Little });
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        let parsed = Header::parse(&bytes);
        let survey = Header::survey(&bytes, &Limits::DEFAULT);
        prop_assert_eq!(parsed.is_err(), !survey.faults.is_empty());
    }
}
