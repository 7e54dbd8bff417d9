//! The output as JSON.

use std::path::Path;

use granule_format::{Array, Value};
use serde_json::{Map, Number, Value as Json, json};

use super::{Sum, Totals, View};
use crate::output::SCHEMA;

/// Longest array that is given whole without `--full`, in elements.
const WHOLE: usize = 64;
/// Elements that are given of a longer array.
const FIRST: usize = 8;

pub(super) fn document(view: &View<'_>) -> Json {
    let mut document = Map::new();
    document.insert("schema".to_owned(), SCHEMA.into());
    document.insert("files".to_owned(), files(view));
    if let Some(entries) = &view.metadata {
        let entries = entries.iter().map(|entry| metadata(&entry.key, &entry.value, view.full));
        document.insert("metadata".to_owned(), entries.collect());
    }
    if let Some(tensors) = &view.tensors {
        let tensors = tensors.iter().map(|tensor| {
            json!({
                "name": tensor.info.name,
                "type": tensor.info.ty.to_string(),
                "type_id": tensor.info.ty.id(),
                "shape": tensor.info.shape.dimensions(),
                "values": tensor.info.shape.values(),
                "bytes": tensor.info.bytes(),
                "offset": tensor.offset,
                "file": tensor.file,
            })
        });
        document.insert("tensors".to_owned(), tensors.collect());
    }
    if let Some(totals) = &view.totals {
        let mut totals = all_totals(totals);
        let on_grid = view.on_grid.by_type.iter();
        let on_grid = on_grid.map(|(ty, tensors)| (ty.to_string(), (*tensors).into()));
        totals["on_grid"] = Json::Object(on_grid.collect());
        document.insert("totals".to_owned(), totals);
    }
    Json::Object(document)
}

/// The document for a file that cannot be read, so that there is one for each file.
pub(super) fn failure(path: &Path, error: &anyhow::Error) -> Json {
    json!({ "schema": SCHEMA, "path": path.display().to_string(), "error": format!("{error:#}") })
}

fn files(view: &View<'_>) -> Json {
    view.files
        .iter()
        .map(|file| {
            json!({
                "path": file.path().expect("it was opened by its path").display().to_string(),
                "version": file.header().version(),
                "byte_order": file.header().endian().to_string(),
                "bytes": file.header().file_bytes(),
                "alignment": file.header().alignment(),
                "data_offset": file.header().data_offset(),
            })
        })
        .collect()
}

fn metadata(key: &str, value: &Value, full: bool) -> Json {
    let mut object = Map::new();
    object.insert("key".to_owned(), key.into());
    object.extend(entry(value, full));
    Json::Object(object)
}

/// Type and value, or the first elements of a long array.
pub(in crate::cmd) fn entry(value: &Value, full: bool) -> Map<String, Json> {
    let mut entry = Map::new();
    entry.insert("type".to_owned(), value.value_type().name().into());
    let Value::Array(array) = value else {
        entry.insert("value".to_owned(), scalar(value));
        return entry;
    };
    entry.insert("element_type".to_owned(), array.element_type().name().into());
    entry.insert("length".to_owned(), array.len().into());
    if full || array.len() <= WHOLE {
        entry.insert("value".to_owned(), elements(array, array.len()));
    } else {
        entry.insert("first".to_owned(), elements(array, FIRST));
    }
    entry
}

fn elements(array: &Array, count: usize) -> Json {
    match array {
        Array::Array(items) => {
            items.iter().take(count).map(|item| elements(item, item.len())).collect()
        }
        Array::String(items) => items.iter().take(count).map(text).collect(),
        _ => (0..count).filter_map(|i| array.get(i)).map(|item| scalar(&item)).collect(),
    }
}

/// Text that is not UTF-8 as an object with its bytes in hexadecimal digits.
fn text(bytes: &[u8]) -> Json {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "bytes": digits })
        }
    }
}

fn scalar(value: &Value) -> Json {
    match value {
        Value::U8(n) => (*n).into(),
        Value::I8(n) => (*n).into(),
        Value::U16(n) => (*n).into(),
        Value::I16(n) => (*n).into(),
        Value::U32(n) => (*n).into(),
        Value::I32(n) => (*n).into(),
        Value::U64(n) => (*n).into(),
        Value::I64(n) => (*n).into(),
        Value::F32(n) => float(n.to_string()),
        Value::F64(n) => float(n.to_string()),
        Value::Bool(b) => (*b).into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(array) => elements(array, array.len()),
    }
}

/// The shortest decimal number that gives the value in its own precision. JSON has no NaN and no
/// infinities, so these are strings.
fn float(decimal: String) -> Json {
    let number = decimal.parse::<f64>().ok().and_then(Number::from_f64);
    number.map_or(Json::String(decimal), Json::Number)
}

fn all_totals(totals: &Totals) -> Json {
    let by_type: Vec<Json> = totals
        .by_type
        .iter()
        .map(|(ty, total)| {
            let mut object = sum(total);
            object.insert("type".to_owned(), ty.to_string().into());
            object.insert("type_id".to_owned(), ty.id().into());
            Json::Object(object)
        })
        .collect();
    let mut object = sum(&totals.all);
    object.insert("by_type".to_owned(), by_type.into());
    Json::Object(object)
}

fn sum(sum: &Sum) -> Map<String, Json> {
    let mut object = Map::new();
    object.insert("tensors".to_owned(), sum.tensors.into());
    object.insert("values".to_owned(), sum.values.into());
    object.insert("bytes".to_owned(), if sum.is_partial() { Json::Null } else { sum.bytes.into() });
    object.insert("bits_per_weight".to_owned(), sum.bits_per_value().into());
    object
}
