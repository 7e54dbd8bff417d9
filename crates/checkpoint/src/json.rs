//! The small JSON files of a checkpoint.
//!
//! Editors and shells write a byte order mark at the start of files, and some write UTF-16; both
//! are accepted. Python's `NaN` and `Infinity` are read as null.

use std::borrow::Cow;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Error;
use crate::folder::Named;

/// Reads a file that must exist.
pub(crate) fn read_json(file: &Named<'_>) -> Result<Value, Error> {
    parse(&read_text(file)?).map_err(|error| Error::in_file(file.path(), error))
}

/// Reads a file that must exist and hold an object.
pub(crate) fn read_object(file: &Named<'_>) -> Result<Map<String, Value>, Error> {
    parse(&read_text(file)?).map_err(|error| Error::in_file(file.path(), error))
}

/// Reads a file that the user has named, and that holds an object.
pub(crate) fn read_named(path: &Path) -> Result<Map<String, Value>, Error> {
    let bytes = granule_reader::file::read(path).map_err(Error::io(path))?;
    parse(&without_mark(&bytes)).map_err(|error| Error::in_file(path, error))
}

/// Reads a file that may be absent.
pub(crate) fn read_object_if_there(file: &Named<'_>) -> Result<Option<Map<String, Value>>, Error> {
    if file.exists() { read_object(file).map(Some) } else { Ok(None) }
}

/// Reads a file as UTF-8 without a byte order mark. Does not check that it is valid.
pub(crate) fn read_text(file: &Named<'_>) -> Result<Vec<u8>, Error> {
    let bytes = file.read().map_err(Error::io(file.path()))?;
    Ok(match without_mark(&bytes) {
        Cow::Borrowed(text) if text.len() == bytes.len() => bytes,
        text => text.into_owned(),
    })
}

/// Strips the byte order mark, if there is one, and converts UTF-16 to UTF-8.
pub(crate) fn without_mark(bytes: &[u8]) -> Cow<'_, [u8]> {
    let utf16 = |pairs: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = pairs.as_chunks().0.iter().map(|pair| unit(*pair));
        let text: String = char::decode_utf16(units)
            .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        Cow::Owned(text.into_bytes())
    };
    match bytes {
        [0xef, 0xbb, 0xbf, text @ ..] => Cow::Borrowed(text),
        [0xff, 0xfe, pairs @ ..] => utf16(pairs, u16::from_le_bytes),
        [0xfe, 0xff, pairs @ ..] => utf16(pairs, u16::from_be_bytes),
        text => Cow::Borrowed(text),
    }
}

/// Parses a file as Python writes it: NaN and infinities become null.
fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text).or_else(|error| match without_infinities(text) {
        Some(text) => serde_json::from_slice(&text),
        None => Err(error),
    })
}

/// Replaces `NaN`, `Infinity` and `-Infinity` by null; `None` if there are none.
fn without_infinities(text: &[u8]) -> Option<Vec<u8>> {
    const WORDS: &[&[u8]] = &[b"NaN", b"-Infinity", b"Infinity"];
    let mut out = Vec::with_capacity(text.len());
    let (mut quoted, mut found) = (false, false);
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        if !quoted && let Some(word) = WORDS.iter().find(|word| rest.starts_with(word)) {
            out.extend_from_slice(b"null");
            rest = &rest[word.len()..];
            found = true;
            continue;
        }
        let length = if quoted && *first == b'\\' { rest.len().min(2) } else { 1 };
        quoted ^= *first == b'"';
        out.extend_from_slice(&rest[..length]);
        rest = if length == 1 { tail } else { &rest[length..] };
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_without_end_are_null() {
        let text = br#"{"a": [0.0, Infinity, -Infinity], "b\\\"": NaN, "Infinity": "\"NaN"}"#;
        let found: Value = parse(text).unwrap();
        let expected = json!({"a": [0.0, null, null], "b\\\"": null, "Infinity": "\"NaN"});
        assert_eq!(found, expected);
        for wrong in [&b"{\"a\": Inf}"[..], b"{\"a\": Infinity", b"\"Infinity\\", b"NaNa"] {
            assert!(parse::<Value>(wrong).is_err());
        }
    }

    #[test]
    fn byte_order_marks_are_no_part_of_the_text() {
        let text = "{\"ä\": \"😀\"}";
        let utf16 = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect::<Vec<u8>>()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            utf16([0xff, 0xfe], u16::to_le_bytes),
            utf16([0xfe, 0xff], u16::to_be_bytes),
        ] {
            assert_eq!(without_mark(&bytes), text.as_bytes(), "{bytes:02x?}");
        }
        assert_eq!(without_mark(b"\xef\xbb"), &b"\xef\xbb"[..]);
        let lone = without_mark(b"\xff\xfe\x00\xd8{");
        assert_eq!(lone, "\u{fffd}".as_bytes());
    }
}
