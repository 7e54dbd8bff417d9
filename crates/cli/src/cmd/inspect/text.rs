//! The output as text.

use granule_format::container::Entry;
use granule_format::{Array, Value};

use super::{Sum, Totals, View, ViewedTensor};
use crate::output::{Align, Table, abridged, count, counted, printable, size};

/// Elements of an array that are shown without `--full`.
const ELEMENTS: usize = 8;
/// Characters of a text that are shown without `--full`.
const CHARACTERS: usize = 80;
/// Characters of a text in an array that are shown without `--full`.
const ELEMENT_CHARACTERS: usize = 20;

pub(super) fn render(view: &View<'_>) -> String {
    let mut text = files(view);
    if let Some(entries) = &view.metadata {
        text += &format!("\nMetadata: {}\n", entries.len());
        text += &metadata(entries, view.full);
    }
    if let Some(tensors) = &view.tensors {
        text += &format!("\nTensors: {}\n", tensors.len());
        text += &tensor_table(tensors, view.files.len() > 1);
    }
    if let Some(totals) = &view.totals {
        text += "\nTotals\n";
        text += &total_table(totals);
        for (ty, tensors) in &view.on_grid.by_type {
            let tensors = counted(*tensors, "tensor");
            text +=
                &format!("  Weights of {tensors} lie on the grid of {ty}: they were quantized.\n");
        }
    }
    text
}

fn files(view: &View<'_>) -> String {
    let mut text = String::new();
    for file in view.files {
        let header = file.header();
        text += &format!(
            "{}: GGUF version {}, {}, {}, data from byte {}, alignment {}\n",
            printable(&file.path().expect("it was opened by its path").display().to_string()),
            header.version(),
            header.endian(),
            size(header.file_bytes()),
            header.data_offset(),
            header.alignment(),
        );
    }
    text
}

fn metadata(entries: &[&Entry], full: bool) -> String {
    let mut table =
        Table::new(&[("key", Align::Left), ("type", Align::Left), ("value", Align::Left)]);
    for entry in entries {
        let ty = match &entry.value {
            Value::Array(array) => format!("{}[{}]", array.element_type(), array.len()),
            other => other.value_type().to_string(),
        };
        table.row([printable(&entry.key), ty, value(&entry.value, full)]);
    }
    table.render()
}

/// A value, cut if it is long.
pub(in crate::cmd) fn short(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", abridged(text, CHARACTERS)),
        other => self::value(other, false),
    }
}

fn value(value: &Value, full: bool) -> String {
    match value {
        Value::U8(n) => n.to_string(),
        Value::I8(n) => n.to_string(),
        Value::U16(n) => n.to_string(),
        Value::I16(n) => n.to_string(),
        Value::U32(n) => n.to_string(),
        Value::I32(n) => n.to_string(),
        Value::U64(n) => n.to_string(),
        Value::I64(n) => n.to_string(),
        // `{:?}` writes 1e-5 for what `{}` writes as 0.00001, and 10000.0 for 10000
        Value::F32(n) => format!("{n:?}"),
        Value::F64(n) => format!("{n:?}"),
        Value::Bool(b) => b.to_string(),
        Value::String(text) if full => printable(text),
        Value::String(text) => abridged(text, CHARACTERS),
        Value::Array(array) => elements(array, full),
    }
}

fn elements(array: &Array, full: bool) -> String {
    let shown = if full { array.len() } else { array.len().min(ELEMENTS) };
    let mut parts: Vec<String> = match array {
        // their nested arrays may be long
        Array::Array(items) => items[..shown].iter().map(|item| elements(item, full)).collect(),
        _ => (0..shown).filter_map(|i| array.get(i)).map(|item| element(&item, full)).collect(),
    };
    if shown < array.len() {
        parts.push("...".to_owned());
    }
    format!("[{}]", parts.join(", "))
}

fn element(item: &Value, full: bool) -> String {
    match item {
        Value::String(text) if full => format!("\"{}\"", printable(text)),
        Value::String(text) => format!("\"{}\"", abridged(text, ELEMENT_CHARACTERS)),
        other => value(other, full),
    }
}

fn tensor_table(tensors: &[ViewedTensor<'_>], split: bool) -> String {
    let mut columns = vec![
        ("name", Align::Left),
        ("type", Align::Left),
        ("shape", Align::Left),
        ("bytes", Align::Right),
        ("offset", Align::Right),
    ];
    if split {
        columns.push(("file", Align::Right));
    }
    let mut table = Table::new(&columns);
    for tensor in tensors {
        let mut row = vec![
            printable(&tensor.info.name),
            tensor.info.ty.to_string(),
            tensor.info.shape.to_string(),
            tensor.info.bytes().map_or("?".to_owned(), |bytes| bytes.to_string()),
            tensor.offset.to_string(),
        ];
        if split {
            row.push((tensor.file + 1).to_string());
        }
        table.row(row);
    }
    table.render()
}

fn total_table(totals: &Totals) -> String {
    let mut table = Table::new(&[
        ("type", Align::Left),
        ("tensors", Align::Right),
        ("values", Align::Right),
        ("size", Align::Right),
        ("share", Align::Right),
        ("bits/weight", Align::Right),
    ]);
    for (ty, sum) in &totals.by_type {
        table.row(total_row(ty.to_string(), sum, totals.all.bytes));
    }
    table.row(total_row("all".to_owned(), &totals.all, totals.all.bytes));
    let mut text = table.render();
    if totals.all.is_partial() {
        text += "  Sizes leave out tensors of types that this version does not know.\n";
    }
    text
}

fn total_row(name: String, sum: &Sum, all_bytes: u64) -> [String; 6] {
    let unknown = sum.is_partial() && sum.sized_values == 0;
    let known = |text: String| if unknown { "?".to_owned() } else { text };
    let share = if all_bytes == 0 { 0.0 } else { sum.bytes as f64 * 100.0 / all_bytes as f64 };
    [
        name,
        sum.tensors.to_string(),
        count(sum.values),
        known(size(sum.bytes)),
        known(format!("{share:.1} %")),
        sum.bits_per_value().map_or("?".to_owned(), |bits| format!("{bits:.3}")),
    ]
}
