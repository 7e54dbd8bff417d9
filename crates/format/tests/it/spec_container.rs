//! `spec/container.md` says what the code does: its tables, its limits, its example.

use std::io::Write;

use granule_format::container::{DEFAULT_ALIGNMENT, VERSION};
use granule_format::{
    Array, BlockType, Draft, Endian, Header, Limits, Metadata, Shape, Value, ValueType, Writer,
};

const PAGE: &str = include_str!("../../../../spec/container.md");

#[test]
fn value_types_have_the_numbers_and_sizes_of_the_page() {
    let mut seen = 0;
    for line in PAGE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, number, bytes] = cells[..] else { continue };
        let Ok(number) = number.parse() else { continue };
        let ty = ValueType::from_id(number).unwrap();
        assert_eq!(format!("`{ty}`"), name);
        if let Ok(bytes) = bytes.parse::<usize>() {
            // an array of one element is its type, its count and the element
            let file = |count| {
                let mut header = header_of_one_key();
                header.extend(9_u32.to_le_bytes());
                header.extend(number.to_le_bytes());
                header.extend(u64::to_le_bytes(count));
                header.resize(header.len() + count as usize * bytes, 0);
                header
            };
            for count in [0, 1, 2] {
                assert_eq!(Header::parse(&file(count)).map(|_| ()), Ok(()), "{ty}");
                let short = &file(count)[..file(count).len() - 1];
                assert!(Header::parse(short).is_err(), "{ty} takes fewer than {bytes} bytes");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 13);
    assert_eq!(ValueType::from_id(13), None);
}

/// Magic, version 3, no tensors, and the key of one entry.
fn header_of_one_key() -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    for number in [0_u64, 1, 1] {
        file.extend(number.to_le_bytes());
    }
    file.push(b'k');
    file
}

#[test]
fn limits_are_those_of_the_page() {
    let Limits { key_bytes, array_depth, tensor_name_bytes, dimensions, .. } = Limits::DEFAULT;
    // as one line: paragraphs are wrapped
    let page = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        format!("A key is 1 to {key_bytes} bytes"),
        format!("nest at most {array_depth} deep"),
        format!("a string of 1 to {tensor_name_bytes} bytes"),
        format!("32 bits, 0 to {dimensions} |"),
        format!("or {DEFAULT_ALIGNMENT} bytes where that key is absent"),
        format!("Files are written as version {VERSION}."),
    ] {
        assert!(page.contains(&text), "{text}");
    }
}

#[test]
fn the_example_is_what_is_written_and_read() {
    let example = PAGE.split("```example\n").nth(1).unwrap().split("```").next().unwrap();
    let digits: String = example.lines().filter_map(|line| line.split(' ').next()).collect();
    let pairs = digits.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();

    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "demo");
    metadata.set("demo.sizes", Value::Array(Array::U16(vec![1, 2, 300])));
    let mut draft = Draft::new(metadata.clone(), Endian::Little).unwrap();
    draft.add("w", Shape::new(&[3, 2]).unwrap(), BlockType::F32.into()).unwrap();
    let mut writer = Writer::start(Vec::new(), draft).unwrap();
    let mut tensor = writer.tensor("w").unwrap();
    for value in 1..=6 {
        tensor.write_all(&(value as f32).to_le_bytes()).unwrap();
    }
    tensor.finish().unwrap();
    assert_eq!(writer.finish().unwrap(), bytes);

    let header = Header::parse(&bytes).unwrap();
    assert_eq!(header.metadata(), &metadata);
    assert_eq!((header.table_end(), header.data_offset()), (149, 160));
}
