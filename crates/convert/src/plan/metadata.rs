use granule_encode::Importance;
use granule_format::container::{ALIGNMENT_KEY, SHARD_COUNT, SHARD_NUMBER, SHARD_TENSORS};
use granule_format::{Array, BlockType, FileType, Metadata, StringArray, Value};
use serde::{Deserialize, Serialize};

use super::PlanError;
use crate::recipe::Recipe;

/// A change to the metadata of the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Truncates every string at its first NUL byte, as the reference's quantizer does.
    CutStrings,
    /// Removes a key if it is present.
    Remove(String),
    /// Removes a key if it is present, then appends it with this value.
    Append(String, Scalar),
}

/// A metadata value that an [`Edit`] can set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scalar {
    /// An unsigned 16-bit integer.
    U16(u16),
    /// An unsigned 32-bit integer.
    U32(u32),
    /// A signed 32-bit integer.
    I32(i32),
    /// A 32-bit floating point number.
    F32(f32),
    /// A Boolean.
    Bool(bool),
    /// A string.
    String(String),
}

/// The input that the edits depend on.
pub(super) struct Facts<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) source: &'a Metadata,
    pub(super) architecture: &'a str,
    /// The file type that the tensors of the source suggest.
    pub(super) guessed: u32,
    /// The matrix and the number of its entries that are used.
    pub(super) importance: Option<(&'a Importance, u32)>,
    /// Blocks left after pruning, if blocks were pruned.
    pub(super) blocks_left: Option<u32>,
    /// The number of files of the result, and the number of tensors in all of them.
    pub(super) shards: u32,
    pub(super) tensors: usize,
}

/// Returns the changes that produce the metadata of a quantized file, in the reference's order.
pub(super) fn edits(facts: &Facts<'_>) -> Result<Vec<Edit>, PlanError> {
    let Facts { recipe, .. } = facts;
    let mut edits = vec![
        Edit::CutStrings,
        append("general.quantization_version", Scalar::U32(2)),
        append("general.file_type", Scalar::U32(file_type(facts))),
    ];
    edits.extend(SPLIT_KEYS.map(|key| Edit::Remove(key.to_owned())));
    for wanted in &recipe.override_kv {
        let value = scalar(&wanted.value);
        let possible = matches!(value, Scalar::U32(alignment) if alignment.is_power_of_two());
        if wanted.key == ALIGNMENT_KEY && !possible {
            return Err(PlanError::Alignment(wanted.to_string()));
        }
        edits.push(append(&wanted.key, value));
    }
    if let Some((importance, entries)) = facts.importance {
        let text = |text: &str| Scalar::String(cut(text, LONGEST_NOTE).to_owned());
        edits.push(append("quantize.imatrix.file", text(importance.file())));
        if let Some(dataset) = importance.datasets().first() {
            edits.push(append("quantize.imatrix.dataset", text(dataset)));
        }
        edits.push(append("quantize.imatrix.entries_count", Scalar::U32(entries)));
        if importance.chunks() > 0 {
            let chunks = Scalar::U32(importance.chunks());
            edits.push(append("quantize.imatrix.chunks_count", chunks));
        }
    }
    if let Some(blocks) = facts.blocks_left {
        edits.push(append(&format!("{}.block_count", facts.architecture), Scalar::U32(blocks)));
    }
    if facts.shards > 1 {
        edits.extend(shard_edits(0, facts.shards, facts.tensors));
    }
    Ok(edits)
}

/// The keys that describe a split set.
pub(super) const SPLIT_KEYS: [&str; 3] = [SHARD_NUMBER, SHARD_COUNT, SHARD_TENSORS];

/// Returns the changes that set the keys of one file of a split set.
pub(super) fn shard_edits(number: u32, count: u32, tensors: usize) -> [Edit; 3] {
    // the format has no wider integers for them
    let narrow = |number: u32| Scalar::U16(u16::try_from(number).unwrap_or(u16::MAX));
    [
        append(SHARD_NUMBER, narrow(number)),
        append(SHARD_COUNT, narrow(count)),
        append(SHARD_TENSORS, Scalar::I32(i32::try_from(tensors).unwrap_or(i32::MAX))),
    ]
}

/// Longest file name or data set name that is recorded, in bytes.
const LONGEST_NOTE: usize = 127;

fn append(key: &str, value: Scalar) -> Edit {
    Edit::Append(key.to_owned(), value)
}

fn scalar(value: &crate::recipe::OverrideValue) -> Scalar {
    use crate::recipe::OverrideValue;
    match value {
        OverrideValue::Integer(number) => Scalar::U32(*number),
        OverrideValue::Float(number) => Scalar::F32(*number),
        OverrideValue::Bool(value) => Scalar::Bool(*value),
        OverrideValue::Text(text) => Scalar::String(text.clone()),
    }
}

fn file_type(facts: &Facts<'_>) -> u32 {
    let stored = || facts.source.integer::<u32>("general.file_type").ok().flatten();
    facts.recipe.file_type.number().or_else(stored).unwrap_or(FileType::GUESSED + facts.guessed)
}

/// Returns the number of the file type that most tensors suggest; on a tie, the first to reach the
/// count.
pub(super) fn guess(types: impl Iterator<Item = granule_format::TensorType>) -> u32 {
    let mut counts: Vec<(granule_format::TensorType, u64)> = Vec::new();
    let mut most = (None, 0);
    for ty in types {
        let at = counts.iter().position(|(other, _)| *other == ty).unwrap_or_else(|| {
            counts.push((ty, 0));
            counts.len() - 1
        });
        counts[at].1 += 1;
        if counts[at].1 > most.1 {
            most = (Some(ty), counts[at].1);
        }
    }
    let most = most.0.and_then(granule_format::TensorType::known);
    most.filter(|ty| *ty != BlockType::MXFP4)
        .and_then(|ty| FileType::from_name(ty.name())?.number())
        .unwrap_or(0)
}

/// Applies the changes.
pub(super) fn apply(edits: &[Edit], mut metadata: Metadata) -> Metadata {
    for edit in edits {
        match edit {
            Edit::CutStrings => metadata = cut_strings(&metadata),
            Edit::Remove(key) => {
                metadata.remove(key);
            }
            Edit::Append(key, value) => metadata.set_last(key, Value::from(value)),
        }
    }
    metadata
}

impl From<&Scalar> for Value {
    fn from(value: &Scalar) -> Self {
        match value {
            Scalar::U16(number) => Self::U16(*number),
            Scalar::U32(number) => Self::U32(*number),
            Scalar::I32(number) => Self::I32(*number),
            Scalar::F32(number) => Self::F32(*number),
            Scalar::Bool(value) => Self::Bool(*value),
            Scalar::String(text) => Self::String(text.clone()),
        }
    }
}

fn cut_strings(metadata: &Metadata) -> Metadata {
    let mut result = Metadata::new();
    for entry in metadata {
        let value = match &entry.value {
            Value::String(text) => Value::String(before_nul(text.as_bytes(), text).to_owned()),
            Value::Array(Array::String(strings)) if strings.iter().any(|s| s.contains(&0)) => {
                let cut: StringArray = strings
                    .iter()
                    .map(|text| text.split(|byte| *byte == 0).next().unwrap_or_default())
                    .collect();
                Value::Array(Array::String(cut))
            }
            other => other.clone(),
        };
        result.set_last(&entry.key, value);
    }
    result
}

fn before_nul<'t>(bytes: &[u8], text: &'t str) -> &'t str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &text[..end]
}

/// Returns the first `most` bytes, or fewer so as not to split a character.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rfind(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_cut() {
        let mut metadata = Metadata::new();
        metadata.set("a", "x\0y");
        metadata.set("b", Array::String([&b"p\0q"[..], b"", b"r"].iter().collect()));
        let cut = apply(&[Edit::CutStrings], metadata);
        assert_eq!(cut.get("a"), Some(&Value::from("x")));
        let expected = Array::String(["p", "", "r"].iter().collect());
        assert_eq!(cut.get("b"), Some(&Value::Array(expected)));
        assert_eq!(super::cut("aä", 2), "a");
        assert_eq!(super::cut("aä", 9), "aä");
    }

    #[test]
    fn guesses() {
        use BlockType::*;
        for (types, expected) in [
            (&[F16, F32, F16][..], 1),
            (&[F32, F16], 0),
            (&[F16, F32], 1),
            (&[Q4_K], 15),
            (&[Q3_K], 12),
            (&[Q5_K], 17),
            (&[IQ2_S], 28),
            (&[IQ2_XS], 20),
            (&[MXFP4], 0),
            (&[I32], 0),
            (&[], 0),
        ] {
            assert_eq!(guess(types.iter().map(|ty| (*ty).into())), expected, "{types:?}");
        }
    }
}
