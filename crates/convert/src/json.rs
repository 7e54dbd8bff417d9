//! The small JSON files of a checkpoint.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Error;

/// A file that must be there.
pub(crate) fn read_json(path: &Path) -> Result<Value, Error> {
    let text = granule_reader::file::read(path).map_err(Error::io(path))?;
    parse(&text).map_err(|error| Error::in_file(path, error))
}

/// A file that must be there and hold an object.
pub(crate) fn read_object(path: &Path) -> Result<Map<String, Value>, Error> {
    let text = granule_reader::file::read(path).map_err(Error::io(path))?;
    parse(&text).map_err(|error| Error::in_file(path, error))
}

/// A file that may be absent.
pub(crate) fn read_object_if_there(path: &Path) -> Result<Option<Map<String, Value>>, Error> {
    if path.exists() { read_object(path).map(Some) } else { Ok(None) }
}

/// Parse a file as Python would have written it: what is no number or has no end becomes null.
fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(text).or_else(|error| match without_infinities(text) {
        Some(text) => serde_json::from_slice(&text),
        None => Err(error),
    })
}

/// The text with null in the place of `NaN`, `Infinity` and `-Infinity`; `None` if there are none.
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
}
