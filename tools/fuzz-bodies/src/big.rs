//! Files in which one thing is large. If a reader takes too much time or memory for it, it does
//! here.

use granule_format::{Array, BlockType, Draft, Endian, Metadata, Shape};

/// A kind of large file: its name, and a function that makes one with that many things in it.
pub type Kind = (&'static str, fn(usize) -> Vec<u8>);

/// All kinds.
pub const KINDS: &[Kind] = &[
    ("keys", keys),
    ("tensors", tensors),
    ("strings", strings),
    ("empty strings", empty_strings),
    ("empty arrays in an array", arrays),
    ("arrays 16 deep", deep_arrays),
    ("numbers", numbers),
    ("one key many times", equal_keys),
    ("one name many times", equal_names),
    ("faults in a value", faults),
    ("tokens and merges", tokens),
    ("one token many times", equal_tokens),
    ("blocks of one tensor", blocks),
];

/// A file of a vocabulary with this many tokens, their scores and types, and a tensor.
pub fn vocabulary(tokens: usize) -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "llama");
    let texts: Vec<_> = (0..tokens).map(|id| format!("token{id:x}")).collect();
    metadata.set("tokenizer.ggml.tokens", Array::String(texts.iter().collect()));
    metadata.set("tokenizer.ggml.scores", Array::F32(vec![-1.0; tokens]));
    metadata.set("tokenizer.ggml.token_type", Array::I32(vec![1; tokens]));
    let merges: Vec<_> = (0..tokens / 2).map(|id| format!("to ken{id:x}")).collect();
    metadata.set("tokenizer.ggml.merges", Array::String(merges.iter().collect()));
    let mut draft = Draft::new(metadata, Endian::Little).expect("no odd alignment");
    let shape = Shape::new(&[32, tokens as u64]).expect("two dimensions");
    draft.add("token_embd.weight", shape, BlockType::Q4_0.into()).expect("whole blocks");
    let mut file = draft.header();
    file.resize(file.len() + draft.data_bytes() as usize, 0);
    file
}

/// The beginning of a file.
fn start(tensors: usize, entries: usize) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors as u64).to_le_bytes());
    file.extend((entries as u64).to_le_bytes());
    file
}

fn string(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.bytes());
}

/// The shortest keys and values that there are.
fn keys(count: usize) -> Vec<u8> {
    let mut file = start(0, count);
    for i in 0..count {
        string(&mut file, &format!("{i:x}"));
        file.extend([7, 0, 0, 0, 1]);
    }
    file
}

fn equal_keys(count: usize) -> Vec<u8> {
    let mut file = start(0, count);
    for _ in 0..count {
        string(&mut file, "a");
        file.extend([7, 0, 0, 0, 1]);
    }
    file
}

fn table(count: usize, name: impl Fn(usize) -> String) -> Vec<u8> {
    let mut file = start(count, 0);
    for i in 0..count {
        string(&mut file, &name(i));
        file.extend([0; 16]);
    }
    file.resize(file.len().next_multiple_of(32) + 32, 0);
    file
}

/// Tensors without dimensions, all at the same place.
fn tensors(count: usize) -> Vec<u8> {
    table(count, |i| format!("{i:x}"))
}

fn equal_names(count: usize) -> Vec<u8> {
    table(count, |_| "a".to_owned())
}

fn array(ty: u32, count: usize) -> Vec<u8> {
    let mut file = start(0, 1);
    string(&mut file, "a");
    file.extend(9_u32.to_le_bytes());
    file.extend(ty.to_le_bytes());
    file.extend((count as u64).to_le_bytes());
    file
}

fn strings(count: usize) -> Vec<u8> {
    let mut file = array(8, count);
    (0..count).for_each(|i| string(&mut file, &format!("{i:x}")));
    file
}

fn empty_strings(count: usize) -> Vec<u8> {
    let mut file = array(8, count);
    (0..count).for_each(|_| string(&mut file, ""));
    file
}

fn arrays(count: usize) -> Vec<u8> {
    let mut file = array(9, count);
    (0..count).for_each(|_| file.extend([0; 12]));
    file
}

fn deep_arrays(count: usize) -> Vec<u8> {
    let mut file = array(9, count);
    for _ in 0..count {
        for depth in 3..=16 {
            file.extend(if depth == 16 { 0_u32 } else { 9 }.to_le_bytes());
            file.extend(u64::from(depth != 16).to_le_bytes());
        }
    }
    file
}

fn numbers(count: usize) -> Vec<u8> {
    let mut file = array(0, count);
    file.resize(file.len() + count, 7);
    file
}

/// A string that is not UTF-8, in one value.
fn faults(count: usize) -> Vec<u8> {
    let mut file = array(8, count);
    for _ in 0..count {
        file.extend(1_u64.to_le_bytes());
        file.push(0xff);
    }
    file
}

/// A file with the architecture `llama`, `tensors` tensors and `entries` more entries.
fn start_model(tensors: usize, entries: usize) -> Vec<u8> {
    let mut file = start(tensors, entries + 1);
    text_entry(&mut file, "general.architecture", "llama");
    file
}

fn text_entry(file: &mut Vec<u8>, key: &str, value: &str) {
    string(file, key);
    file.extend(8_u32.to_le_bytes());
    string(file, value);
}

fn strings_entry(file: &mut Vec<u8>, key: &str, count: usize, item: impl Fn(usize) -> String) {
    string(file, key);
    file.extend(9_u32.to_le_bytes());
    file.extend(8_u32.to_le_bytes());
    file.extend((count as u64).to_le_bytes());
    (0..count).for_each(|i| string(file, &item(i)));
}

/// The shortest tokens, and merges that name none of them.
fn tokens(count: usize) -> Vec<u8> {
    let mut file = start_model(0, 3);
    text_entry(&mut file, "tokenizer.ggml.model", "gpt2");
    strings_entry(&mut file, "tokenizer.ggml.tokens", count, |i| format!("{i:x}"));
    strings_entry(&mut file, "tokenizer.ggml.merges", count, |i| format!("{i:x} {i:x}"));
    file
}

fn equal_tokens(count: usize) -> Vec<u8> {
    let mut file = start_model(0, 1);
    strings_entry(&mut file, "tokenizer.ggml.tokens", count, |_| "a".to_owned());
    file
}

/// Each block has one tensor without dimensions, and each of these another name.
fn blocks(count: usize) -> Vec<u8> {
    let mut file = start_model(count, 1);
    string(&mut file, "llama.block_count");
    file.extend(4_u32.to_le_bytes());
    file.extend(65_535_u32.to_le_bytes());
    for i in 0..count {
        string(&mut file, &format!("blk.{i}.{i:x}.weight"));
        file.extend([0; 16]);
    }
    file.resize(file.len().next_multiple_of(32) + 32, 0);
    file
}
