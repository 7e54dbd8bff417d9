//! What an edit changes, as text and as JSON.

use std::path::Path;

use granule_convert::diff;
use granule_convert::edit::{Edit, ROOM, Way};
use serde_json::{Value as Json, json};

use crate::cmd::diff::values;
use crate::output::{self, counted, printable, size};

/// The changes, one a line, and how the file was changed.
pub(super) fn text(path: &Path, edit: &Edit, dry_run: bool) -> String {
    let mut text = String::new();
    for change in changes(edit) {
        text += &values::line(&change);
    }
    for (before, after) in edit.renamed() {
        text += &format!("  tensor {} -> {}\n", printable(before), printable(after));
    }
    let path = printable(&path.display().to_string());
    let [edited, written] = match dry_run {
        false => ["edited in place", "written"],
        true => ["would be edited in place", "would be written"],
    };
    text += &match edit.way() {
        Way::Nothing => format!("{path}: nothing to change"),
        Way::InPlace { bytes } => format!("{path}: {edited}, {} of the header", size(bytes)),
        Way::Copy { bytes } => format!("{path}: {written}, {}", size(bytes)),
    };
    if edit.room() > 0 {
        text += &format!("; room for {} more", counted(edit.room() as usize, "byte"));
    }
    text + "\n"
}

pub(super) fn document(path: &Path, edit: &Edit) -> Json {
    let (way, bytes) = match edit.way() {
        Way::Nothing => ("nothing", 0),
        Way::InPlace { bytes } => ("in_place", bytes),
        Way::Copy { bytes } => ("copy", bytes),
    };
    let renamed = edit.renamed().map(|(before, after)| json!({ "before": before, "after": after }));
    json!({
        "schema": output::SCHEMA,
        "path": path.display().to_string(),
        "way": way,
        "bytes_written": bytes,
        "room": edit.room(),
        "metadata": changes(edit).iter().map(values::json).collect::<Vec<_>>(),
        "renamed_tensors": renamed.collect::<Vec<_>>(),
    })
}

/// The keys that change; the room is no content.
fn changes(edit: &Edit) -> Vec<diff::MetadataChange<'_>> {
    let mut changes = diff::metadata(edit.before(), edit.after());
    changes.retain(|change| change.key != ROOM);
    changes
}
