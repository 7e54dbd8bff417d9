//! Recognizes other kinds of files by their first bytes.

use core::fmt;

/// Builds the kinds from one table: name, advice, test of the first bytes.
macro_rules! kinds {
    ($( $name:ident, $text:literal, $test:expr; )*) => {
        /// A kind of file that is found under names of GGUF files.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
        #[non_exhaustive] // more kinds may be recognized
        pub enum FileKind {
            $( #[doc = $text] $name, )*
            /// An unknown kind.
            Unknown,
        }

        impl FileKind {
            /// The kind of a file that begins with these bytes.
            pub fn of(file: &[u8]) -> Self {
                $( {
                    let test: fn(&[u8]) -> bool = $test;
                    if test(file) {
                        return Self::$name;
                    }
                } )*
                Self::Unknown
            }

            /// Says in one line what the file is and what to do with it.
            pub const fn advice(self) -> &'static str {
                match self {
                    $( Self::$name => $text, )*
                    Self::Unknown => "Not a kind of file that is known here.",
                }
            }
        }
    };
}

kinds! {
    Gguf, "A GGUF file.", |file| file.starts_with(b"GGUF");
    Empty, "An empty file: the download or the copy did not happen.", |file| file.is_empty();
    ReversedGguf, "A GGUF file whose magic is reversed: a big-endian file also begins with `GGUF`; \
        write it again with a program that knows this.", |file| file.starts_with(b"FUGG");
    LfsPointer, "A Git LFS pointer, not the file it stands for: run `git lfs pull`, or download \
        the file itself.", |file| file.starts_with(b"version https://git-lfs");
    Html, "A web page, saved under the name of a model: download the file itself; it may need a \
        login or the accepted licence.", is_html;
    Safetensors, "A safetensors file, part of a checkpoint: `granule convert` accepts the folder \
        that also holds its config.json.", is_safetensors;
    Json, "A JSON text, perhaps an error message or a part of a checkpoint, in place of which \
        `granule convert` accepts the folder.", |file| {
        matches!(file.trim_ascii_start().first(), Some(b'{' | b'['))
            && str::from_utf8(&file[..file.len().min(64)]).is_ok()
    };
    Zip, "A ZIP archive, perhaps weights that PyTorch saved: `granule convert` accepts the folder \
        that also holds their config.json; unpack any other archive.", |file| {
            file.starts_with(b"PK\x03\x04") || file.starts_with(b"PK\x05\x06")
        };
    Pickle, "A Python pickle, perhaps weights from before PyTorch 1.6: load it with `torch.load`, \
        if its source is trusted, and save it again.", |file| matches!(file, [0x80, 2..=5, ..]);
    Ggml, "A GGML file, older than GGUF and without a version: convert the original checkpoint \
        again.",
        |file| has_old_magic(file, b"ggml") || file.starts_with(b"GGML");
    Ggmf, "A GGMF file, older than GGUF: convert the original checkpoint again.",
        |file| has_old_magic(file, b"ggmf");
    Ggjt, "A GGJT file, older than GGUF: convert the original checkpoint again.",
        |file| has_old_magic(file, b"ggjt");
    Ggla, "A GGLA file (a LoRA adapter older than GGUF): convert the original adapter again.",
        |file| has_old_magic(file, b"ggla");
    ShiftedGguf, "A GGUF file behind other bytes: something was written in front of it.", |file| {
        file[..file.len().min(64)].windows(4).any(|bytes| bytes == b"GGUF")
    };
    Gzip, "A gzip archive: unpack it.", |file| file.starts_with(b"\x1f\x8b");
    Zstandard, "A Zstandard archive: unpack it.", |file| file.starts_with(b"\x28\xb5\x2f\xfd");
    Zeros, "Zero bytes: space that was reserved for a download that did not happen.", |file| {
        file[..file.len().min(4096)].iter().all(|byte| *byte == 0)
    };
}

/// The old formats store their magic as a little-endian number, so it reads backwards.
fn has_old_magic(file: &[u8], name: &[u8; 4]) -> bool {
    file.len() >= 4 && file[..4].iter().eq(name.iter().rev())
}

fn is_html(file: &[u8]) -> bool {
    let start = file[..file.len().min(256)].trim_ascii_start().to_ascii_lowercase();
    [&b"<!doctype html"[..], b"<html", b"<head", b"<?xml"].iter().any(|tag| start.starts_with(tag))
}

/// The length of the header, then the header: a JSON object. Of a long header, only the beginning
/// may be available.
fn is_safetensors(file: &[u8]) -> bool {
    file.get(..8)
        .and_then(|length| length.try_into().ok())
        .map(u64::from_le_bytes)
        .is_some_and(|length| (2..=LONGEST_HEADER).contains(&length))
        && matches!(&file[8..], [b'{', b'"' | b'}' | b' ' | b'\n', ..])
}

/// The most bytes that the header of a safetensors file takes.
const LONGEST_HEADER: u64 = 100_000_000;

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        for (file, kind) in [
            (&b""[..], FileKind::Empty),
            (b"GGUF", FileKind::Gguf),
            (b"FUGG\0\0\0\x03", FileKind::ReversedGguf),
            (b"version https://git-lfs.github.com/spec/v1\noid", FileKind::LfsPointer),
            (b"\n<!DOCTYPE html><html>", FileKind::Html),
            (b"\x02\0\0\0\0\0\0\0{}", FileKind::Safetensors),
            (b"\0\x80\0\0\0\0\0\0{\"model.norm.weight\":{", FileKind::Safetensors),
            (b"{\"error\": 404}", FileKind::Json),
            (b"PK\x03\x04....", FileKind::Zip),
            (b"\x80\x02\x8a\x0a", FileKind::Pickle),
            (b"lmgg\0\0", FileKind::Ggml),
            (b"tjgg\x03\0", FileKind::Ggjt),
            (b"\0GGUF\x03", FileKind::ShiftedGguf),
            (&[0; 5000], FileKind::Zeros),
            (b"hello", FileKind::Unknown),
        ] {
            assert_eq!(FileKind::of(file), kind, "{file:02x?}");
        }
    }

    #[test]
    fn advice_holds_for_every_command() {
        for kind in [FileKind::Safetensors, FileKind::Json, FileKind::Zip, FileKind::Pickle] {
            let advice = kind.advice();
            assert!(!advice.contains("convert it") && advice.ends_with('.'), "{advice}");
        }
    }
}
