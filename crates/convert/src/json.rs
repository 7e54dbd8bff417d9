//! The small JSON files of a checkpoint.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::Error;

/// A file that must be there.
pub(crate) fn read_json(path: &Path) -> Result<Value, Error> {
    let text = fs::read(path).map_err(Error::io(path))?;
    serde_json::from_slice(&text).map_err(|error| Error::in_file(path, error))
}

/// A file that must be there and hold an object.
pub(crate) fn read_object(path: &Path) -> Result<Map<String, Value>, Error> {
    let text = fs::read(path).map_err(Error::io(path))?;
    serde_json::from_slice(&text).map_err(|error| Error::in_file(path, error))
}

/// A file that may be absent.
pub(crate) fn read_object_if_there(path: &Path) -> Result<Option<Map<String, Value>>, Error> {
    if path.is_file() { read_object(path).map(Some) } else { Ok(None) }
}
