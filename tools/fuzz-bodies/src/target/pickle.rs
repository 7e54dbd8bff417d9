//! Files that PyTorch saves: a whole file, or a pickle put into an archive with one storage.

use super::config::open;
use super::safetensors::{CONFIG, TOKENIZER};
use crate::parts::{number, parts};
use crate::{folder, write};

pub(super) fn run(input: &[u8]) {
    let ([choice], input) = number(input);
    let folder = folder();
    write(&folder, "config.json", CONFIG.as_bytes());
    write(&folder, "tokenizer.model", TOKENIZER);
    if choice % 4 == 0 {
        write(&folder, "pytorch_model.bin", input);
    } else {
        let [pickle, storage] = parts(input);
        let order: &[u8] = if choice % 4 == 3 { b"big" } else { b"little" };
        let entries = [("a/data.pkl", pickle), ("a/byteorder", order), ("a/data/0", storage)];
        write(&folder, "pytorch_model.bin", &archive(&entries));
    }
    open(&folder, false);
}

/// A zip archive of entries that are stored as they are.
pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let at = out.len() as u32;
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(rawzip::crc32(bytes).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.bytes());
        out.extend_from_slice(bytes);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.bytes());
    }
    let (at, count) = (out.len() as u32, entries.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}
