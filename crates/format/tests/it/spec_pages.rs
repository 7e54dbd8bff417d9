//! The pages of `spec/blocks/` against the code: every type has a page, sizes agree, and the worked
//! examples decode to the values they give.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use granule_format::BlockType;

/// What a page's first table says of a type.
struct Row {
    page: String,
    /// Number in the tensor table, values per block, bytes per block, bits per value.
    numbers: [f64; 4],
}

/// A fenced block ```` ```example TYPE ````.
struct Example {
    page: String,
    ty: String,
    bytes: Vec<u8>,
    values: Vec<f32>,
}

#[test]
fn every_type_has_a_page_whose_sizes_agree() {
    let mut rows = BTreeMap::new();
    for (page, text) in pages() {
        let found = table(&page, &text);
        assert!(!found.is_empty(), "{page} has no table of types");
        for (ty, row) in found {
            let other = rows.insert(ty.clone(), row);
            assert!(other.is_none(), "{ty} has two pages");
        }
    }
    for &ty in BlockType::ALL {
        let row =
            rows.remove(ty.name()).unwrap_or_else(|| panic!("{ty} has no page in spec/blocks"));
        let sizes = [ty as u32 as f64, ty.block_values() as f64, ty.block_bytes() as f64];
        assert_eq!(row.numbers[..3], sizes, "{ty} in {}: id, values, bytes", row.page);
        assert_eq!(row.numbers[3], ty.bits_per_value(), "{ty} in {}: bits per value", row.page);
        let expected = if ty.is_quantized() { ty.name().to_lowercase() } else { "scalar".into() };
        assert_eq!(row.page, format!("{expected}.md"), "the page of {ty}");
    }
    assert!(rows.is_empty(), "pages without a type: {:?}", rows.keys());
}

#[test]
fn worked_examples_decode_to_what_they_say() {
    let mut seen: Vec<String> = Vec::new();
    for Example { page, ty: name, bytes, values } in pages().iter().flat_map(examples) {
        let ty = BlockType::ALL.iter().find(|ty| ty.name() == name);
        let ty = *ty.unwrap_or_else(|| panic!("{page}: example of an unknown type {name}"));
        assert_eq!(bytes.len(), ty.block_bytes(), "{page}: bytes of a {ty} block");
        let mut decoded = vec![0.0; ty.block_values()];
        ty.decode_row(&bytes, &mut decoded);
        assert_eq!(decoded, values, "{page}: {ty}");
        assert_eq!(ty.first_defect(&bytes), None, "{page}: {ty}");
        seen.push(name);
    }
    for ty in BlockType::ALL {
        assert!(seen.iter().any(|name| name == ty.name()), "{ty} has no worked example");
    }
}

#[test]
fn pages_have_the_same_sections() {
    for (page, text) in pages() {
        for heading in
            ["## Layout", "## Decoding", "## Encoding", "## Invalid values", "## Example"]
        {
            let found = text.lines().any(|line| line.starts_with(heading));
            assert!(found, "{page} has no section {heading:?}");
        }
    }
}

/// Names and texts of the pages; `README.md` holds what they share.
fn pages() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/blocks");
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).expect("spec/blocks") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name != "README.md" {
            pages.push((name, fs::read_to_string(path).expect("text")));
        }
    }
    pages.sort();
    pages
}

fn table(page: &str, text: &str) -> Vec<(String, Row)> {
    let head = "| Type | Id | Values per block | Bytes per block | Bits per value |";
    let rows = text.lines().skip_while(|line| *line != head).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let number = |i: usize| cells[i].parse().unwrap_or_else(|_| panic!("{page}: {line}"));
            let numbers = [number(1), number(2), number(3), number(4)];
            (cells[0].trim_matches('`').to_string(), Row { page: page.to_string(), numbers })
        })
        .collect()
}

fn examples((page, text): &(String, String)) -> Vec<Example> {
    let fences = text.split("```example ").skip(1);
    fences
        .map(|fence| {
            let body = fence.split("```").next().expect("text before the fence ends");
            let (ty, body) = body.split_once('\n').expect("a type");
            let (bytes, values) = body.split_once("values").expect("`values`");
            let bytes = bytes.trim().strip_prefix("bytes").expect("`bytes`").split_whitespace();
            Example {
                page: page.clone(),
                ty: ty.trim().to_string(),
                bytes: bytes.map(|b| u8::from_str_radix(b, 16).expect("hexadecimal")).collect(),
                values: values.split_whitespace().map(|v| v.parse().expect("a number")).collect(),
            }
        })
        .collect()
}
