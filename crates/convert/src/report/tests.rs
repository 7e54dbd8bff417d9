use granule_format::{BlockType, Draft, Endian, Metadata, Shape, Writer};
use granule_reader::GgufSource;

use super::*;

/// Elements of HTML that have no end.
const VOID: &[&str] = &["meta", "link", "br", "!DOCTYPE"];

/// Checks that every element ends where it must. Those of SVG may end themselves.
fn check_tags(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    // what is in quotes may have any sign but those that end it, which are escaped
    for part in html.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("a tag ends");
        let name = tag.split([' ', '\n', '/']).find(|word| !word.is_empty()).unwrap_or_default();
        if let Some(ended) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(ended), "{tag}");
        } else if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

fn source(folder: &tempfile::TempDir, metadata: Metadata) -> GgufSource {
    let mut draft = Draft::new(metadata, Endian::Little).unwrap();
    for (name, dimensions, ty) in [
        ("token_embd.weight", &[64, 8][..], BlockType::Q8_0),
        ("blk.0.attn_<q>.weight", &[64, 4], BlockType::Q4_0),
        ("blk.18446744073709551615.ffn_up.weight", &[32, 4], BlockType::Q4_0),
        ("blk.1.attn_norm.weight", &[64], BlockType::F32),
        ("empty.weight", &[32, 0], BlockType::Q8_0),
    ] {
        draft.add(name, Shape::new(dimensions).unwrap(), ty.into()).unwrap();
    }
    let mut file = Vec::new();
    let mut writer = Writer::start(&mut file, draft).unwrap();
    let tensors = writer.tensors().to_vec();
    for tensor in tensors {
        use std::io::Write;
        let mut out = writer.tensor(&tensor.name).unwrap();
        // half precision numbers of about 0.01, and codes
        out.write_all(&vec![0x21; tensor.bytes().unwrap() as usize]).unwrap();
        out.finish().unwrap();
    }
    writer.finish().unwrap();
    let path = folder.path().join("a&b.gguf");
    std::fs::write(&path, file).unwrap();
    GgufSource::open(&path).unwrap()
}

/// What is in a file never becomes a part of the page.
#[test]
fn a_page_shows_what_a_file_says_and_does_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut metadata = Metadata::new();
    let evil = "</style><script>alert(1)</script>\"'\u{202e}\0<img src=http://a>";
    metadata.set("general.architecture", "llama");
    metadata.set("general.name", evil);
    metadata.set("general.license", evil);
    metadata.set("llama.embedding_length", 64_u32);
    metadata.set("llama.block_count", u32::MAX);
    metadata.set("llama.attention.head_count", 0_u32);
    metadata.set("tokenizer.ggml.model", "gpt2");
    metadata.set("tokenizer.chat_template", evil);
    metadata.set("tokenizer.ggml.bos_token_id", u32::MAX);
    let source = source(&folder, metadata);
    let report = Report::of(&source, &[], &[4096]).unwrap();
    let mut report = report.with_notes(vec![evil.to_owned()]);
    report.findings.push(FindingFacts { rule: "S001".into(), is_error: true, text: evil.into() });
    report.trials = vec![(evil.to_owned(), 1, 0.5), ("b".to_owned(), 2, f64::INFINITY)];
    for (number, tensor) in report.tensors.iter_mut().enumerate() {
        tensor.error = Some(number as f64);
        tensor.reason = Some(evil.to_owned());
        tensor.wanted = Some(evil.to_owned());
    }
    let page = report.to_html();
    check_tags(&page);
    for part in ["<script", "<img", "\u{202e}", "\0"] {
        assert!(!page.contains(part), "{part:?}");
    }
    // nothing is fetched: no address is in an attribute, but for the empty icon
    for attribute in ["href=\"", "src=\"", "url(", "@import"] {
        let found = page.match_indices(attribute).count();
        assert_eq!(found, usize::from(attribute == "href=\""), "{attribute}");
    }
    for part in ["a&amp;b.gguf", "attn_&lt;q&gt;", "&lt;script&gt;alert(1)", "1 fault", "<details>"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["tensors"][1]["type"], "Q4_0");
    // 8 blocks of Q4_0 in the two tensors
    let blocks: u64 =
        report.scales.iter().filter(|it| it.ty == "Q4_0").flat_map(|it| &it.counts).sum();
    assert_eq!(blocks, 12);
    // a number of layers that cannot be
    assert!(report.memory.is_empty() && report.no_memory.unwrap().contains("llama.block_count"));
}

#[test]
fn what_is_no_model_has_a_page_too() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(&folder, Metadata::new());
    let report = Report::of(&source, &[], &[4096]).unwrap();
    assert_eq!(report.title, "a&b.gguf");
    let why = report.no_memory.clone().unwrap();
    assert!(why.contains("general.architecture"), "{why}");
    check_tags(&report.to_html());
    check_tags(&Report::default().to_html());
}

/// Numbers by hand, for a model with windows in some layers and one without a known architecture.
#[test]
fn memory_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "unheard-of");
    metadata.set("unheard-of.embedding_length", 64_u32);
    metadata.set("unheard-of.block_count", 1_u32);
    metadata.set("unheard-of.attention.head_count", 4_u32);
    metadata.set("unheard-of.attention.head_count_kv", 2_u32);
    let source = source(&folder, metadata);
    let mut options = MemoryOptions::new(300);
    let found = memory(&source, &options).unwrap();
    // no layer has keys: the name of the only one is another
    assert_eq!((found.cache, found.states, found.is_known), (0, 0, false));
    assert_eq!(found.weights, 8 * 68 + 4 * 36 + 4 * 18 + 256);
    // 512 tokens: a vocabulary of 8, twice the width
    options.context = 4096;
    let logits = memory(&source, &options).unwrap();
    assert!(logits.compute >= 512 * 4 * (8 + 2 * 64) && logits.output == 32);
    options.context = u64::MAX / 2;
    memory(&source, &options).unwrap();
}
