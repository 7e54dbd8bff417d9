//! Writes the metadata that an architecture's items make from the config.

use granule_format::{Array, Metadata, StringArray, Value as Meta};
use serde_json::Value;

use super::{Arch, Config, Entry, EntryKind, Item, Rope, Scope, files};
use crate::Error;

/// Where in the metadata items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// Before the model's names.
    Early,
    /// After the model's names.
    Main,
    /// Before the tokenizer.
    Late,
    /// After the tokenizer.
    Last,
}

/// Writes the metadata of an architecture. `file_type` is the number of the mixture.
pub(crate) fn write_entries(
    (arch, position): (&Arch, Position),
    config: &Config,
    (scope, rope): (&Scope<'_>, &Rope<'_>),
    file_type: u32,
    out: &mut Metadata,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let name = |key: &str| arch.key(key);
    let items = match position {
        Position::Early => &arch.early_metadata,
        Position::Main => &arch.metadata,
        Position::Late => &arch.late_metadata,
        Position::Last => &arch.last_metadata,
    };
    for (index, item) in items.iter().enumerate() {
        match item {
            Item::Entry(entry) => {
                if let Some(value) = value(entry, &items[index + 1..], scope)? {
                    out.set(&name(&entry.key), value);
                }
            }
            Item::RopeScaling => {
                let written = rope.kind().is_some_and(|kind| arch.writes_rope_type(kind));
                // The warnings are about what this does not write.
                let unheard = &mut Vec::new();
                let warnings = if written { unheard } else { &mut *warnings };
                rope.write_scaling(config, &name, out, warnings)?;
            }
            Item::RopeBases => rope.write_bases(config, &name, out)?,
            Item::Pooling => {
                if let Some(number) = files::pooling(scope.folder)? {
                    out.set(&name("pooling_type"), number);
                }
                if let Some(pooling) = config.get("classifier_pooling") {
                    let key = "classifier_pooling";
                    let number = pooling.as_str().and_then(files::classifier_pooling);
                    let wrong = || config.wrong(key, pooling, "\"mean\" or \"cls\"");
                    out.set(&name("classifier.pooling_type"), number.ok_or_else(wrong)?);
                }
            }
            Item::FileType => out.set("general.file_type", Meta::U32(file_type)),
        }
    }
    if position == Position::Main {
        warnings.extend(lost_scaling(arch, rope));
        let pools = items.iter().any(|item| matches!(item, Item::Pooling));
        warnings.extend(files::lost_modules(scope, arch, pools));
    }
    Ok(())
}

/// A warning if the architecture's files cannot hold how rotary embedding is scaled.
fn lost_scaling(arch: &Arch, rope: &Rope<'_>) -> Option<String> {
    let computes = |start| arch.computed.iter().any(|tensor| tensor.name.starts_with(start));
    let writes = || arch.items().any(|item| matches!(item, Item::RopeScaling));
    let kept = arch.writes_rope_type(rope.kind()?)
        || match rope.kind()?.to_ascii_lowercase().as_str() {
            "default" | "dynamic" => true, // nothing to keep, or reported already
            "llama3" => computes("rope_freqs."),
            "su" | "longrope" => computes("rope_factors_"),
            _ => computes("rope_factors_") || writes(),
        };
    (!kept).then(|| {
        format!(
            "config.json: {} of type {:?} is not written, because files of the architecture {} do \
             not hold it: texts longer than the model was first trained for will not work",
            rope.source(),
            rope.kind().unwrap_or_default(),
            arch.name
        )
    })
}

/// The value to write at the place of an entry. The last entry for a key decides the value, which
/// is written at the place of the first entry that has one.
fn value(entry: &Entry, later: &[Item], scope: &Scope<'_>) -> Result<Option<Meta>, Error> {
    let same = later.iter().rev().find_map(|item| match item {
        Item::Entry(other) if other.key == entry.key => Some(other),
        _ => None,
    });
    if same.is_some() && scope.value(&entry.value)?.is_none_or(|value| value.is_null()) {
        return Ok(None);
    }
    let last = same.unwrap_or(entry);
    match scope.needed(&last.value)? {
        Some(value) => converted(last, &value, scope).map(Some),
        None => Ok(None),
    }
}

/// A value, converted to the type of an entry.
fn converted(entry: &Entry, value: &Value, scope: &Scope<'_>) -> Result<Meta, Error> {
    let integer = |value: &Value| {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| scope.wrong(&entry.value, value, "an integer from 0 to 4294967295"))
    };
    let wide = |value: &Value| {
        let number = value.as_u64();
        number.ok_or_else(|| scope.wrong(&entry.value, value, "an integer of at least 0"))
    };
    let signed = |value: &Value| {
        let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| scope.wrong(&entry.value, value, "an integer of 32 bits"))
    };
    let float = |value: &Value| {
        let number = value.as_f64().map(|number| number as f32);
        number.ok_or_else(|| scope.wrong(&entry.value, value, "a number"))
    };
    let truth = |value: &Value| {
        value.as_bool().ok_or_else(|| scope.wrong(&entry.value, value, "true or false"))
    };
    let text = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| scope.wrong(&entry.value, value, "a text"))
    };
    Ok(match (entry.kind, value) {
        (EntryKind::Integer, Value::Array(items)) => {
            Array::I32(items.iter().map(signed).collect::<Result<_, _>>()?).into()
        }
        (EntryKind::Wide, Value::Array(items)) => {
            Array::U64(items.iter().map(wide).collect::<Result<_, _>>()?).into()
        }
        (EntryKind::Float, Value::Array(items)) => {
            Array::F32(items.iter().map(float).collect::<Result<_, _>>()?).into()
        }
        (EntryKind::Bool, Value::Array(items)) => {
            Array::Bool(items.iter().map(truth).collect::<Result<_, _>>()?).into()
        }
        (EntryKind::Text, Value::Array(items)) => {
            let texts = items.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            Array::String(texts.iter().collect::<StringArray>()).into()
        }
        (EntryKind::Integer, _) => integer(value)?.into(),
        (EntryKind::Wide, _) => wide(value)?.into(),
        (EntryKind::Float, _) => float(value)?.into(),
        (EntryKind::Bool, _) => truth(value)?.into(),
        (EntryKind::Text, _) => text(value)?.into(),
    })
}

#[cfg(test)]
mod tests {

    use serde_json::json;

    use super::*;
    use crate::arch::{Kind, by_name, description};
    use crate::folder::Nowhere;

    #[test]
    fn the_last_entry_decides_and_stands_where_the_first_has_a_value() {
        let text = r#"
            name = "a"
            classes = ["A"]
            tokenizers = ["unigram"]
            keys = ["absent"]
            metadata = [
                { key = "late", u32 = "absent ?? skip" },
                { key = "changed", u32 = 1 },
                { key = "dropped", u32 = 1 },
                { key = "other", u32 = 1 },
                { key = "late", u32 = 2 },
                { key = "changed", u32 = 3 },
                { key = "dropped", u32 = "skip" },
            ]
        "#;
        let arch = description::parse(text).unwrap();
        let config = Config::of(json!({}));
        let rope = Rope::new(&config);
        let scope = config.scope(&Nowhere, &arch, Some(&rope));
        let mut out = Metadata::new();
        let context = (&scope, &rope);
        let at = (&arch, Position::Main);
        write_entries(at, &config, context, 0, &mut out, &mut Vec::new()).unwrap();
        let found: Vec<_> = out.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect();
        let expected = [("a.changed", 3), ("a.other", 1), ("a.late", 2)];
        let expected = expected.map(|(key, value)| (key, Meta::U32(value)));
        assert!(
            found.iter().copied().eq(expected.iter().map(|(key, value)| (*key, value))),
            "{found:?}"
        );
    }

    /// The library's class drops the number of key heads.
    #[test]
    fn heads_of_mpt_that_share_keys_are_counted() {
        let heads = |attention| {
            let config = Config::of(json!({
                "architectures": ["MPTForCausalLM"], "model_type": "mpt", "d_model": 64,
                "max_seq_len": 128, "n_heads": 4, "n_layers": 2, "attn_config": attention,
            }));
            let arch = by_name(Kind::Model, "mpt").unwrap();
            let rope = Rope::new(&config);
            let scope = config.scope(&Nowhere, &arch, Some(&rope));
            let mut out = Metadata::new();
            let at = (&*arch, Position::Main);
            write_entries(at, &config, (&scope, &rope), 2, &mut out, &mut Vec::new()).unwrap();
            out.get("mpt.attention.head_count_kv").cloned()
        };
        assert_eq!(heads(json!({"kv_n_heads": 2})), Some(Meta::U32(2)));
        // the reference's file has no key where llama.cpp assumes the same
        assert_eq!((heads(json!({"kv_n_heads": 4})), heads(json!({}))), (None, None));
    }
}
