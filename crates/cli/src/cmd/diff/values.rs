//! Metadata that differ, as text and as JSON.

use granule_convert::diff::MetadataChange;
use granule_format::Value;
use serde_json::{Value as Json, json};

use crate::cmd::inspect::{json_entry, short_value};
use crate::output::printable;

/// The line for a key: `+` added, `-` removed, `~` changed; of long arrays the first elements that
/// differ.
pub(crate) fn line(change: &MetadataChange<'_>) -> String {
    let key = printable(change.key);
    match (change.before, change.after, &change.positions) {
        (Some(before), Some(after), Some(positions)) => {
            let mut text = format!("  ~ {key}: {} of ", positions.count);
            let [old, new] = [before, after].map(length);
            text += &match old == new {
                true => format!("{old} elements differ\n"),
                false => format!("{} elements differ; {old} -> {new} elements\n", old.max(new)),
            };
            for index in &positions.first {
                let [old, new] = [before, after].map(|value| match element(value, *index) {
                    Some(element) => short_value(&element),
                    None => "nothing".to_owned(),
                });
                text += &format!("      [{index}] {old} -> {new}\n");
            }
            text
        }
        (Some(before), Some(after), None) => {
            let types = [before, after].map(|value| value.value_type().name());
            let [old, new] = [before, after].map(short_value);
            match types[0] == types[1] {
                true => format!("  ~ {key}: {old} -> {new}\n"),
                false => format!("  ~ {key}: {} {old} -> {} {new}\n", types[0], types[1]),
            }
        }
        (Some(before), None, _) => format!("  - {key}: {}\n", short_value(before)),
        (None, Some(after), _) => format!("  + {key}: {}\n", short_value(after)),
        (None, None, _) => String::new(),
    }
}

/// The key with both values; of arrays the first elements that differ.
pub(crate) fn json(change: &MetadataChange<'_>) -> Json {
    let value = |value: Option<&Value>| value.map(|value| json_entry(value, false));
    let mut document = json!({
        "key": change.key,
        "before": value(change.before),
        "after": value(change.after),
    });
    if let Some(positions) = &change.positions {
        let of = |value: Option<&Value>, index: usize| {
            value
                .and_then(|value| element(value, index))
                .and_then(|element| json_entry(&element, true).remove("value"))
        };
        let first = positions.first.iter().map(|index| {
            json!({
                "index": index,
                "before": of(change.before, *index),
                "after": of(change.after, *index),
            })
        });
        document["differing_elements"] = positions.count.into();
        document["first_differing"] = first.collect();
    }
    document
}

fn length(value: &Value) -> usize {
    value.as_array().map_or(1, granule_format::Array::len)
}

fn element(value: &Value, index: usize) -> Option<Value> {
    value.as_array()?.get(index)
}
